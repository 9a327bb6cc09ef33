"""The whole product on Amazon Athena: real boto3 over a real socket, to a double that really runs the SQL."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from tests.athena.double import CONCURRENCY, AthenaDouble, athena_double
from tests.playground import NOON, Playground, column, deploy
from trapline.cli import cli
from trapline.controller import Controller
from trapline.state.schema import alerts, checkpoints, costs, failures, matches

RULES = {
    "understood": 'def detect(record):\n    return record.deepget("event.action") == "bad" and record["n"] > 3\n',
    "opaque": 'def detect(record):\n    return hash(record.deepget("event.action")) == hash("bad")\n',
    "whole": 'def detect(record):\n    return "bad" in str(record.to_dict())\n',
    "helper": (
        'ACTIONS = ("bad", "worse")\n'
        'def is_bad(record):\n    return record.deepget("event.action") in ACTIONS\n'
        'def detect(record):\n    return is_bad(record) and record.deepget("user.name", "").startswith("ro")\n'
        "def title(record):\n    return f\"{record.deepget('user.name')} at {record['ts']:%H:%M}\"\n"
        "def alert_context(record):\n    return record.to_dict()\n"
    ),
    "fails": 'def detect(record):\n    return record["user"]["name"] == "root"\n',
}
BATCH = (
    "def detect(records):\n"
    '    bad = [record for record in records if record["event"]["action"] == "bad"]\n'
    '    yield {"title": f"{len(bad)} of {len(records)}", "record": bad[0]}\n'
)


def rows(count: int = 40) -> pa.Table:
    """Records of noon's hour, of which every fifth is bad, over nested columns with nulls in them."""
    table = pa.Table.from_pylist(
        [
            {
                "ts": NOON + timedelta(minutes=n, milliseconds=n),
                "event": {"id": f"e{n}", "action": "bad" if n % 5 == 0 else "good", "category": ["iam", None]},
                "user": None if n % 7 == 0 else {"name": "root" if n % 2 else "eve"},
                "n": n if n % 11 else None,
                "tags": [("owner", f"o{n}")],
            }
            for n in range(count)
        ],
        pa.schema(
            [
                ("ts", pa.timestamp("ms", "UTC")),
                (
                    "event",
                    pa.struct([("id", pa.string()), ("action", pa.string()), ("category", pa.list_(pa.string()))]),
                ),
                ("user", pa.struct([("name", pa.string())])),
                ("n", pa.int64()),
                ("tags", pa.map_(pa.string(), pa.string())),
            ]
        ),
    )
    return table.append_column("day", pa.array([f"{NOON:%Y-%m-%d}"] * count))


@pytest.fixture(scope="module")
def shared() -> Iterator[AthenaDouble]:
    with athena_double() as double:
        yield double


@pytest.fixture
def double(shared: AthenaDouble, monkeypatch: pytest.MonkeyPatch) -> AthenaDouble:
    shared.reset()
    for name, value in shared.env.items():
        monkeypatch.setenv(name, value)
    return shared


@pytest.fixture
def ground(tmp_path: Path, double: AthenaDouble) -> Playground:
    ground = Playground(tmp_path)
    on_athena(ground, double, {"logs": {"engine": "athena", "partition": "day"}})
    return ground


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def on_athena(ground: Playground, double: AthenaDouble, tables: dict[str, Any], **settings: Any) -> None:
    athena = {"output": double.output, **settings}
    ground.settings(tables=tables, athena=athena, operations=["terminal"], inference={"audit_fraction": 0.2})


def write_rules(ground: Playground) -> None:
    for name, code in RULES.items():
        ground.detection(name, code)
    ground.detection("some", RULES["opaque"], query={"where": "n < 20 AND contains(event.category, 'iam')"})
    ground.batch_detection("batch", BATCH)


def found(ground: Playground) -> dict[str, Any]:
    """All that detections said, but for how they came to see it."""
    said = ("identity", "id", "event_at", "title", "dedupe", "severity", "context", "record")
    return {
        "matches": sorted(str({name: row[name] for name in said}) for row in ground.rows(matches)),
        "failures": sorted((row["identity"], row["record_key"], row["error"]) for row in ground.rows(failures)),
        "alerts": sorted((row["identity"], row["dedupe"], row["match_count"]) for row in ground.rows(alerts)),
    }


def test_athena_and_the_embedded_engine_find_the_same(
    ground: Playground, controller: Controller, double: AthenaDouble, tmp_path: Path
) -> None:
    double.put_table("logs", rows(), partitions=["day"])
    write_rules(ground)
    deploy(ground, controller)
    ground.at(60)
    report = controller.tick()
    assert report.errors == {}
    assert len(report.scans) == 1

    embedded = Playground(tmp_path / "embedded")
    embedded.settings(tables={"logs": {"path": "lake/logs", "partition": "day"}}, inference={"audit_fraction": 0.2})
    folder = embedded.lake / "logs" / f"day={NOON:%Y-%m-%d}"
    folder.mkdir()
    pa.parquet.write_table(rows().drop_columns("day"), folder / "a.parquet")
    write_rules(embedded)
    with embedded.controller() as other:
        deploy(embedded, other)
        embedded.at(60)
        assert other.tick().errors == {}
    assert found(ground) == found(embedded)
    by_rule = Counter(column(ground.rows(matches), "identity"))
    assert by_rule == {"understood": 7, "opaque": 8, "whole": 8, "helper": 3, "fails": 17, "some": 3, "batch": 1}

    states = {query.state for query in double.queries}
    assert states == {"SUCCEEDED"}
    left = double.client("s3").list_objects_v2(Bucket="results")
    assert left.get("KeyCount") == 0, "what queries wrote is removed"
    assert {row["identity"] for row in ground.rows(costs)} == {"", *by_rule}
    assert sum(row["bytes"] for row in ground.rows(costs) if not row["identity"]) == sum(
        query.bytes for query in double.queries
    )


def test_a_backtest_on_athena_says_what_it_takes(
    ground: Playground, double: AthenaDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_athena(ground, double, {"logs": {"engine": "athena", "partition": "day"}}, price_per_tb=10.0**9)
    double.put_table("logs", rows(), partitions=["day"])
    ground.detection("one", RULES["understood"])
    ground.batch_detection("batch", BATCH, '[schedule]\nevery = "30m"\n')
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(ground.repository)
    hour = ["--since", "2026-01-01T12:00", "--until", "2026-01-01T13:00"]
    command = ["backtest", *hour, "--sandbox", "process", "--json", "--home", str(tmp_path / "nowhere")]

    said = json.loads(CliRunner().invoke(cli, command, catch_exceptions=False).stdout)
    found = {one["name"]: (one["matches"], one["windows"]) for one in said["detections"]}
    assert found == {"one": (7, 1), "batch": (2, 2)}
    totals = said["totals"]
    assert totals["bytes_scanned"] == sum(query.bytes for query in double.queries) > 0
    assert totals["price_usd"] == pytest.approx(totals["bytes_scanned"] / 2**40 * 10**9, abs=1e-5)
    assert sum(one["price_usd"] for one in said["detections"]) == pytest.approx(totals["price_usd"], abs=1e-2)

    asked = len(double.queries)
    done = CliRunner().invoke(cli, [*command, "--max-bytes", "10"], catch_exceptions=False)
    assert done.exit_code == 1
    assert all("--max-bytes allows 10 bytes" in one["errors"][0] for one in json.loads(done.stdout)["detections"])
    assert len(double.queries) == asked


def test_what_goes_wrong_in_the_account_is_told_and_loses_nothing(
    ground: Playground, controller: Controller, double: AthenaDouble
) -> None:
    double.put_table("logs", rows(), partitions=["day"])
    ground.detection("one", RULES["understood"])
    deploy(ground, controller)
    ground.at(20)
    double.faults.fail("permissions", times=1)
    report = controller.tick()
    assert "[permissions]" in report.errors["one"]
    assert (report.matches, ground.rows(matches)) == (0, [])
    double.faults.cut_off()
    ground.at(21)
    assert "[cut-off]" in controller.tick().errors["one"]
    [deployment] = controller.ledger.deployments().values()
    assert "cut-off" in deployment.health_message

    double.faults.throttle("StartQueryExecution", times=2, code="TooManyRequestsException")
    double.faults.lose_answer("StartQueryExecution")
    double.faults.fail("internal", times=1)
    ground.at(60)
    report = controller.tick()
    assert report.errors == {}
    assert report.matches == 7
    assert column(ground.rows(checkpoints), "position") == [NOON + timedelta(minutes=60)]
    [deployment] = controller.ledger.deployments().values()
    assert "cut-off" not in deployment.health_message


def test_hundreds_of_detections_stay_within_the_limits_of_an_account(
    ground: Playground, controller: Controller, double: AthenaDouble
) -> None:
    """300 detections on 10 tables every five minutes, as many queries at once as Athena takes by default, and each
    query takes some seconds."""
    tables = [f"table_{number}" for number in range(10)]
    on_athena(ground, double, {name: {"engine": "athena", "partition": "day"} for name in tables})
    for name in tables:
        double.put_table(name, rows(), partitions=["day"])
    for number in range(300):
        # Thirty rules, each on all of the tables: what is equal is built once.
        code = f'def detect(record):\n    return record.deepget("event.id") == "e{number % 30 * 3}"\n'
        ground.detection(f"d{number}", code, tables=[tables[number // 30]])
    deploy(ground, controller)
    double.faults.stall(2.0, times=20)
    for minutes in (5, 10):
        before, started = len(double.queries), time.monotonic()
        ground.at(minutes)
        report = controller.tick()
        assert report.errors == {}
        assert {scan.window.end for scan in report.scans} == {NOON + timedelta(minutes=minutes)}
        assert sorted(len(scan.detections) for scan in report.scans) == [30] * 10
        assert len(double.queries) - before == 10
        assert time.monotonic() - started < 5 * 60, "the next tick is due"
    assert set(column(ground.rows(checkpoints), "position")) == {NOON + timedelta(minutes=10)}
    assert len(ground.rows(matches)) == 10 * 4
    assert at_once(double) <= CONCURRENCY


def at_once(double: AthenaDouble) -> int:
    """How many queries there were at the same time."""
    moments = [(query.submitted, 1) for query in double.queries]
    moments += [(query.ended, -1) for query in double.queries if query.ended]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most
