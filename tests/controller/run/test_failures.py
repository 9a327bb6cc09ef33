"""Failures: set aside with their records, shown, replayed by the next version, and never lost by a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.playground import MATCH_BAD, NOON, Playground, column, deploy
from trapline.alerts.origin import Origin
from trapline.alerts.record import Recorded, record
from trapline.controller import Controller
from trapline.deploy.ledger import Deployment
from trapline.deploy.overrides import Kind
from trapline.run.context import Context
from trapline.run.payload import pack, unpack
from trapline.run.quarantine import quarantine
from trapline.state.database import Database
from trapline.state.schema import alerts, checkpoints, deliveries, failures, matches

GOOD = MATCH_BAD
RAISES = "def detect(record):\n    return record['event']['size'] > 10\n"
MENDED = "def detect(record):\n    return (record['event']['size'] or 11) > 10\n"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    ground.settings(operations=["terminal"], error_budget={"failures": 3})
    return ground


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def open_failures(ground: Playground) -> list[dict[str, Any]]:
    return [row for row in ground.rows(failures, "event_at") if row["settled_at"] is None]


def position(ground: Playground) -> float:
    [row] = ground.rows(checkpoints)
    return float((row["position"] - NOON).total_seconds() / 60)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("raise ValueError(record['event']['size'])", "raised"),
        ("while True: pass", "timeout"),
        ("import os; os._exit(3)", "crashed"),
        ("return [bytearray(10**7) for _ in range(100)]", "memory"),
    ],
)
def test_a_new_version_finds_what_the_old_one_failed_on(ground: Playground, code: str, outcome: str) -> None:
    ground.settings()
    limits = {"record_timeout": "2s", "memory": "200MiB"}
    with ground.controller() as controller:
        ground.detection(
            "one",
            f"def detect(record):\n    if record['event']['size'] is None:\n        {code}\n    return True\n",
            limits=limits,
        )
        deploy(ground, controller)
        ground.records(1, 3, event={"size": 1})
        ground.records(2, event={"size": None})
        ground.at(5)
        report = controller.tick()
        assert (report.matches, report.errors) == (2, {})
        [failure] = open_failures(ground)
        assert failure["outcome"] == outcome, failure["error"]
        assert failure["record"]["event"]["size"] is None
        assert failure["event_at"] == NOON + timedelta(minutes=2)
    with ground.controller() as controller:  # after a restart
        ground.at(10)
        assert controller.tick().settled == 0  # the same version is not asked again
        ground.detection("one", "def detect(record):\n    return record['ts'].minute == 2\n", limits=limits)
        deploy(ground, controller)
        report = controller.tick()
        assert (report.settled, report.matches, report.updated) == (1, 1, 1)
        assert open_failures(ground) == []
        [alert] = ground.rows(alerts)
        assert alert["match_count"] == 3  # as if it had been found then
        assert controller.tick().matches == 0


def test_a_version_that_fails_again_leaves_the_failure_open_and_is_not_asked_twice(
    ground: Playground, controller: Controller
) -> None:
    ground.detection("one", RAISES)
    deploy(ground, controller)
    ground.records(1, event={"size": None})
    ground.at(5)
    controller.tick()
    first = open_failures(ground)
    ground.detection("one", RAISES.replace("10", "11"))
    deploy(ground, controller)
    assert controller.tick().settled == 0
    [failure] = open_failures(ground)
    assert failure["id"] == first[0]["id"]
    assert failure["deploy_digest"] == controller.ledger.deployments()["one"].deploy_digest
    assert failure["deploy_digest"] != first[0]["deploy_digest"]


def test_a_window_on_which_a_batch_rule_fails_is_read_again_by_the_next_version(
    ground: Playground, controller: Controller
) -> None:
    ground.batch_detection("burst", "def detect(records):\n    raise ValueError('no')\n")
    deploy(ground, controller)
    ground.records(1, 2)
    ground.at(5)
    controller.tick()
    [failure] = open_failures(ground)
    assert (failure["payload"], failure["record"], failure["window_start"]) == (None, None, NOON)
    assert position(ground) == 5
    ground.batch_detection("burst", "def detect(records):\n    yield from records\n")
    deploy(ground, controller)
    report = controller.tick()
    assert (report.settled, report.matches) == (1, 2)
    assert open_failures(ground) == []


def test_over_its_error_budget_a_detection_is_quarantined_alone_and_loses_nothing(
    ground: Playground, controller: Controller
) -> None:
    ground.detection("one", RAISES)
    ground.detection("two")
    deploy(ground, controller)
    ground.records(1, 2, 3, 4, event={"size": None})
    ground.at(5)
    report = controller.tick()
    assert list(report.quarantined) == ["one"]
    assert "costs 4 of an error budget of 3 within an hour" in report.quarantined["one"]
    assert column(ground.rows(matches), "identity") == ["two"] * 4
    assert len(open_failures(ground)) >= 3  # to be looked at
    [alarm] = [row for row in ground.rows(alerts) if row["identity"] == "trapline"]
    assert (alarm["status"], alarm["destinations"]) == ("open", ["terminal"])
    assert "one is quarantined" in alarm["title"]
    ground.at(10)
    ground.records(6, event={"size": 12})
    report = controller.tick()
    assert (report.errors, report.matches) == ({}, 1)  # of the other one
    assert "one" in controller.overrides.all(Kind.QUARANTINED)

    ground.detection("one", MENDED)
    deploy(ground, controller)
    assert controller.overrides.all(Kind.QUARANTINED) == {}
    controller.tick()
    assert column(ground.rows(matches), "identity").count("one") == 5
    assert open_failures(ground) == []
    [alarm] = [row for row in ground.rows(alerts) if row["identity"] == "trapline"]
    assert alarm["status"] == "resolved"
    told = [row["kind"] for row in ground.rows(deliveries, "sequence") if row["alert_id"] == alarm["id"]]
    assert told == ["opened", "resolved"]


def test_a_replay_settles_nothing_that_it_did_not_try(ground: Playground, controller: Controller) -> None:
    ground.settings(error_budget={"failures": 50})
    ground.detection("one", RAISES)
    deploy(ground, controller)
    ground.records(*range(20), event={"size": None})
    ground.at(20)
    controller.tick()
    ground.settings(error_budget={"failures": 5})
    ground.detection("one", RAISES.replace("10", "11"))
    deploy(ground, controller)
    assert controller.tick().settled == 0
    assert len(open_failures(ground)) == 20
    ground.detection("one", MENDED)
    deploy(ground, controller)
    report = controller.tick()
    assert (report.settled, report.matches, len(open_failures(ground))) == (20, 20, 0)


def test_a_match_whose_answers_fail_is_replayed_too(ground: Playground, controller: Controller) -> None:
    ground.settings()
    ground.detection("one", RAISES)
    deploy(ground, controller)
    ground.records(*range(60), event={"size": None})
    ground.at(60)
    controller.tick()
    wrong = "\ndef title(record):\n    return record['nope']\n\ndef dedupe(record):\n    return record['nope']\n"
    for code in (MENDED + wrong, MENDED):
        ground.detection("one", code)
        deploy(ground, controller)
        controller.tick()
    assert len(ground.rows(matches)) == 60
    assert open_failures(ground) == []


def test_a_version_that_comes_while_the_old_one_fails_is_not_quarantined_for_it(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one", RAISES)
    deploy(ground, controller)
    ground.records(1, 2, 3, 4, event={"size": None})
    ground.at(5)

    def meanwhile(context: Context, deployment: Deployment, reason: str) -> bool:
        ground.detection("one", MENDED)
        deploy(ground, controller)
        return quarantine(context, deployment, reason)

    monkeypatch.setattr("trapline.run.recorder.quarantine", meanwhile)
    assert controller.tick().quarantined == {}
    assert controller.overrides.all(Kind.QUARANTINED) == {}
    ground.at(10)
    controller.tick()
    assert len(ground.rows(matches)) == 4


def test_a_failed_window_of_a_table_that_is_gone_holds_up_no_other(ground: Playground, controller: Controller) -> None:
    tables = {"logs": {"path": "lake/logs"}, "old": {"path": "lake/old"}}
    ground.settings(tables=tables)
    (ground.lake / "old").mkdir()
    head = 'name = "one"\nenabled = true\n'
    ground.batch_detection("one", "def detect(records):\n    raise ValueError('no')\n")
    ground.write("detections/one/detection.toml", head + 'tables = ["logs", "old"]\n')
    deploy(ground, controller)
    ground.records(1)
    ground.records(1, table="old")
    ground.at(5)
    controller.tick()
    assert len(open_failures(ground)) == 2
    ground.settings()
    ground.batch_detection("one", "def detect(records): yield from records\n")
    deploy(ground, controller)
    report = controller.tick()
    assert (report.settled, report.matches) == (1, 1)
    assert "the table is gone" in report.errors["one"]
    [left] = open_failures(ground)
    assert left["table_name"] == "old"
    ground.at(10)
    assert controller.tick().errors == {}  # said once, and not tried again until there is another version


def test_a_replay_that_fails_whole_is_no_strike(ground: Playground, controller: Controller) -> None:
    ground.batch_detection("one", "def detect(records):\n    raise ValueError('no')\n")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    controller.tick()
    code = "import os\ndef detect(records):\n    return [r for r in records if r['ts'].minute == 1 and os._exit(3)]\n"
    ground.batch_detection("one", code)
    deploy(ground, controller)
    for minute in (10, 15, 20, 25):
        ground.at(minute)
        ground.records(minute - 2)
        assert controller.tick().quarantined == {}
    assert controller.ledger.deployments()["one"].strikes is None
    assert len(open_failures(ground)) == 1


def test_what_fails_again_costs_nothing_again(ground: Playground, controller: Controller) -> None:
    ground.detection("one", RAISES)
    deploy(ground, controller)
    ground.records(1, 2, 3, event={"size": None})
    ground.at(5)
    controller.tick()
    ground.at(240)
    assert controller.replay_failures("one").settled == 0
    ground.records(239, event={"size": None})
    assert controller.tick().quarantined == {}


def test_what_was_printed_before_a_batch_failed_is_in_the_log(ground: Playground, controller: Controller) -> None:
    ground.detection("one", "def detect(record):\n    print('hello')\n    return True\n", limits={"matches": 1})
    deploy(ground, controller)
    ground.records(1, 2)
    ground.at(5)
    assert "more than 1 times" in controller.tick().errors["one"]
    assert "hello" in controller.logs.tail("one", 1)[0].text


def test_who_took_much_time_comes_after_the_others(ground: Playground, controller: Controller) -> None:
    ground.settings()
    ground.detection("one", "import os\ndef detect(record):\n    return record['event']['size'] and os._exit(3)\n")
    ground.detection("two")
    deploy(ground, controller)
    ground.records(1, event={"size": 1})
    ground.at(5)
    assert [scan.detections for scan in controller.tick().scans] == [["one", "two"]]
    ground.at(10)
    assert [scan.detections for scan in controller.tick().scans] == [["two"], ["one"]]


def test_no_exception_writes_lines_of_its_own(ground: Playground, controller: Controller) -> None:
    ground.detection("one", "def detect(record):\n    raise ValueError('no\\ndeliveries: 999 delivered')\n")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    report = controller.tick()
    assert "\n" not in report.failures["one"]
    assert "\n" not in controller.ledger.deployments()["one"].health_message


def test_what_is_resumed_is_given_its_whole_budget_again(ground: Playground, controller: Controller) -> None:
    ground.detection("one", RAISES)
    deploy(ground, controller)
    ground.records(1, 2, 3, 4, event={"size": None})
    ground.at(5)
    controller.tick()
    ground.at(6)
    assert controller.overrides.release("one", now=ground.now) == [Kind.QUARANTINED]
    ground.settings(operations=["terminal"], error_budget={"failures": 4})
    deploy(ground, controller)
    report = controller.tick()
    assert (report.quarantined, position(ground)) == ({}, 6)
    assert len(open_failures(ground)) == 4


def test_what_is_resumed_begins_anew(ground: Playground, controller: Controller) -> None:
    code = "import os\ndef detect(records):\n    _ = len(records) < 3 and os._exit(3)\n    return []\n"
    ground.batch_detection("one", code)
    deploy(ground, controller)
    ground.records(1)
    for minute in (5, 10, 15):
        ground.at(minute)
        controller.tick()
    assert controller.overrides.release("one", now=ground.now) == [Kind.QUARANTINED]
    deployment = controller.ledger.deployments()["one"]
    assert (deployment.strikes, deployment.health_message) == (None, "")
    ground.at(20)
    report = controller.tick()
    assert (list(report.errors), report.quarantined) == (["one"], {})  # the first bad window is one again


def test_failures_of_an_hour_ago_no_longer_count(ground: Playground, controller: Controller) -> None:
    ground.detection("one", RAISES)
    deploy(ground, controller)
    ground.records(1, 2, 3, event={"size": None})
    ground.records(66, 67, event={"size": None})
    ground.records(126, 127, event={"size": None})
    for minute in (5, 70):
        ground.at(minute)
        assert controller.tick().quarantined == {}
    ground.at(128)
    assert list(controller.tick().quarantined) == ["one"]  # four within an hour


def test_a_detection_that_cannot_get_through_a_window_is_quarantined_after_a_few(
    ground: Playground, controller: Controller
) -> None:
    ground.batch_detection("dies", "import os\ndef detect(records): return os._exit(3)\n")
    ground.detection("lives")
    deploy(ground, controller)
    ground.records(1)
    for tick in (1, 2, 3):
        ground.at(5 * tick)
        assert bool(controller.tick().quarantined) == (tick == 3)
    assert "failed 3 times in a row" in str(controller.overrides.all(Kind.QUARANTINED)["dies"])
    ground.batch_detection("dies", "def detect(records): yield from records\n")
    deploy(ground, controller)
    controller.tick()
    assert sorted(column(ground.rows(matches), "identity")) == ["dies", "lives"]


def test_a_good_window_ends_the_row_of_bad_ones(ground: Playground, controller: Controller) -> None:
    code = "import os\ndef detect(records):\n    _ = len(records) < 3 and os._exit(3)\n    return []\n"
    ground.batch_detection("one", code)
    deploy(ground, controller)
    ground.records(1)
    for minute in (5, 10):
        ground.at(minute)
        controller.tick()
    assert controller.ledger.deployments()["one"].strikes == 2
    ground.records(2, 3)
    ground.at(15)
    assert controller.tick().errors == {}
    assert controller.ledger.deployments()["one"].strikes is None


def test_what_succeeds_on_one_table_does_not_hide_what_fails_on_another(
    ground: Playground, controller: Controller
) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs"}, "other": {"path": "lake/other"}})
    (ground.lake / "other").mkdir()
    code = "import os\ndef detect(records):\n    return [r for r in records if 'evil' in r and os._exit(3)]\n"
    ground.batch_detection("one", code)
    ground.write("detections/one/detection.toml", 'name = "one"\nenabled = true\ntables = ["logs", "other"]\n')
    deploy(ground, controller)
    ground.records(1, evil=1)
    for tick in (1, 2, 3):
        ground.records(5 * tick - 1, table="other")
        ground.at(5 * tick)
        assert bool(controller.tick().quarantined) == (tick == 3)


def test_a_failure_that_takes_the_worker_costs_ten(ground: Playground, controller: Controller) -> None:
    ground.settings(error_budget={"failures": 9})
    ground.detection("one", "import os\ndef detect(record): return os._exit(3)\n")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    assert list(controller.tick().quarantined) == ["one"]


def test_what_cannot_be_recorded_of_one_detection_holds_up_no_other(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one")
    ground.detection("two")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)

    def refuses(database: Database, origin: Origin, *rest: Any, **more: Any) -> Recorded:
        if origin.identity == "one":
            raise OverflowError("too large for a database")
        return record(database, origin, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr("trapline.run.recorder.record", refuses)
        report = controller.tick()
    assert "OverflowError" in report.errors["one"]
    assert column(ground.rows(matches), "identity") == ["two"]
    assert controller.tick().matches == 1  # its window was not passed


def test_a_replay_that_cannot_be_recorded_holds_up_no_other(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one", RAISES)
    ground.detection("two")
    deploy(ground, controller)
    ground.records(1, event={"size": None})
    ground.at(5)
    controller.tick()
    ground.detection("one", MENDED)
    deploy(ground, controller)
    ground.records(6)
    ground.at(10)

    def refuses(*_: Any, **__: Any) -> Recorded:
        raise OverflowError("too large for a database")

    with monkeypatch.context() as patch:
        patch.setattr("trapline.run.failures.record", refuses)
        report = controller.tick()
    assert "OverflowError" in report.errors["one"]
    assert column(ground.rows(matches), "identity").count("two") == 2
    assert controller.tick().settled == 1


def test_an_engine_that_is_away_is_no_fault_of_the_detection(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1)
    controller.remove_builds()
    for minute in range(5, 40, 5):
        ground.at(minute)
        report = controller.tick()
        assert "not built" in report.errors["one"]
        assert report.quarantined == {}


_VALUES = st.fixed_dictionaries(
    {
        "ts": st.datetimes(timezones=st.just(UTC), min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)),
        "price": st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**6), max_value=10**6),
        "blob": st.binary(max_size=20),
        "event": st.fixed_dictionaries({"id": st.text(max_size=5), "tags": st.lists(st.text(max_size=3), max_size=3)}),
    }
)
_SCHEMA = pa.schema(
    [
        ("ts", pa.timestamp("us", "UTC")),
        ("price", pa.decimal128(18, 2)),
        ("blob", pa.binary()),
        ("event", pa.struct([("id", pa.string()), ("tags", pa.list_(pa.string()))])),
    ]
)


@given(rows=st.lists(_VALUES, min_size=1, max_size=8), row=st.integers(0, 7))
def test_a_record_that_is_set_aside_comes_back_as_it_was(rows: list[dict[str, Any]], row: int) -> None:
    batch = pa.RecordBatch.from_pylist(rows, schema=_SCHEMA)
    row %= len(rows)
    other = pa.RecordBatch.from_pydict({"n": [Decimal("1.5")]})
    [(again, places), (odd, [second])] = unpack([pack(batch, row), pack(other, 0), pack(batch, 0)])
    assert again.schema == batch.schema
    assert again.to_pylist() == [rows[row], rows[0]]
    assert (places, second, odd.to_pylist()) == ([0, 2], 1, [{"n": Decimal("1.5")}])
