"""Every benchmark runs and prints its table. How fast anything is, no test says."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tests.bench.__main__ import BENCHMARKS, main

_MARKS = {
    "push": [pytest.mark.docker],
    "requirement": [pytest.mark.docker, pytest.mark.network],
    "where": [pytest.mark.docker],
    "realtime-latency": [pytest.mark.docker],
    "realtime-rate": [pytest.mark.docker],
    "cold-docker": [pytest.mark.docker],
    **{
        f"sandbox-{name}": [pytest.mark.docker, pytest.mark.bubblewrap] for name in ("start", "batch", "scan", "memory")
    },
}
_FIXTURES = {"docker": "docker_base_image", "bubblewrap": "bubblewrap"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=_MARKS.get(name, [])) for name in BENCHMARKS])
def test_runs(name: str, request: pytest.FixtureRequest) -> None:
    for mark in _MARKS.get(name, []):
        if fixture := _FIXTURES.get(mark.name):
            request.getfixturevalue(fixture)
    done = CliRunner().invoke(main, ["--quick", "--only", name], env={"COLUMNS": "110"}, catch_exceptions=False)
    assert done.exit_code == 0
    assert "NOT MEASURED" not in done.output
    assert "┃" in done.output, "no table was printed"


def test_no_such_benchmark() -> None:
    done = CliRunner().invoke(main, ["--only", "loading,pushes"])
    assert done.exit_code == 2
    assert "there is no pushes" in done.output
