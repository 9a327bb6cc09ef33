"""The flags that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner, Result

from trapline.cli.options import window_options
from trapline.window import Window

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trapline.cli.options.system_clock", lambda: NOW)


def run(*arguments: str) -> tuple[Result, list[Window]]:
    seen: list[Window] = []

    @click.command()
    @window_options("7d")
    def command(window: Window) -> None:
        seen.append(window)

    return CliRunner().invoke(command, arguments), seen


@pytest.mark.parametrize(
    ("arguments", "window"),
    [
        ([], Window(NOW - timedelta(days=7), NOW)),
        (["--since", "1d12h"], Window(NOW - timedelta(hours=36), NOW)),
        (["--since", "2026-11-01"], Window(datetime(2026, 11, 1, tzinfo=UTC), NOW)),
        (["--since", "2026-11-21T12:00:00+01:00"], Window(NOW - timedelta(hours=25), NOW)),
        (
            ["--since", "1d", "--until", "2026-11-02T06:00:00Z"],
            Window(*(datetime(2026, 11, d, 6, tzinfo=UTC) for d in (1, 2))),
        ),
        (["--since", "1d", "--until", "1d"], Window(NOW - timedelta(days=2), NOW - timedelta(days=1))),
    ],
)
def test_a_window_of_the_past(arguments: list[str], window: Window) -> None:
    assert run(*arguments)[1] == [window]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "often"], "'often' is none: write 30d"),
        (["--since", "0s"], "--since is not before --until"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "--since is not before --until"),
        (["--until", "99999999d"], "is none: write 30d"),
    ],
)
def test_what_is_none_is_told(arguments: list[str], said: str) -> None:
    result = run(*arguments)[0]
    assert (result.exit_code, said in result.output) == (2, True), result.output
