"""`trapline tables list` and `tables show`, as a user reads them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from pyiceberg.catalog import load_catalog

from tests.playground import NOON, Playground, deploy
from trapline.cli import cli
from trapline.clock import system_clock
from trapline.deploy.memory import Memory
from trapline.state.costs import Costs
from trapline.state.database import Database

SETTINGS: dict[str, Any] = {
    "catalogs": {"lake": {"type": "sql", "uri": "sqlite:///catalog.db", "warehouse": "warehouse"}},
    "tables": {
        "logs": {"path": "lake/logs"},
        "logins": {"iceberg": {"catalog": "lake", "table": "security.logins"}},
        "fresh": {"iceberg": {"catalog": "lake", "table": "security.fresh"}},
    },
}
SCHEMA = pa.schema(
    {
        "ts": pa.timestamp("us", "UTC"),
        "event": pa.struct({"id": pa.string(), "kind": pa.list_(pa.string())}),
    }
)


def make_lake(home: Path) -> None:
    catalog = load_catalog("lake", type="sql", uri=f"sqlite:///{home}/catalog.db", warehouse=str(home))
    catalog.create_namespace("security")
    catalog.create_table("security.logins", SCHEMA).append(pa.Table.from_pylist([{"ts": NOON}], SCHEMA))
    catalog.create_table("security.fresh", SCHEMA)
    catalog.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a folder, two Iceberg tables of which one is empty, and a detection on one of them."""
    ground = Playground(tmp_path_factory.mktemp("ground"))
    ground.settings(**SETTINGS)
    ground.detection("one")
    ground.records(5)
    make_lake(ground.home)
    with ground.controller() as controller:
        deploy(ground, controller)
    database, today = Database.in_home(ground.home), system_clock()
    for days, size in ((0, 1_000), (6, 20_000), (7, 300_000)):
        Costs(database).add("logs", ["one"], queries=1, bytes=size, at=today - timedelta(days=days))
    database.close()
    return ground.home


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["tables", *arguments, "--home", str(home)], terminal_width=200)


def lines(result: Result) -> list[list[str]]:
    return [line.split() for line in result.output.splitlines()]


def test_every_table_is_there_with_its_newest_record_and_what_was_read(home: Path) -> None:
    result = run(home, "list")
    assert result.exit_code == 0, result.output
    header, logs, logins, fresh = lines(result)
    assert header[:4] == ["TABLE", "ENGINE", "PLACE", "COLUMNS"]
    age = logs[6]
    assert age.endswith("d")
    assert logs == ["logs", "duckdb", "lake/logs", "3", "2026-01-01", "12:05:00", age, "1", "1.0", "kB", "21.0", "kB"]
    assert logins[2:7] == ["lake:", "security.logins", "3", "2026-01-01", "12:00:00"]
    assert fresh[2:7] == ["lake:", "security.fresh", "3", "-", "-"]


def test_programs_get_all_of_it(home: Path) -> None:
    logs, logins, fresh = json.loads(run(home, "list", "--json").stdout)
    assert logs["detections"] == ["one"]
    assert (logs["bytes_today"], logs["bytes_7_days"]) == (1_000, 21_000)
    assert logins == {
        "name": "logins",
        "engine": "duckdb",
        "place": "lake: security.logins",
        "columns": [
            {"name": "ts", "type": "timestamp[us, tz=UTC]"},
            {"name": "event.id", "type": "string"},
            {"name": "event.kind", "type": "list<string>"},
        ],
        "newest": "2026-01-01T12:00:00Z",
        "detections": [],
        "bytes_today": 0,
        "bytes_7_days": 0,
        "problem": None,
        "remedy": None,
    }
    assert fresh["newest"] is None


def test_one_shows_its_columns(home: Path) -> None:
    result = run(home, "show", "logins")
    assert result.exit_code == 0, result.output
    assert lines(result)[1:3] == [["ts", "timestamp[us,", "tz=UTC]"], ["event.id", "string"]]
    missing = run(home, "show", "login")
    assert missing.exit_code == 1
    assert "did you mean `logins`?" in str(missing.exception)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"path": "nope"}, "nope does not exist"),
        ({"path": "lake/logs", "time": "nope"}, '"nope" not found'),
        ({"iceberg": {"catalog": "lake", "table": "security.login"}}, "did you mean `security.logins`?"),
    ],
)
def test_a_table_that_cannot_be_read_says_why_and_hides_no_other(
    tmp_path: Path, broken: dict[str, Any], said: str
) -> None:
    home = tmp_path / "home"
    database = Database.in_home(home)
    settings = {**SETTINGS, "tables": {"broken": broken, **SETTINGS["tables"]}}
    Memory(database).keep_settings("", yaml.safe_dump(settings, sort_keys=False).encode())
    database.close()
    make_lake(home)
    (home / "lake" / "logs").mkdir(parents=True)
    pq.write_table(pa.table({"when": [NOON]}), home / "lake" / "logs" / "a.parquet")
    result = run(home, "list")
    assert result.exit_code == 1
    assert [line[0] for line in lines(result)[1:5]] == ["broken", "logs", "logins", "fresh"]
    assert lines(result)[3][4:7] == ["3", "2026-01-01", "12:00:00"]
    assert "Traceback" not in result.output
    told = next(line for line in result.output.splitlines() if line.startswith("broken: "))
    assert said in told
    assert run(home, "show", "broken").exit_code == 1
    assert said in " ".join(str(one) for one in json.loads(run(home, "show", "broken", "--json").stdout).values())


def test_a_home_without_tables(tmp_path: Path) -> None:
    Database.in_home(tmp_path / "home").close()
    result = CliRunner().invoke(cli, ["tables", "list", "--home", str(tmp_path / "home")])
    assert (result.exit_code, result.output) == (0, "no tables yet\n")
