from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.athena.asking import Asker, events
from tests.athena.double import AthenaDouble, athena_double


@pytest.fixture(scope="session")
def running_double() -> Iterator[AthenaDouble]:
    with athena_double(concurrency=5, rows_per_file=20) as double:
        double.put_table("logs", events(), partitions=["day"], database="sec")
        yield double


@pytest.fixture
def ask(running_double: AthenaDouble) -> Iterator[Asker]:
    yield Asker(running_double)
    running_double.faults.clear()


@pytest.fixture
def target(running_double: AthenaDouble, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Puts a SELECT into an UNLOAD that writes below a prefix of the test's own."""
    return lambda select: (
        f"UNLOAD ({select}) TO 's3://results/{request.node.name}/' WITH (format = 'PARQUET', compression = 'ZSTD')"
    )
