"""Lakes on the double of Athena."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.athena.double import AthenaDouble, athena_double
from tests.controller.query.athena.lake import Lake


@pytest.fixture(scope="session")
def double() -> Iterator[AthenaDouble]:
    with athena_double() as double:
        double.client = cache(double.client)  # a client takes a tenth of a second to make, an engine three of them
        yield double


@pytest.fixture(scope="session")
def shared(double: AthenaDouble) -> Iterator[Lake]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(double).items():
            patch.setenv(name, value)
        yield Lake(double)


@pytest.fixture
def make_lake(monkeypatch: pytest.MonkeyPatch) -> Callable[[AthenaDouble], Lake]:
    """A lake on a double of its own."""

    def make(double: AthenaDouble) -> Lake:
        for name, value in environment(double).items():
            monkeypatch.setenv(name, value)
        return Lake(double)

    return make


@pytest.fixture
def lake(shared: Lake, make_lake: Callable[[AthenaDouble], Lake]) -> Lake:
    """An empty lake."""
    make_lake(shared.double)
    shared.reset()
    return shared


def environment(double: AthenaDouble) -> dict[str, str]:
    return {**double.env, "AWS_MAX_ATTEMPTS": "1"}
