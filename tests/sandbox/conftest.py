"""Records out of Arrow data, through the same bytes that a worker gets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trapline.workers.interface import Sieve
from trapline.workers.wire import batch_frame
from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import PREFIX_BYTES, header_length
from trapline_sandbox.record import Record, records
from trapline_sandbox.rule import Rule
from trapline_sandbox.watch import Watch


def _fields(batch: pa.RecordBatch, sieve: Sieve | None = None) -> Fields:
    raw = memoryview(b"".join(batch_frame(batch, 1, sieve=sieve)))
    body = PREFIX_BYTES + header_length(bytes(raw[:PREFIX_BYTES]))
    header = json.loads(bytes(raw[PREFIX_BYTES:body]))
    buffers = []
    for length in header["buffers"]:
        buffers.append(raw[body : body + length])
        body += length
    assert body == len(raw)
    return Fields(header["batch"], buffers)


@pytest.fixture(scope="session")
def fields_of() -> Callable[..., Fields]:
    return _fields


@pytest.fixture(scope="session")
def record_of() -> Callable[..., Record]:
    """One record out of a plain dict, by way of Arrow."""

    def make(value: dict[str, Any], schema: pa.Schema | None = None) -> Record:
        return records(_fields(pa.RecordBatch.from_pylist([value], schema=schema)), range(1))[0]

    return make


@pytest.fixture
def rule(tmp_path: Path) -> Iterator[Callable[..., Rule]]:
    """Loads a script, as a worker does, and forgets it after the test."""

    def load(script: str, mode: str = "record", **others: str) -> Rule:
        name = "detect.py" if mode == "record" else "detection.py"
        (tmp_path / name).write_text(script)
        for helper, text in others.items():
            (tmp_path / f"{helper}.py").write_text(text)
        return Rule(tmp_path, name, mode, watch=Watch(60, 60))

    before = set(sys.modules)
    sys.path.append(str(tmp_path))
    yield load
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        del sys.modules[name]
