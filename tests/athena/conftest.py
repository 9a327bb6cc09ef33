from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.athena.asking import Asker, events
from tests.athena.double import athena_double


@pytest.fixture(scope="session")
def asker() -> Iterator[Asker]:
    with athena_double(concurrency=5, rows_per_file=20) as double:
        double.put_table("logs", events(), partitions=["day"], database="sec")
        yield Asker(double)


@pytest.fixture
def ask(asker: Asker) -> Iterator[Asker]:
    """One double for all tests, with the table `logs`."""
    yield asker
    asker.double.faults.clear()


@pytest.fixture
def target() -> Callable[[str], str]:
    """Puts a SELECT into an UNLOAD that writes below a prefix of the test's own."""
    prefix = f"s3://results/{uuid4()}/"
    return lambda select: f"UNLOAD ({select}) TO '{prefix}' WITH (format = 'PARQUET', compression = 'ZSTD')"
