"""Planning: who is due, up to when, who shares a scan, and who begins where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trapline.deploy.digest import DeployDigest
from trapline.deploy.ledger import Deployment
from trapline.detection.model import DetectionConfig, Mode
from trapline.run.plan import PlannedScan, ahead_of_clock, beginnings, next_due, plan
from trapline.settings import Settings
from trapline.window import Checkpoint
from trapline.workers.interface import BuildDigest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def deployment(
    name: str,
    *,
    mode: Mode = Mode.RECORD,
    tables: tuple[str, ...] = ("logs",),
    realtime: bool = False,
    **schedule: Any,
) -> Deployment:
    known = {"name": name, "tables": tables, "schedule": schedule, "realtime": realtime}
    config = DetectionConfig.model_validate(known)
    build, deploy = BuildDigest(name), DeployDigest(name)
    return Deployment(name, name, build, deploy, "", mode, config, NOON, None, "")


def settings(
    *, lag: float = 0, overlap: float = 0, longest: str = "1d", lookback: float = 0, **schedule: Any
) -> Settings:
    table = {"path": "logs", "lag": lag * 60, "overlap": overlap * 60}
    schedule = {"every": "5m", "longest_window": longest, **schedule}
    realtime = {"sweep": "1h", "lookback": lookback * 60}
    return Settings.model_validate({"tables": {"logs": table}, "schedule": schedule, "realtime": realtime})


def planned(
    *deployments: Deployment,
    at: float,
    seen: float | dict[str, float] = 0,
    how: Settings | None = None,
    start: float = -10_000,
    streamed: float | None = None,
    **more: Any,
) -> list[tuple[float, float, str]]:
    """Each scan as the minutes after noon of its window, and its members; `streamed` is since when those in real time
    see what lands."""
    positions = seen if isinstance(seen, dict) else {one.identity: seen for one in deployments}
    checkpoints = {
        (one.identity, table): Checkpoint(
            NOON + minutes(positions[one.identity]),
            NOON + minutes(start),
            NOON + minutes(streamed) if streamed is not None and one.config.realtime else None,
        )
        for one in deployments
        for table in one.config.tables
    }
    scans = plan(deployments, checkpoints, how or settings(), now=NOON + minutes(at), **more)
    return [shown(scan) for scan in scans]


def shown(scan: PlannedScan) -> tuple[float, float, str]:
    start, end = ((at - NOON).total_seconds() / 60 for at in (scan.request.window.start, scan.request.window.end))
    return start, end, " ".join(member.name for member in scan.members)


PLAIN, QUARTERLY, HOURLY = deployment("plain"), deployment("quarterly", every="15m"), deployment("h", cron="10 * * * *")


def test_who_has_no_schedule_reads_up_to_now_and_in_a_loop_up_to_the_last_due_moment_of_all() -> None:
    assert planned(PLAIN, at=7.5) == [(0, 7.5, "plain")]
    assert planned(PLAIN, at=7.5, by_schedule=True) == [(0, 5, "plain")]
    assert planned(PLAIN, at=4.9, by_schedule=True) == []


@pytest.mark.parametrize("by_schedule", [False, True], ids=["once", "loop"])
def test_a_schedule_of_its_own_counts_however_it_is_run(by_schedule: bool) -> None:
    assert planned(QUARTERLY, at=14.9, by_schedule=by_schedule) == []
    assert planned(QUARTERLY, at=16, by_schedule=by_schedule) == [(0, 15, "quarterly")]
    assert planned(HOURLY, at=71, by_schedule=by_schedule) == [(0, 70, "h")]


def test_a_window_ends_the_lag_before_the_due_moment() -> None:
    assert planned(QUARTERLY, at=31, how=settings(lag=4)) == [(0, 26, "quarterly")]
    assert planned(PLAIN, at=3, how=settings(lag=4)) == []


def test_equal_schedules_share_a_scan_and_agree_again_after_they_parted() -> None:
    other = deployment("other", every="15m")
    seen = {"quarterly": 0.0, "other": 7.5}
    assert planned(QUARTERLY, other, at=16, seen=seen) == [(0, 15, "quarterly"), (7.5, 15, "other")]
    assert planned(QUARTERLY, other, at=31, seen=15) == [(15, 30, "quarterly other")]


def test_a_schedule_like_that_of_all_shares_with_those_that_have_none() -> None:
    assert planned(PLAIN, deployment("like", every="5m"), at=7, by_schedule=True) == [(0, 5, "plain like")]


def test_who_is_behind_comes_after_the_others_in_bounded_steps() -> None:
    behind = deployment("behind")
    how = settings(longest="1h")
    assert planned(behind, PLAIN, at=300, seen={"behind": 0, "plain": 295}, how=how) == [
        (295, 300, "plain"),
        (0, 60, "behind"),
    ]
    assert planned(behind, PLAIN, at=300, seen={"behind": 250, "plain": 295}, how=how) == [
        (250, 300, "behind"),
        (295, 300, "plain"),
    ]


def test_who_shall_not_hold_up_the_others_comes_last() -> None:
    apart = planned(deployment("apart"), PLAIN, at=5, apart=frozenset({"apart"}))
    assert apart == [(0, 5, "plain"), (0, 5, "apart")]


def test_an_overlap_is_read_again_by_rules_of_one_record_at_a_time_alone() -> None:
    batch = deployment("batch", mode=Mode.BATCH)
    assert planned(PLAIN, batch, at=100, seen=90, how=settings(overlap=30)) == [
        (60, 100, "plain"),
        (90, 100, "batch"),
    ]
    assert planned(PLAIN, batch, at=100, seen=90) == [(90, 100, "plain batch")]
    assert planned(PLAIN, at=100, seen=90, how=settings(overlap=30), start=80) == [(80, 100, "plain")]


def test_the_windows_of_a_batch_rule_are_the_runs_of_its_own_schedule() -> None:
    batch = deployment("batch", mode=Mode.BATCH, every="15m")
    how = settings(lag=3, longest="5m")
    assert planned(batch, at=300, seen=-3, how=how) == [(-3, 12, "batch")]
    assert planned(batch, at=300, seen=12, how=how) == [(12, 27, "batch")]
    assert planned(batch, at=300, seen=14, how=how) == [(14, 27, "batch")]
    assert planned(batch, at=29, seen=12, how=how) == []
    without = deployment("batch", mode=Mode.BATCH)
    assert planned(without, at=300, seen=0, how=how) == [(0, 5, "batch")]


LIVE = deployment("live", realtime=True)


def test_who_sees_what_lands_reads_once_up_to_when_that_began_and_then_with_the_sweeps() -> None:
    assert planned(LIVE, at=7, streamed=7, by_schedule=True) == [(0, 7, "live")]
    assert planned(LIVE, at=59, seen=7, streamed=7, by_schedule=True) == []
    assert planned(LIVE, at=61, seen=7, streamed=7, by_schedule=True) == [(7, 60, "live")]
    assert planned(LIVE, at=119, seen=60, streamed=7, by_schedule=True) == []
    assert planned(LIVE, at=70, seen=60, streamed=7) == [(60, 70, "live")]  # who ticks once reads up to now


def test_a_sweep_ends_the_lag_before_it_is_due() -> None:
    assert planned(LIVE, at=61, seen=7, streamed=7, how=settings(lag=4), by_schedule=True) == [(7, 56, "live")]


def test_where_nothing_is_listened_to_real_time_reads_as_the_others_do() -> None:
    assert planned(LIVE, PLAIN, at=7.5, by_schedule=True) == [(0, 5, "live plain")]
    how = settings(lookback=30)
    assert planned(LIVE, at=7.5, how=how, by_schedule=True) == [(0, 5, "live")]


def test_a_sweep_looks_back_by_the_longer_of_lookback_and_overlap() -> None:
    more = {"at": 61, "seen": 50, "streamed": 7, "by_schedule": True}
    assert planned(LIVE, how=settings(lookback=30), **more) == [(20, 60, "live")]
    assert planned(LIVE, how=settings(lookback=30, overlap=40), **more) == [(10, 60, "live")]
    assert planned(LIVE, how=settings(lookback=30), start=45, **more) == [(45, 60, "live")]
    assert planned(PLAIN, how=settings(lookback=30), **more) == [(50, 60, "plain")]


def test_the_sweeps_of_a_batch_rule_neither_overlap_nor_leave_a_gap() -> None:
    batch, how = deployment("batch", mode=Mode.BATCH, realtime=True), settings(lookback=30)
    assert planned(batch, at=61, seen=50, streamed=7, how=how, by_schedule=True) == [(50, 60, "batch")]


def test_a_schedule_of_its_own_is_that_of_the_sweeps() -> None:
    own = deployment("own", realtime=True, every="15m")
    assert planned(own, at=29, seen=15, streamed=7, by_schedule=True) == []
    assert planned(own, at=31, seen=15, streamed=7, by_schedule=True) == [(15, 30, "own")]
    assert planned(own, at=31, seen=15, streamed=7, how=settings(lookback=5)) == [(10, 30, "own")]


def test_a_table_that_nobody_knows_is_planned_for_its_error_to_be_said() -> None:
    assert planned(deployment("one", tables=("unknown",)), at=5) == [(0, 5, "one")]


def begins(one: Deployment, at: float, known: Checkpoint | None = None, how: Settings | None = None) -> float | None:
    checkpoints = {} if known is None else {(one.identity, "logs"): known}
    found = beginnings([one], checkpoints, how or settings(lag=2), now=NOON + minutes(at))
    start = found.get((one.identity, "logs"))
    return None if start is None else (start - NOON).total_seconds() / 60


def test_who_is_new_begins_at_its_start_or_at_that_of_all_or_now() -> None:
    of_all = settings(start=NOON - minutes(60))
    assert begins(deployment("one", start=NOON), 100, how=of_all) == 0
    assert begins(PLAIN, 100, how=of_all) == -60
    assert begins(PLAIN, 100) == 93  # one run ago
    assert begins(QUARTERLY, 100) == 88  # the run under way
    assert begins(HOURLY, 100) == 68


def test_another_start_is_begun_at_and_the_same_is_not() -> None:
    known = Checkpoint(NOON + minutes(50), NOON)
    assert begins(deployment("one", start=NOON), 100, known) is None
    assert begins(PLAIN, 100, known, settings(start=NOON - minutes(60))) is None
    assert begins(deployment("one", start=NOON - minutes(5)), 100, known) == -5


def test_the_next_due_moment_is_that_of_whoever_is_due_first() -> None:
    often = deployment("often", every="20s")
    for deployments, expected in (([], 5), ([HOURLY, QUARTERLY], 5), ([often, HOURLY], 1 / 3)):
        due = next_due(deployments, settings(), after=NOON)
        assert due == NOON + minutes(expected)
    assert next_due([HOURLY], settings(every="1d"), after=NOON) == NOON + minutes(10)
    assert next_due([LIVE], settings(every="1d"), after=NOON) == NOON + minutes(60)


def test_a_checkpoint_is_ahead_of_the_clock_unless_it_was_put_there() -> None:
    moved = Checkpoint(NOON + minutes(2), NOON)
    assert ahead_of_clock(moved, now=NOON)
    assert not ahead_of_clock(moved, now=NOON + minutes(1))
    assert not ahead_of_clock(Checkpoint(NOON + minutes(2), NOON + minutes(2)), now=NOON)
