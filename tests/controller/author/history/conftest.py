"""Detections of a checkout, run over the past of a playground."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.playground import NOON, Playground
from trapline.author.checkout import Checkout
from trapline.author.history.run import History, Version, history, lake_of
from trapline.author.workshop import workshop
from trapline.suppressions import Suppressions
from trapline.window import Window

Replay = Callable[..., History]
NOTHING_QUIET = Suppressions()


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path / "ground")


@pytest.fixture
def replay(ground: Playground, tmp_path: Path) -> Replay:
    """Runs all detections of the checkout as they are on disk now over so many minutes around noon."""

    def replay(
        start: float = 0,
        end: float = 60,
        suppressions: Suppressions = NOTHING_QUIET,
        **more: Any,
    ) -> History:
        checkout = Checkout.around(ground.repository)
        window = Window(NOON + timedelta(minutes=start), NOON + timedelta(minutes=end))
        clock = lambda: NOON  # noqa: E731
        with (
            workshop(
                checkout, sandbox="process", base_image=None, now=clock, on_progress=lambda _: None, cache=tmp_path
            ) as place,
            closing(lake_of(checkout, ground.home, clock)) as lake,
        ):
            versions = [Version(one.identity, one, place.build(one)) for one in checkout.detections]
            settings = checkout.settings
            return history(
                versions, window, lake=lake, workshop=place, settings=settings, suppressions=suppressions, **more
            )

    return replay
