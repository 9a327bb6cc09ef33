"""A home into whose table records land, and what its tests do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.playground import NOON, Playground, deploy, eventually
from trapline.controller import Controller
from trapline.state.schema import landed


def landing(root: Path) -> Playground:
    """A home whose clock is the wall's: what lands has the time of its file."""
    ground = Playground(root)
    ground.now = datetime.now(UTC)
    settings(ground)
    # A file is there already, so that the table has columns.
    ground.records(0, event={"action": "good"}, n=0)
    [seed] = (ground.lake / "logs").iterdir()
    seed.rename(seed.with_name("seed.parquet"))
    return ground


def settings(ground: Playground, stream: Mapping[str, Any] = {"type": "directory", "pause": 0.01}, **more: Any) -> None:
    ground.settings(
        schedule={"start": NOON, "every": "5m", "longest_window": "400d"},
        tables={"logs": {"path": "lake/logs", "stream": dict(stream)}},
        **more,
    )


def listen_until(controller: Controller, done: Callable[[], bool]) -> None:
    """Listens for as long as it takes."""

    def listened() -> bool:
        assert controller.streams() == ["logs"]
        report = controller.listen("logs")
        assert report.errors == {}
        return done()

    eventually(listened)


def ready(ground: Playground, controller: Controller) -> None:
    """Deploys, ticks once, and begins to listen."""
    deploy(ground, controller)
    controller.streams()
    controller.tick()
    controller.streams()
    controller.listen("logs")


def keys(ground: Playground) -> int:
    """How many of the files that came are done."""
    return sum(not row["key"].startswith("seed") for row in ground.rows(landed))
