"""Which columns a rule can touch."""

from __future__ import annotations

from typing import NamedTuple

from trapline.detection.inference.predicate import Path


class Read(NamedTuple):
    """One place of a record that is read: the value with everything below it, or only whether there is a value."""

    path: Path
    whole: bool
