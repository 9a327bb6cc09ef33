"""Saves are told of, whatever an editor does to make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trapline.author.saves import saves
from trapline.errors import TraplineError

Soon = Callable[[Iterator[Any]], Any]


def test_what_is_saved_is_told_of_from_the_first_turn_on(tmp_path: Path, soon: Soon) -> None:
    (tmp_path / "detections").mkdir()
    told = saves(tmp_path)
    assert soon(told) == []
    (tmp_path / "detections/detect.py").write_text("1")  # between two turns, as while tests run
    assert soon(told) == ["detections/detect.py"]
    (tmp_path / ".detect.py.swp").write_text("an editor's own")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/index").write_text("git's own")
    (tmp_path / "new").write_text("2")
    (tmp_path / "new").replace(tmp_path / "detections/detect.py")
    assert "detections/detect.py" in soon(told)
    told.close()


def test_what_cannot_be_watched_is_said(tmp_path: Path) -> None:
    with pytest.raises(TraplineError, match="cannot be watched"):
        next(saves(tmp_path / "nowhere"))
