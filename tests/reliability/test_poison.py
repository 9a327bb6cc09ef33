"""A controller that is killed while it looks for poison, and while it replays: every record counts once."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.playground import NOON, Playground, column
from tests.reliability.conftest import TRAPLINE, ending, environment
from trapline.state.schema import alerts, failures, matches

COUNT, KILLS = 2_000, 5
POISON = {100: "crashed", 700: "memory", 1301: "timeout", 1302: "raised"}
RULE = """\
import os

def detect(record):
    n = record["n"]
    if n == 100:
        os._exit(3)
    if n == 700:
        return [bytearray(10**7) for _ in range(100)]
    if n == 1301:
        while True:
            pass
    if n == 1302:
        raise ValueError(n)
    return n % 100 == 0 or n > 1990

def dedupe(record):
    return str(record["n"] % 7)
"""
MENDED = 'def detect(record):\n    return record["n"] % 100 == 0 or record["n"] > 1990 or record["n"] in (1301, 1302)\n'
WANTED = {n for n in range(COUNT) if n % 100 == 0 or n > 1990}


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    moments = [NOON + timedelta(seconds=n) for n in range(COUNT)]
    table = pa.table({"ts": moments, "n": range(COUNT), "event": [{"id": f"e{n}"} for n in range(COUNT)]})
    pq.write_table(table, ground.lake / "logs" / "all.parquet")
    ground.detection("one", RULE, limits={"record_timeout": "0.5s", "memory": "200MiB"})
    ground.detection("two", 'def detect(record): return record["n"] == 700\n')
    ground.commit()
    return ground


def once(ground: Playground, *, seconds: float | None = None) -> bool:
    """Runs `trapline controller --once`, killed after so many seconds; whether it got through."""
    options = ["--home", ground.home, "--repository", ground.repository, "--sandbox", "process"]
    command = [*TRAPLINE, "controller", "--once", *map(str, options)]
    with ending(
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    ) as run:
        try:
            run.wait(seconds)
        except subprocess.TimeoutExpired:
            run.kill()
            return False
    return True


def seen(ground: Playground, identity: str) -> Counter[int]:
    return Counter(row["record"]["n"] for row in ground.rows(matches) if row["identity"] == identity)


def test_every_record_counts_once_whatever_is_killed_when(ground: Playground, chance: random.Random) -> None:
    killed = [not once(ground, seconds=chance.uniform(1, 4)) for _ in range(KILLS)]
    assert any(killed)
    assert once(ground)
    assert seen(ground, "one") == Counter(WANTED - set(POISON))
    assert seen(ground, "two") == Counter([700])
    aside = {row["record"]["n"]: row["outcome"] for row in ground.rows(failures)}
    assert aside == POISON
    assert {row["settled_at"] for row in ground.rows(failures)} == {None}

    ground.detection("one", MENDED)
    ground.commit()
    for _ in range(KILLS // 2):
        once(ground, seconds=chance.uniform(1, 4))
    assert once(ground)
    assert seen(ground, "one") == Counter(WANTED | {1301, 1302})
    assert None not in column(ground.rows(failures), "settled_at")
    counted = sum(row["match_count"] for row in ground.rows(alerts) if row["identity"] == "one")
    assert counted == len(WANTED) + 2
