"""The pack on real events, in which attack techniques were detonated on purpose among ordinary administration.

`real_events.yml` says which events each detection must find there, by hand and from reading the events. What is not
named there must not be found.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from trapline.tables.imports import import_cloudtrail

FOUND = yaml.safe_load(Path(__file__).with_name("real_events.yml").read_text())


@pytest.fixture(scope="session")
def real_records(real_deliveries, tmp_path_factory):
    table = tmp_path_factory.mktemp("table")
    import_cloudtrail(real_deliveries, table)
    return [record for path in sorted(table.rglob("*.parquet")) for record in pq.ParquetFile(path).read().to_pylist()]


def test_it_finds_the_events_that_it_must_and_no_other(rule, real_records):
    matches = rule.matches(real_records)
    expected = FOUND.get(rule.config.name) or []
    assert sorted(match["record"]["event"]["id"] for match in matches) == sorted(expected)
    assert all(match["dedupe"] for match in matches)
    assert not any("None" in (match["title"] or "") for match in matches)
