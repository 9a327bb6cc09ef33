"""What is kept from a rule: nothing that it would have had something to say of, and if it is, everybody hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.playground import NOON, Playground, column, deploy
from trapline.controller import Controller
from trapline.detection.inference.infer import Inferred
from trapline.detection.inference.predicate import FALSE, TRUE
from trapline.detection.inference.reads import Read
from trapline.query import batches, connection
from trapline.query.engine import Part, Wanted
from trapline.run import rules as knowledge
from trapline.run.rules import Known, Rules, wanted_by
from trapline.state.schema import alerts, failures, logs, matches, scans
from trapline.workers.interface import BatchReply
from trapline.workers.worker import SandboxWorker

COUNT = 3_000
UNDERSTOOD = 'def detect(record): return record.deepget("event.number") == 7'
OPAQUE = 'def detect(record): return hash(record.deepget("event.number")) == 7'
WHOLE = 'def detect(record): return record.to_dict()["event"]["number"] == 7'
RAISES_TOO = """
def detect(record):
    number = record.deepget("event.number")
    if number == 7:
        return True
    return number == 8 and record.deepget("event.action").fold() or False
"""
SAYS_ALL = """
def title(record): return f"{record['user']['name']} in {record.deepget('cloud.region')}"
def alert_context(record): return record.to_dict()
"""


def write(ground: Playground, name: str, at: datetime) -> None:
    """Writes COUNT records, numbered."""
    records = [
        {
            "ts": at,
            "event": {"id": f"{name}{number}", "number": number, "action": "read"},
            "user": {"name": f"user {number % 5}"} if number % 3 else None,
            "cloud": {"region": "eu-north-1"},
        }
        for number in range(COUNT)
    ]
    pq.write_table(pa.Table.from_pylist(records), ground.lake / "logs" / f"records{name}.parquet")


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    write(ground, "", NOON)
    ground.settings(operations=["terminal"], inference={"audit_fraction": 0})
    ground.at(5)
    return ground


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    """How many records were brought to a worker each time, and which columns."""
    seen: list[tuple[int, tuple[str, ...]]] = []
    original = SandboxWorker.run

    def run(worker: SandboxWorker, batch: pa.RecordBatch, **how: Any) -> BatchReply:
        seen.append((batch.num_rows, tuple(batch.schema.names)))
        return original(worker, batch, **how)

    monkeypatch.setattr(SandboxWorker, "run", run)
    return seen


ALL = ("ts", "event", "user", "cloud")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (UNDERSTOOD, [(1, ALL)]),
        (OPAQUE, [(COUNT, ("event",)), (1, ALL)]),
        (WHOLE, [(COUNT, ALL)]),
        (RAISES_TOO, [(2, ALL)]),
    ],
    ids=["understood", "opaque", "whole", "raises"],
)
def test_a_rule_is_shown_what_it_may_have_something_to_say_of(
    ground: Playground, controller: Controller, shown: list[Any], code: str, expected: list[Any]
) -> None:
    ground.detection("one", code + "\n" + SAYS_ALL)
    deploy(ground, controller)
    shown.clear()
    report = controller.tick()
    assert not report.errors
    assert shown == expected
    [match] = ground.rows(matches)
    assert match["title"] == "user 2 in eu-north-1"
    assert match["record"]["event"] == {"id": "7", "number": 7, "action": "read"}
    assert match["context"]["user"] == {"name": "user 2"}
    assert column(ground.rows(scans), "records") == [COUNT]
    assert [row["record"]["event"]["number"] for row in ground.rows(failures)] == ([8] if code == RAISES_TOO else [])


LIB = """
NUMBERS = (7,)
def is_wanted(record): return record.deepget("event.number") in NUMBERS
def is_hashed(record): return hash(record.deepget("event.number")) == 7
"""


@pytest.mark.parametrize(
    ("function", "expected"), [("is_wanted", [(1, ALL)]), ("is_hashed", [(COUNT, ("event",)), (1, ALL)])]
)
def test_what_it_imports_is_looked_through(
    ground: Playground, controller: Controller, shown: list[Any], function: str, expected: list[Any]
) -> None:
    ground.write("lib/numbers_.py", LIB)
    ground.detection("one", f"from lib.numbers_ import {function}\ndef detect(record): return {function}(record)")
    deploy(ground, controller)
    shown.clear()
    assert controller.tick().matches == 1
    assert shown == expected
    shown.clear()
    ground.write("lib/numbers_.py", LIB.replace("(7,)", "(7, 8, 9)"))
    deploy(ground, controller)
    write(ground, " later", NOON + timedelta(minutes=5))
    ground.at(10)
    assert controller.tick().matches == (3 if function == "is_wanted" else 1)
    assert shown[-1][0] == (3 if function == "is_wanted" else 1)


def test_detections_that_share_a_scan_find_what_each_finds_alone(ground: Playground, controller: Controller) -> None:
    ground.detection("understood", UNDERSTOOD)
    ground.detection("opaque", OPAQUE)
    ground.detection("whole", WHOLE)
    ground.batch_detection(
        "batch", "def detect(records):\n    yield from (r for r in records if r['event']['number'] == 7)"
    )
    deploy(ground, controller)
    assert controller.tick().matches == 4
    assert len(ground.rows(scans)) == 1
    assert {row["identity"]: row["record"]["event"]["id"] for row in ground.rows(matches)} == dict.fromkeys(
        ("understood", "opaque", "whole", "batch"), "7"
    )


def test_with_inference_off_a_rule_is_shown_every_record(
    ground: Playground, controller: Controller, shown: list[Any]
) -> None:
    ground.settings(inference={"enabled": False})
    ground.detection("one", UNDERSTOOD)
    deploy(ground, controller)
    shown.clear()
    assert controller.tick().matches == 1
    assert shown == [(COUNT, ALL)]


def test_what_several_batches_leave_of_a_window_is_shown_together(
    ground: Playground, controller: Controller, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ROWS_AT_A_TIME", 2048)
    monkeypatch.setattr(batches, "BATCH_ROWS", 1)
    ground.detection("one", 'def detect(record): return record.deepget("event.number") in (7, 2500)')
    ground.detection("two", 'def detect(record): return hash(record.deepget("event.number")) in (7, 8, 2500)')
    deploy(ground, controller)
    shown.clear()
    assert controller.tick().matches == 5
    assert sorted(shown) == sorted([(2, ALL), (2048, ("event",)), (COUNT - 2048, ("event",)), (3, ALL)])


def test_a_rule_that_touches_more_than_was_told_is_shown_whole_records(
    ground: Playground, controller: Controller, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "reads_of", lambda *_: frozenset({Read(("cloud", "region"), whole=True)}))
    ground.detection("one", "def detect(record):\n    try:\n        return hash(record['event']['number']) == 7\n"
                            "    except BaseException:\n        return False\n")  # fmt: skip
    deploy(ground, controller)
    shown.clear()
    assert controller.tick().matches == 1
    assert shown[0] == (COUNT, ("cloud",))
    assert (sum(count for count, _ in shown[1:]), {columns for _, columns in shown[1:]}) == (COUNT, {ALL})
    shown.clear()
    ground.at(10)
    controller.tick()
    assert ("cloud",) not in [names for _, names in shown]


def test_what_a_rule_prints_is_printed_once(ground: Playground, controller: Controller) -> None:
    code = "def detect(record):\n    n = record.deepget('event.number')\n    print(n)\n    return n == 17"
    ground.detection("one", code)
    deploy(ground, controller)
    controller.tick()
    printed = "".join(row["text"] for row in ground.rows(logs, "id"))
    assert printed.count("\n17\n") == 1


# The audit


@pytest.fixture
def mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inference that takes every rule for one that matches nothing."""
    monkeypatch.setattr(knowledge, "infer", lambda *_: Inferred(FALSE, ()))


@pytest.mark.usefixtures("mistaken")
@pytest.mark.parametrize("code", [UNDERSTOOD, OPAQUE, WHOLE], ids=["understood", "opaque", "whole"])
def test_what_the_audit_finds_is_an_alarm_and_a_match(ground: Playground, controller: Controller, code: str) -> None:
    ground.settings(operations=["terminal"], inference={"audit_fraction": 1.0})
    ground.detection("one", code)
    deploy(ground, controller)
    report = controller.tick()
    assert not report.errors
    assert column(ground.rows(matches), "identity") == ["one"]
    [alarm] = [row for row in ground.rows(alerts) if row["identity"] == "trapline"]
    assert (alarm["severity"], alarm["status"]) == ("critical", "open")
    assert alarm["title"] == "Detection one had something to say of records that Trapline kept from it"
    assert "1 record" in alarm["description"]
    controller.deliver()
    assert any("kept from it" in said for said in ground.said)


@pytest.mark.usefixtures("mistaken")
def test_after_a_breach_a_build_is_shown_all_records_until_another_takes_its_place(
    ground: Playground, controller: Controller, shown: list[Any]
) -> None:
    ground.settings(operations=["terminal"], inference={"audit_fraction": 1.0})
    ground.detection("one", UNDERSTOOD)
    deploy(ground, controller)
    controller.tick()
    ground.settings(operations=["terminal"], inference={"audit_fraction": 0})
    later = [{"ts": NOON.replace(minute=7), "event": {"id": "later", "number": 7}}]
    pq.write_table(pa.Table.from_pylist(later), ground.lake / "logs" / "later.parquet")
    deploy(ground, controller)
    ground.at(10)
    with ground.controller() as restarted:
        assert restarted.tick().matches == 1
        ground.detection("one", UNDERSTOOD + "  # another")
        deploy(ground, restarted)
        restarted.tick()
    assert {row["status"] for row in ground.rows(alerts) if row["identity"] == "trapline"} == {"resolved"}


def test_an_audit_that_finds_nothing_says_nothing(ground: Playground, controller: Controller, shown: list[Any]) -> None:
    ground.settings(operations=["terminal"], inference={"audit_fraction": 1.0})
    ground.detection("one", UNDERSTOOD)
    deploy(ground, controller)
    shown.clear()
    assert controller.tick().matches == 1
    assert (sum(count for count, _ in shown), {columns for _, columns in shown}) == (COUNT, {ALL})
    assert column(ground.rows(alerts), "identity") == ["one"]


# What is asked of an engine


def test_of_a_scan_no_more_is_wanted_than_its_rules_want() -> None:
    numbered = Known(FALSE, exact=True, reads=None)
    opaque = Known(reads=frozenset({Read(("user", "name"), whole=True)}))
    assert wanted_by([numbered], [None], audit=0.5) == Wanted(frozenset(), (Part(FALSE),), 0.5)
    both = wanted_by([numbered, opaque, opaque], [None, "n = 1", "n = 1"], audit=0)
    assert both == Wanted(opaque.reads, (Part(FALSE), Part(TRUE, "n = 1")))
    assert both.wheres == ("n = 1",)
    assert wanted_by([opaque, Known()], [None, None], audit=0).reads is None


def test_a_build_whose_script_is_not_known_is_shown_everything(ground: Playground, controller: Controller) -> None:
    ground.detection("one", UNDERSTOOD)
    deploy(ground, controller)
    [deployment] = controller.ledger.running().values()
    rules = Rules(controller.ledger)
    assert rules.of(deployment).exact
    assert rules.of(replace(deployment, build_digest=type(deployment.build_digest)("0" * 64))) == Known()
