"""Cases of a detection's own tests, run by a real worker: what they expect, beside what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.deploy.simulate import rows_of
from trapline.deploy.smoke import CaseResult, run_case
from trapline.detection.model import Detection, DetectionConfig, Mode, TestCase
from trapline.settings import Settings
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Build, BuildDigest, Limits, Rule

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings.model_validate(
    {"tables": {"logs": {"path": "lake/logs", "time": "@timestamp"}}, "default_destinations": ["terminal"]}
)
FAILURES = """
def detect(record):
    return record["outcome"] == "failure"

def title(record):
    return f"failures of {record['user']}"

def dedupe(record):
    return record["user"]

def severity(record):
    return record.get("severity")

def alert_context(record):
    return {"user": record["user"], "at": record["@timestamp"]}
"""
FAILURE = {"outcome": "failure", "user": "alice"}
Run = Callable[..., CaseResult]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessBackend]:
    backend = ProcessBackend(tmp_path_factory.mktemp("smoke"))
    yield backend
    backend.close()


@pytest.fixture
def run(backend: ProcessBackend, tmp_path: Path) -> Iterator[Run]:
    """Runs one case of a script over the table `logs`, whose time is `@timestamp`."""
    with ExitStack() as ends:

        def run(script: str, mode: Mode = Mode.RECORD, *, alert: Any = None, **case: Any) -> CaseResult:
            given = {"name": "rule", "tables": ["logs"], "alert": alert or {}}
            config = DetectionConfig.model_validate(
                {**given, "tests": [{"name": "case", "records": [FAILURE], **case}]}
            )
            detection = Detection(config=config, mode=mode, path="detections/rule", files={})
            digest = BuildDigest(f"{abs(hash(script)):x}{mode}")
            backend.build(Build(digest, "rule", {mode.script: (script.encode(), False)}, None))
            worker = backend.start(digest, Rule("rule", mode.script, mode.value), Limits())
            ends.callback(worker.close)
            return run_case(detection, worker, config.tests[0], SETTINGS)

        yield run


BRUTE_FORCE = {"threshold": 5, "deduplication_window_minutes": 10, "severity": "low"}


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ({"repeat": 5, "clock": {"every": "2m"}, "alerts": [{"dedupe": "alice", "matches": 5}]}, None),
        ({"repeat": 4, "clock": {"every": "2m"}, "alerts": []}, None),
        ({"repeat": 5, "clock": {"every": "15m"}, "alerts": [], "match": 5}, None),
        ({"repeat": 8, "alerts": [{"matches": 8}]}, None),
        (
            {"repeat": 4, "alerts": [{}]},
            "expected an alert, got no alert: 4 matches came, and one opens with 5 of one dedupe key within 10m",
        ),
        (
            {"repeat": 10, "clock": {"every": "2m1s"}, "alerts": []},
            "expected no alert, got 2 alerts: 'failures of alice' with 5 matches, 'failures of alice' with 5 matches",
        ),
        ({"repeat": 5, "alerts": [{"matches": 4}]}, "expected matches of the alert 4, got 5"),
        ({"repeat": 4, "match": 5, "alerts": []}, "expected 5 matches, got 4 matches"),
    ],
)
def test_the_alerts_of_several_records(run: Run, case: dict[str, Any], complaint: str | None) -> None:
    assert run(FAILURES, alert=BRUTE_FORCE, **case).complaint == complaint


def test_alerts_come_in_the_order_in_which_they_open(run: Run) -> None:
    records = [{**FAILURE, "user": user} for user in ("zoe", "alice", "alice", "zoe", "bob")]
    expected = [{"dedupe": user, "matches": 2} for user in ("alice", "zoe")]
    assert run(FAILURES, alert={"threshold": 2}, records=records, alerts=expected).complaint is None
    turned = run(FAILURES, alert={"threshold": 2}, records=records, alerts=expected[::-1])
    assert [(one.text, one.keys, one.expected, one.got) for one in turned.complaints] == [
        ("expected dedupe of alert 1 'zoe', got 'alice'", ("alerts", 0, "dedupe"), "zoe", "alice"),
        ("expected dedupe of alert 2 'alice', got 'zoe'", ("alerts", 1, "dedupe"), "alice", "zoe"),
    ]


def test_everything_that_is_known_of_an_alert_can_be_expected(run: Run) -> None:
    expected = {
        "title": "failures of alice",
        "dedupe": "alice",
        "severity": "high",  # the highest of its matches
        "destinations": ["terminal"],  # those of trapline.yml
        "description": "What it is",
        "runbook": "Ask her",
        "context": {"user": "alice", "at": NEW_YEAR},
        "matches": 2,
    }
    script = f"{FAILURES}\ndef description(record): return 'What it is'\ndef runbook(record): return 'Ask her'\n"
    records = [FAILURE, {**FAILURE, "severity": "high"}]
    assert run(script, records=records, alerts=[expected]).complaint is None
    one = {name: value for name, value in expected.items() if name != "matches"} | {"severity": "info"}
    assert run(script, records=records, clock={}, match=True, expect=one).complaint is None
    for name in expected:
        other = {**expected, name: {"destinations": [], "context": {}, "matches": 3, "severity": "low"}.get(name, "x")}
        [complaint] = run(script, records=records, alerts=[other]).complaints
        assert complaint.text.startswith(f"expected {name} of the alert ")
        assert complaint.keys == ("alerts", 0, name)


def test_records_happen_when_they_say(run: Run) -> None:
    late = [{**FAILURE, "@timestamp": NEW_YEAR + timedelta(hours=hour)} for hour in (3, 2)]
    two = [{"context": {"user": "alice", "at": NEW_YEAR + timedelta(hours=hour)}} for hour in (2, 3)]
    assert run(FAILURES, records=late, alerts=two).complaint is None
    no_time = run(FAILURES, records=[FAILURE, {**FAILURE, "@timestamp": "noon"}], alerts=[])
    assert (no_time.complaint or "").startswith("record 2 has @timestamp 'noon', which is no time")
    for year in (1, 9999):
        out_of_time = run(FAILURES, records=[{**FAILURE, "@timestamp": datetime(year, 1, 1, tzinfo=UTC)}], alerts=[])
        assert "which is no time" in (out_of_time.complaint or "")
    no_zone = run(FAILURES, records=[{**FAILURE, "@timestamp": datetime(2026, 1, 1)}], alerts=[{}])
    assert no_zone.complaint is None


def test_without_a_clock_a_record_without_a_time_has_none(run: Run) -> None:
    script = "def detect(record): return record['@timestamp'] is None"
    assert run(script, match=True).complaint is None
    assert run(script, match=False, clock={}).complaint is None


@given(
    count=st.integers(1, 5),
    repeat=st.integers(1, 5),
    every=st.integers(1, 10_000),
    own=st.sets(st.integers(0, 4)),
)
def test_the_clock_goes_on_evenly_over_all_records(count: int, repeat: int, every: int, own: set[int]) -> None:
    mine = datetime(2020, 5, 5, tzinfo=UTC)
    records = [{"n": n, "ts": mine} if n in own else {"n": n} for n in range(count)]
    given = {"name": "a", "records": records, "repeat": repeat, "clock": {"every": every}, "alerts": []}
    rows = rows_of(TestCase.model_validate(given), "ts")
    assert [row["n"] for row in rows] == [*range(count)] * repeat
    times = [NEW_YEAR + timedelta(seconds=every) * index for index in range(count * repeat)]
    assert [row["ts"] for row in rows] == [
        mine if row["n"] in own else time for row, time in zip(rows, times, strict=True)
    ]


WINDOW = """
def detect(records):
    users = [record["user"] for record in records]
    for user in sorted(set(users)):
        yield {"title": f"{user}: {users.count(user)}", "record": next(r for r in records if r["user"] == user)}
    yield {"title": "all of it"}
"""


def test_a_batch_rule_gets_all_records_at_once(run: Run) -> None:
    records = [{**FAILURE, "user": user} for user in ("bob", "alice", "bob")]
    titles = [{"title": title} for title in ("bob: 2", "alice: 1", "all of it")]
    assert run(WINDOW, Mode.BATCH, records=records, match=True, alerts=titles).complaint is None
    assert run(WINDOW, Mode.BATCH, records=records, match=2).complaint == "expected 2 matches, got 3 matches"


LOOKUP = """
import urllib.request

def country(ip):
    return urllib.request.urlopen(ip)

def detect(record):
    return country("203.0.113.7") == "NL"
"""


def test_what_the_script_calls_is_replaced_for_its_case_alone(run: Run) -> None:
    assert run(LOOKUP, mocks={"country": "NL"}, match=True).complaint is None
    assert run(LOOKUP, mocks={"urllib.request.urlopen": "NL"}, match=True).complaint is None
    assert "ValueError: unknown url type" in (run(LOOKUP, match=True).complaint or "")
    missing = run(LOOKUP, mocks={"contry": "NL"}, match=True)
    assert missing.complaint == "mocks: `contry` is not there: the script has no `contry`"
    assert missing.complaints[0].keys == ("mocks",)


def test_what_cannot_be_used_of_an_answer_fails_as_it_would_in_production(run: Run) -> None:
    script = "def detect(record): return True\ndef severity(record): return 'hihg'"
    assert "severity() answered 'hihg', which is none of info, " in (run(script, match=True).complaint or "")


def test_only_what_can_be_compared_is(run: Run) -> None:
    yes = "def detect(record): return True"
    assert run(yes, match=False, expect={"title": "another"}).complaint == "expected no match, got a match"
    assert run(yes, match=2, expect={"title": "another"}).complaint == "expected 2 matches, got a match"
    no = run("def detect(record): return False", alerts=[], expect={"title": "another"})
    assert no.complaint == "there is no match to compare with `expect`"
    both = run(yes, match=True, expect={"title": "another", "dedupe": "else"})
    assert [one.keys for one in both.complaints] == [("expect", "title"), ("expect", "dedupe")]
    long = run(yes, match=True, expect={"title": "x" * 10_000})
    assert len(long.complaint or "") < 300
    mixed = run(yes, Mode.BATCH, match=True, records=[{"a": 1}, {"a": "b"}])
    assert (mixed.complaint or "").startswith("its records cannot be made into one table")
