"""Of every official detection it is understood which records it is about, and which of their columns it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import FALSE, TRUE, paths
from trapline.detection.inference.reads import reads_of
from trapline.detection.inference.spell import spelled
from trapline.detection.load import load
from trapline.detection.model import Detection, File, Mode

PROJECT = Path(__file__).parents[2]
FILES = {
    str(path.relative_to(PROJECT)): File(content=path.read_bytes())
    for folder in ("detections", "lib")
    for path in (PROJECT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
PACK = {each.path.rpartition("/")[2]: each for each in load(FILES).detections if each.mode is Mode.RECORD}
KINDS = {("event", "provider"), ("event", "action")}
"""What tells the calls of AWS apart."""
ASLEEP = {"console_login_outside_own_networks"}
"""Those that find nothing until `lib/organization.py` is filled in."""


@pytest.mark.parametrize("name", PACK)
def test_what_a_detection_is_about_is_understood(name: str) -> None:
    detection = PACK[name]
    predicate = infer(*_code(detection)).predicate
    if name in ASLEEP:
        assert predicate == FALSE
        return
    assert predicate not in (TRUE, FALSE)
    assert paths(predicate) & KINDS, spelled(predicate)


@pytest.mark.parametrize("name", [name for name, one in PACK.items() if not one.requirements])
def test_what_a_detection_reads_is_known(name: str) -> None:
    """A library that is not ours may remember something from one record to the next."""
    assert reads_of(*_code(PACK[name]))


def _code(detection: Detection) -> tuple[bytes, dict[str, bytes]]:
    return detection.files[detection.script].content, dict(detection.modules)
