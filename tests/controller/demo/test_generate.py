"""The demonstration's deliveries: repeatable, as many as asked for, and with an attack for every detection."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trapline.demo.generate import generate
from trapline.tables.imports import import_cloudtrail

END = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
PACK = Path(__file__).parents[3] / "detections"


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The default deliveries as records, and what was planted among them."""
    home = tmp_path_factory.mktemp("demo")
    planted = generate(home / "deliveries", seed=7, end=END)
    assert import_cloudtrail(home / "deliveries", home / "table").problems == ()
    files = sorted((home / "table").rglob("*.parquet"))
    return planted, [record for path in files for record in pq.ParquetFile(path).read().to_pylist()]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.gz")}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = generate(tmp_path / "a", seed=7, end=END, events=300)
    assert generate(tmp_path / "b", seed=7, end=END, events=300) == first
    assert generate(tmp_path / "c", seed=8, end=END, events=300) == first, "the story stays, the day around it differs"
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


@pytest.mark.parametrize("hours", [1, 2, 30])
def test_events_are_as_many_as_asked_for_and_inside_their_time(tmp_path, hours):
    generate(tmp_path / "deliveries", seed=7, end=END, hours=hours, events=400)
    result = import_cloudtrail(tmp_path / "deliveries", tmp_path / "table")
    assert result.events == 400
    assert END - timedelta(hours=hours) <= result.first <= result.last < END


def test_a_time_in_another_zone_is_the_same_time(tmp_path):
    elsewhere = END.astimezone(datetime.now().astimezone().tzinfo)
    assert generate(tmp_path / "a", seed=7, end=END, events=300) == generate(
        tmp_path / "b", seed=7, end=elsewhere, events=300
    )
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_fewer_events_than_the_attacks_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="more than the 3 asked for"):
        generate(tmp_path, seed=7, end=END, events=3)


def test_deliveries_lie_as_in_a_bucket(tmp_path):
    generate(tmp_path, seed=7, end=END, events=300)
    for path in tmp_path.rglob("*.gz"):
        account, _, region, time, _ = path.name.split("_")
        folder = Path("AWSLogs") / account / "CloudTrail" / region / time[:4] / time[4:6] / time[6:8]
        assert path.parent.relative_to(tmp_path) == folder
        records = json.loads(gzip.decompress(path.read_bytes()))["Records"]
        assert {record["awsRegion"] for record in records} == {region}


def test_the_day_is_like_a_real_one(demo):
    _, records = demo
    assert len({record["event"]["id"] for record in records}) == 5000
    assert all(record["aws"]["cloudtrail"]["unmapped"] is None for record in records)
    kinds = Counter(record["aws"]["cloudtrail"]["user_identity"]["type"] for record in records)
    assert kinds.keys() == {"IAMUser", "AssumedRole", "AWSService", "Root"}
    assert any(record["user"]["name"] is None for record in records)
    assert len({record["cloud"]["region"] for record in records}) >= 4
    codes = Counter(record["error"]["code"] for record in records if record["error"])
    assert codes["ThrottlingException"] > 10
    assert codes["AccessDenied"] > 10


def test_what_is_planted_is_of_the_pack_and_says_what_it_is(demo):
    planted, _ = demo
    assert {name for attack in planted for name in attack.detections} <= {
        path.name for path in PACK.iterdir() if path.is_dir()
    }
    assert all(attack.what.endswith(".") for attack in planted)


def test_the_brute_force_is_longer_than_a_tick(demo):
    _, records = demo
    failures = [
        record["ts"]
        for record in records
        if record["event"]["action"] == "ConsoleLogin" and record["source"]["ip"] == "198.51.100.23"
    ]
    assert max(failures) - min(failures) > timedelta(minutes=5)
