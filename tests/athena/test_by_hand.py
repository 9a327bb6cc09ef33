"""The double as a process: run by hand, side by side, and ended with whoever started it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import EndpointConnectionError

from tests.athena.asking import Asker
from tests.athena.double import athena_double

ROOT = Path(__file__).parents[2]


def test_it_runs_by_hand_until_it_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "day=2026-01-01").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "day=2026-01-01" / "x.parquet")
    command = [sys.executable, "-m", "tests.athena", "--port", "0", "--cloudtrail", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as process, _ended(process):
        assert process.stdout is not None and process.stderr is not None
        said = ""
        while "partition: day" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        for name, value in re.findall(r"export (\w+)=(\S+)", said):
            monkeypatch.setenv(name, value)
        table = boto3.client("glue").get_table(DatabaseName="security", Name="aws_cloudtrail")["Table"]
        assert [key["Name"] for key in table["PartitionKeys"]] == ["day"]
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""
    with pytest.raises(EndpointConnectionError):
        boto3.client("glue").get_databases()


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever happens, nobody waits for it for ever."""
    try:
        yield
    finally:
        process.kill()


def test_it_ends_while_queries_run() -> None:
    with athena_double() as double:
        asker = Asker(double)
        many = ", ".join(f"unnest(sequence(1, 100000)) {name} (of_{name})" for name in "abcd")
        asker.wait(asker.start(f"SELECT count(*) AS n FROM {many} WHERE of_a < of_d"), "RUNNING")


def test_it_ends_with_the_process_that_started_it() -> None:
    code = "from tests.athena.double import athena_double\nwith athena_double() as d: print(d.url, flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        process.kill()
    deadline = time.monotonic() + 20
    port = int(url.rpartition(":")[2])
    while _listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _listens(port: int) -> bool:
    entries = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(entry[1].endswith(f":{port:04X}") and entry[3] == "0A" for entry in entries)


def test_two_know_nothing_of_each_other_and_one_is_emptied(ask: Asker) -> None:
    with athena_double() as other:
        other.put_table("logs", pa.table({"a": [1]}), database="sec")
        asker = Asker(other)
        assert asker.rows("SELECT count(*) AS n FROM logs") == [["1"]]
        assert ask.rows("SELECT count(*) AS n FROM logs") == [["48"]]
        other.faults.fail(times=3)
        asker.start("SELECT 1 AS n")
        other.reset()
        assert (other.queries, other.faults.pending) == ([], [])
        assert "SCHEMA_NOT_FOUND" in asker.failure("SELECT count(*) AS n FROM logs")
