"""`trapline explain`: as a user reads it, in a folder with a lake and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from tests.playground import NOON, Playground
from trapline.cli import cli

CODE = """\
import json

def detect(record):
    if record.deepget("event.action") != "PutBucketPolicy":
        return False
    size = record.deepget("event.size", 0)
    return size > 3 and "*" in json.loads(record.deepget("event.policy"))["Principal"]
"""


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    ground.detection("policy", CODE)
    return ground


def explain(ground: Playground, *arguments: str) -> Result:
    return CliRunner().invoke(
        cli, ["explain", *arguments, "--path", str(ground.repository), "--home", str(ground.home)], terminal_width=200
    )


def test_it_shows_the_predicate_the_sql_the_columns_and_what_was_not_understood(ground: Playground) -> None:
    event = {"id": "1", "action": "PutBucketPolicy", "size": 5, "policy": "{}"}
    pq.write_table(pa.Table.from_pylist([{"ts": NOON, "event": event}]), ground.lake / "logs" / "a.parquet")
    result = explain(ground, "policy")
    assert result.exit_code == 0, result.output
    predicate = 'event.action == "PutBucketPolicy" and'
    assert predicate in result.output
    assert "event.action, event.policy, event.size" in result.output
    sql = " ".join(result.output.partition("in Athena's SQL")[2].split())
    assert '"event"."action" = \'PutBucketPolicy\' AND "event"."size" > 3' in sql
    assert "detections/policy/detect.py:7  `json.loads(" in result.output


def test_what_was_not_understood_in_another_file_is_told_with_that_file(ground: Playground) -> None:
    parsed = "import json\n\ndef parsed(record):\n    return json.loads(record.deepget('event.policy'))\n"
    ground.write("lib/policies.py", parsed)
    ground.write("detections/policy/near.py", parsed.replace("event.policy", "event.size"))
    code = CODE.replace("import json", "from lib.policies import parsed\nfrom near import parsed as sized")
    ground.detection(
        "policy", code.replace('json.loads(record.deepget("event.policy"))', "parsed(record) or sized(record)")
    )
    output = explain(ground, "policy").output
    assert "event.action, event.policy, event.size" in output
    assert "  lib/policies.py:4  `json.loads(" in output
    assert "detect.py" not in output.partition("not understood")[2]
    ground.detection("policy", code.replace('json.loads(record.deepget("event.policy"))', "sized(record)"))
    assert "  detections/policy/near.py:4  `json.loads(" in explain(ground, "policy").output


def test_it_says_for_programs_what_it_says_to_people(ground: Playground) -> None:
    said = json.loads(explain(ground, "policy", "--json").stdout)
    assert said["name"] == "policy"
    assert said["columns"] == ["event.action", "event.policy", "event.size"]
    assert not said["exact"]
    assert [gap["line"] for gap in said["gaps"]] == [7]
    assert said["tables"] == []
    assert "no records yet" in said["tables_without_schema"]["logs"]


def test_a_rule_in_the_batch_format_is_given_everything(ground: Playground) -> None:
    ground.batch_detection("all", "def detect(records):\n    yield from ()")
    result = explain(ground, "all")
    assert result.exit_code == 0
    assert "all records of a window at once" in result.output


def test_a_name_that_is_not_there(ground: Playground) -> None:
    result = explain(ground, "polisy")
    assert result.exit_code != 0
    assert "there is no detection 'polisy'" in str(result.exception)


def test_what_a_type_leaves_open_is_said(ground: Playground) -> None:
    ground.detection("letters", 'def detect(record): return record.deepget("event.tags.owner") == "bob"')
    kind = pa.struct({"id": pa.string(), "tags": pa.map_(pa.string(), pa.string())})
    table = pa.table({"ts": [NOON], "event": pa.array([{"id": "1", "tags": [("owner", "bob")]}], kind)})
    pq.write_table(table, ground.lake / "logs" / "a.parquet")
    result = explain(ground, "letters")
    assert "left open" in result.output
    assert "map" in result.output


# The scan of a table


def test_the_query_of_a_table_and_who_is_in_it(ground: Playground) -> None:
    event = {"id": "1", "action": "PutBucketPolicy", "size": 5, "policy": "{}"}
    pq.write_table(pa.Table.from_pylist([{"ts": NOON, "event": event}]), ground.lake / "logs" / "a.parquet")
    ground.detection(
        "small", 'def detect(record): return record["event"]["size"] > 4', query={"where": "event.id <> ''"}
    )
    ground.detection("off", enabled=False)
    result = explain(ground, "--table", "logs")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "in one query for 2 detections" in lines
    assert "policy those that it may match 3" in lines
    assert "small those that it may match 1 event.id <> ''" in lines
    assert "event.id <> ''" in result.output.partition("the query")[2]
    assert "HASH" not in result.output
    said = json.loads(explain(ground, "--table", "logs", "--json").output)
    assert [member["name"] for member in said["members"]] == ["policy", "small"]
    assert said["estimate"] > 0


def test_who_makes_a_scan_wide_is_said(ground: Playground) -> None:
    pq.write_table(pa.Table.from_pylist([{"ts": NOON, "event": {"id": "1"}}]), ground.lake / "logs" / "a.parquet")
    ground.detection("opaque", 'def detect(record): return hash(record["event"]["id"]) == 1')
    ground.batch_detection("all", "def detect(records):\n    yield from ()")
    output = explain(ground, "--table", "logs").output
    assert "opaque needs all records: detect.py:1: " in output
    assert "all needs all records: it is given all records of a window at once" in output


def test_a_table_that_is_not_there_or_that_nobody_reads(ground: Playground) -> None:
    assert "there is no table 'log'" in str(explain(ground, "--table", "log").exception)
    ground.settings(tables={"logs": {"path": "lake/logs"}, "flows": {"path": "lake/flows"}})
    assert "no enabled detection here reads flows" in str(explain(ground, "--table", "flows").exception)
    assert explain(ground, "policy", "--table", "logs").exit_code == 2
    assert explain(ground).exit_code == 2
