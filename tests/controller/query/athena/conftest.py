"""Lakes on the double of Athena."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.athena.double import AthenaDouble, athena_double
from tests.controller.query.athena.lake import Lake


@pytest.fixture(scope="module")
def shared_double() -> Iterator[AthenaDouble]:
    with athena_double() as double:
        double.client = cache(double.client)  # each takes a tenth of a second to make
        yield double


@pytest.fixture
def lake(shared_double: AthenaDouble, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake."""
    shared_double.reset()
    for name, value in {**shared_double.env, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    return Lake(shared_double)


@pytest.fixture
def make_lake(monkeypatch: pytest.MonkeyPatch) -> Callable[[AthenaDouble], Lake]:
    def make(double: AthenaDouble) -> Lake:
        for name, value in {**double.env, "AWS_MAX_ATTEMPTS": "1"}.items():
            monkeypatch.setenv(name, value)
        return Lake(double)

    return make
