"""`trapline try --once`: what a rule would have made of the past, what it nearly made of it, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.playground import MATCH_BAD, Playground
from trapline.cli import cli
from trapline.errors import TraplineError

RULE = """\
def detect(record):
    return (
        record.deepget("event.action") == "Export"
        and record.deepget("event.outcome") == "failure"
        and record.deepget("user.name") is not None
    )


def title(record):
    return f"{record.deepget('user.name')} exports"
"""
Run = Callable[..., Result]


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playground:
    """A rule `exports` that matches 3 of 60 records, and nearly matches 20 and 5."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ground = Playground(tmp_path)
    ground.detection("exports", RULE, alert={"threshold": 2})
    ground.records(*range(3), event={"action": "Export", "outcome": "failure"}, user={"name": "mallory"})
    ground.records(*range(10, 30), event={"action": "Export", "outcome": "success"}, user={"name": "carol"})
    ground.records(*range(40, 45), event={"action": "Export", "outcome": "failure"}, user={"name": None})
    ground.records(*range(50, 82), event={"action": "List", "outcome": "success"}, user={"name": "dave"})
    monkeypatch.chdir(ground.repository)
    return ground


@pytest.fixture
def run(ground: Playground) -> Run:
    def run(*more: str, name: str = "exports") -> Result:
        window = ["--since", "2026-01-01T12:00:00", "--until", "2026-01-01T14:00:00"]
        command = ["try", name, "--once", "--home", str(ground.home), "--sandbox", "process", *window, *more]
        return CliRunner().invoke(cli, command, catch_exceptions=False)

    return run


def told(result: Result) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def test_what_it_would_have_made_of_the_past(run: Run) -> None:
    result = run("--json")
    said = told(result)
    assert result.exit_code == 0
    counts = {name: said[name] for name in ("records", "matches", "alerts", "failures", "complete")}
    assert counts == {"records": 60, "matches": 3, "alerts": 1, "failures": 0, "complete": True}
    assert said["samples"][0]["whole"] is True
    example = said["examples"][0]
    assert (example["record"], example["at"], example["title"]) == (1, "2026-01-01T12:00:00Z", "mallory exports")
    assert example["fields"] == {"event.action": "Export", "event.outcome": "failure", "user.name": "mallory"}
    assert "mallory exports" in said["alert"]
    assert "matches    3" in said["alert"]


def test_what_is_suppressed_joins_no_alert(ground: Playground, run: Run) -> None:
    entry = "detection: exports, fields: {user.name: mal*}, reason: a drill, owner: soc, expires: 2026-02-01"
    ground.write("suppressions.yml", f"suppressions:\n  - {{{entry}}}\n")
    said = told(run("--json"))
    assert (said["matches"], said["suppressed"], said["alerts"]) == (3, 3, 0)
    assert "3 matches suppressed by suppressions.yml" in run().stdout
    ground.write("suppressions.yml", "suppressions: 7\n")
    assert "suppressions.yml" in run().stderr


def test_near_misses_are_told_by_what_does_not_hold(run: Run) -> None:
    assert told(run("--json"))["near_misses"] == [
        {"but_for": "user.name is not None", "records": 5, "examples": [24, 25, 26]},
        {"but_for": 'event.outcome == "failure"', "records": 20, "examples": [4, 5, 6]},
    ]
    text = run().stdout
    assert "near misses: all of the condition holds but" in text
    assert '  event.outcome == "failure"\n    20 records: #4, #5, #6, ...\n      event.outcome = "success"\n' in text


def test_of_a_rule_in_part_the_rest_is_a_near_miss(ground: Playground, run: Run) -> None:
    odd = 'len({*r["user"].values()} - {"carol", None})'
    code = f'def detect(r):\n    return r["event"]["action"] == "Export" and {odd}'
    ground.detection("part", code)
    near = told(run("--json", name="part"))["near_misses"]
    assert {(one["but_for"], one["records"]) for one in near} >= {("the part of the rule that was not understood", 25)}


def test_what_cannot_be_told_is_said(ground: Playground, run: Run) -> None:
    ground.detection("odd", "def detect(r):\n    return sum(map(len, r)) > 1000\n")
    assert "none to tell of: detect.py:2: " in run(name="odd").stdout
    ground.detection("single", MATCH_BAD)
    assert "none to tell of: its condition has one part only" in run(name="single").stdout


def test_the_parts_of_the_condition_on_one_record(run: Run) -> None:
    probe = told(run("--json", "--record", "4"))["probe"]
    assert (probe["record"], probe["answer"], probe["returned_at"]) == (4, "False", 2)
    assert [(one["depth"], one["text"], one["value"]) for one in probe["values"][1:]] == [
        (1, 'record.deepget("event.action") == "Export"', "True"),
        (2, 'record.deepget("event.action")', "'Export'"),
        (1, 'record.deepget("event.outcome") == "failure"', "False"),
        (2, 'record.deepget("event.outcome")', "'success'"),
        (1, 'record.deepget("user.name") is not None', "not evaluated"),
    ]
    text = run("--record", "4").stdout.splitlines()
    assert text[1] == "record 4: detect answered False at detect.py:2"
    assert text[5].split() == ["4", 'record.deepget("event.outcome")', "==", '"failure"', "False"]
    assert all(len(line) <= 120 for line in text)


def test_a_record_is_named_by_its_id_too(ground: Playground, run: Run) -> None:
    ground.records(90, event={"id": "the-one", "action": "Export", "outcome": "failure"}, user={"name": "eve"})
    assert told(run("--json", "--record", "the-one"))["probe"]["record"] == 61
    with pytest.raises(TraplineError, match="there is no record 'another' in the sample"):
        run("--record", "another")


def test_failures_are_shown_with_their_place(ground: Playground, run: Run) -> None:
    ground.detection("fails", 'def detect(r):\n    return r["user"]["name"].startswith("m")\n')
    result = run(name="fails")
    assert result.exit_code == 1
    assert "3 matches, 1 alert, 5 failures" in result.stdout
    assert "#24  detect.py:2: AttributeError: 'NoneType' object has no attribute 'startswith'" in result.stdout
    probed = run("--record", "24", name="fails")
    assert probed.exit_code == 1
    assert "it failed: detect.py:2: AttributeError" in probed.stdout
    assert "raised AttributeError" in probed.stdout


def test_more_matches_than_a_batch_may_have_are_told_as_a_tick_does(ground: Playground, run: Run) -> None:
    ground.detection("all", "def detect(r):\n    return True\n", limits={"matches": 7})
    assert told(run("--json", name="all"))["matches"] == 60


def test_a_rule_that_always_fails_is_stopped(ground: Playground, run: Run) -> None:
    ground.settings(error_budget={"failures": 10})
    ground.detection("fails", 'def detect(r):\n    return r["nowhere"]\n')
    result = run(name="fails")
    assert "it failed so often that the rest was not tried" in result.stdout


def test_a_rule_that_loops_fails_alone(ground: Playground, run: Run) -> None:
    code = 'def detect(r):\n    while r["user"]["name"] == "mallory": pass\n    return True\n'
    ground.detection("loops", code, limits={"record_timeout": "1s"}, query={"where": "event.action = 'Export'"})
    ground.records(100, event={"action": "Export"}, user={"name": "mallory"})
    result = run("--json", "--since", "2026-01-01T13:30:00", name="loops")
    assert result.exit_code == 1
    assert told(result)["failed"][0]["error"].startswith("it took longer than 1 s")


def test_much_that_is_printed_is_cut(ground: Playground, run: Run) -> None:
    code = "def detect(r):\n    print('x\\x1b[2J' * 200)\n    print('y' * 10_000_000)\n    return False\n"
    ground.detection("prints", code)
    said = run(name="prints").stdout
    assert len(said) < 100_000
    assert "\x1b" not in said
    assert "it printed" in said


def test_a_rule_in_the_batch_format_sees_windows(ground: Playground, run: Run) -> None:
    code = "def detect(records):\n    yield {'record': records[0], 'title': f'{len(records)} records'}\n"
    ground.batch_detection("batch", code, '[schedule]\nevery = "30m"\n')
    said = told(run("--json", name="batch"))
    assert said["matches"] == 3
    assert [one["title"] for one in said["examples"]] == ["23 records", "15 records", "22 records"]
    assert [one["record"] for one in said["examples"]] == [1, 24, 39]
    assert "in 3 windows of its schedule" in run(name="batch").stdout
    assert "the rule was given this record alone" in run("--record", "1", name="batch").stdout


def test_what_does_not_load_is_shown_with_its_place(ground: Playground, run: Run) -> None:
    ground.write("detections/exports/detect.py", "def detect(record:\n")
    result = run()
    assert result.exit_code == 1
    assert "detections/exports/detect.py:1" in result.stderr
    ground.write("detections/exports/detection.yml", "name: [\n")
    assert "detections/exports/detection.yml" in run(name="exports").stderr
    ground.write("trapline.yml", "tables: 7\n")
    assert run().exit_code == 1


def test_one_is_tried_at_a_time(ground: Playground, run: Run) -> None:
    ground.detection("second")
    with pytest.raises(TraplineError, match="'detections' is 2 detections") as error:
        run(name="detections")
    assert "detections/second" in error.value.remedy


@pytest.mark.parametrize(
    ("name", "more", "said", "remedy"),
    [
        ("export", [], "there is no detection 'export'", "did you mean `exports`?"),
        ("lost", [], "there is no table 'log' in trapline.yml", "did you mean `logs`?"),
        ("empty", [], "the table's folder", "correct its path"),
        ("exports", ["--record", "61"], "there is no record '61'", "1 to 60"),
    ],
)
def test_what_is_not_there_is_named(
    ground: Playground, run: Run, name: str, more: list[str], said: str, remedy: str
) -> None:
    ground.detection("lost", tables=["log"])
    ground.settings(tables={"logs": {"path": "lake/logs"}, "empty": {"path": "lake/empty"}})
    ground.detection("empty", tables=["empty"])
    with pytest.raises(TraplineError) as error:
        run(*more, name=name)
    assert said in error.value.message
    assert remedy in error.value.remedy


def test_without_records_there_is_a_word(ground: Playground, run: Run) -> None:
    result = run("--since", "2025-01-01", "--until", "2025-01-02")
    assert result.exit_code == 0
    assert "there are no records to try it on" in result.stdout


def test_nothing_of_the_home_is_changed(ground: Playground, run: Run) -> None:
    before = sorted(path for path in ground.home.rglob("*"))
    run()
    assert sorted(path for path in ground.home.rglob("*")) == before


@pytest.mark.parametrize("more", [["--json"], ["--record", "1"]])
def test_what_goes_with_once_is_said(ground: Playground, more: list[str]) -> None:
    result = CliRunner().invoke(cli, ["try", "exports", *more])
    assert result.exit_code == 2
    assert "go with --once" in result.stderr
