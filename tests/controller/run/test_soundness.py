"""With inference on and off, the official pack says the same of real events, and of what can be made of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.playground import Playground, deploy
from trapline.alerts.operational import open_alarms
from trapline.run.audit import ALARM
from trapline.state.schema import failures, matches
from trapline.tables.cloudtrail import SCHEMA
from trapline.tables.imports import import_cloudtrail

PROJECT = Path(__file__).parents[3]
ATTACKED = datetime(2023, 7, 10, tzinfo=UTC)
OTHERS = {
    # what the pack does not do: fails on some records, matches many, reads everything, is not understood
    "fails": "def detect(record): return record.deepget('user.name').startswith('bert')",
    "denied": "def detect(record): return record.deepget('error.code') == 'AccessDenied'",
    "whole": "def detect(record): return 'StopLogging' in record.to_json()",
    "opaque": "def detect(record): return len(record.deepget('event.action') or '') > 30",
    "lib": """
from lib import cloudtrail
from lib.cloudtrail import items as several, parameters, succeeded
from lib.organization import is_own_account
from trapline_sandbox.helpers import is_public_ip, wildcard_match

def detect(record):
    if cloudtrail.by_aws(record) or not (succeeded(record) or is_public_ip(record.deepget('source.address'))):
        return False
    if wildcard_match(record.deepget('event.action'), 'Get*', 'list*', ignore_case=True):
        return not is_own_account(record.deepget('cloud.account.id'), record)
    return bool(several(parameters(record).get('instancesSet')))
""",
    "nested": """
def detect(record):
    user = (record.get('aws') or {}).get('cloudtrail', {}).get('user_identity', {})
    return user['type'] == 'IAMUser' and not record['event']['action'].lower().startswith('get')
""",
}


@pytest.fixture(scope="session")
def real_records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = Path(os.environ.get("TRAPLINE_CLOUDTRAIL", PROJECT.parent / "shared" / "data" / "cloudtrail"))
    if not folder.is_dir():
        pytest.skip(f"no real CloudTrail deliveries at {folder}; set TRAPLINE_CLOUDTRAIL to a folder of them")
    table = tmp_path_factory.mktemp("table")
    import_cloudtrail(folder, table)
    return [record for path in sorted(table.rglob("*.parquet")) for record in pq.ParquetFile(path).read().to_pylist()]


def mutated(records: list[dict[str, Any]], random: Random, *, times: int) -> Iterator[dict[str, Any]]:
    """Each record so many times with some of its values taken away, taken from another, or written otherwise."""
    for number, record in enumerate(records * times):
        other = random.choice(records)
        changed = {name: _mutated(value, other[name], random) for name, value in record.items()}
        yield {**changed, "event": {**(changed["event"] or {}), "id": f"mutated {number}"}, "ts": record["ts"]}


def _mutated(value: Any, other: Any, random: Random) -> Any:
    if isinstance(value, Mapping) and random.random() > 0.03:
        other = other if isinstance(other, Mapping) else {}
        return {name: _mutated(inner, other.get(name), random) for name, inner in value.items()}
    if random.random() > 0.1:
        return value
    if isinstance(value, str) and random.random() < 0.4:
        return random.choice([value.upper(), value.lower(), value + " ", value[1:], "", value.replace("i", "İ")])
    return random.choice([None, other])


def found(root: Path, records: list[dict[str, Any]], *, inference: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the pack, and some others, matched and failed on, by the ids of these."""
    ground = Playground(root)
    shutil.copytree(PROJECT / "lib", ground.repository / "lib")
    for folder in (PROJECT / "detections").iterdir():
        if not (folder / "requirements.txt").exists():  # these are built from a package index
            shutil.copytree(folder, ground.repository / "detections" / folder.name)
    for name, code in OTHERS.items():
        ground.detection(name, code, tables=["aws_cloudtrail"])
    (ground.lake / "aws_cloudtrail").mkdir()
    pq.write_table(pa.Table.from_pylist(records, schema=SCHEMA), ground.lake / "aws_cloudtrail" / "all.parquet")
    ground.settings(
        tables={"aws_cloudtrail": {"path": "lake/aws_cloudtrail"}},
        schedule={"start": ATTACKED, "longest_window": "400d"},
        sandbox={"matches": 100_000},
        error_budget={"failures": 100_000},
        inference={"enabled": inference, "audit_fraction": 1.0 if inference else 0.0},
    )
    ground.now = ATTACKED.replace(day=12)
    with ground.controller() as controller:
        deploy(ground, controller)
        report = controller.tick()
        assert not report.errors
        with controller.database.reading() as connection:
            assert open_alarms(connection, kind=ALARM) == []  # the audit looked at every record
    said = {row["id"]: (row["title"], row["dedupe"], row["context"], row["record"]) for row in ground.rows(matches)}
    failed = {row["id"]: (row["error"], row["line"], row["record"]) for row in ground.rows(failures)}
    return said, failed


def test_inference_changes_nothing_that_is_found(real_records: list[dict[str, Any]], tmp_path: Path) -> None:
    records = real_records + list(mutated(real_records, Random(5), times=1))
    on, off = (found(tmp_path / str(inference), records, inference=inference) for inference in (True, False))
    assert len(off[0]) > 300
    assert len(off[1]) > 100
    assert on == off
