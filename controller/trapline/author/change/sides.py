"""Both ends of a change: the repository as it was, and as it is on this disk, each read as a controller reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from trapline.author.change.base import Base
from trapline.author.checkout import Checkout
from trapline.author.packs import packs_of
from trapline.deploy.desired import Desired, read_desired
from trapline.detection.model import Detection, File
from trapline.settings import FILE_NAME


@dataclass(frozen=True, slots=True)
class Side:
    """One state of a repository: its files, and what they ask for."""

    files: Mapping[str, File]
    desired: Desired


@dataclass(frozen=True, slots=True)
class Sides:
    """A change: `base` before it, `head` with it."""

    base: Side
    head: Side

    @property
    def unlike(self) -> list[str]:
        """The file of settings for all detections, where it differs."""
        return [FILE_NAME] if self.base.files.get(FILE_NAME) != self.head.files.get(FILE_NAME) else []

    def quiets_alike(self, detection: Detection) -> bool:
        """Whether the same suppressions hold for a detection before and after."""
        before, after = (
            side.desired.suppressions.concerning(detection.name, detection.identity) for side in (self.base, self.head)
        )
        return before == after


def sides(checkout: Checkout, base: Base) -> Sides:
    """Reads both; where the base's trapline.yml is of no use, the checkout's stands in. Raises SettingsError."""
    tree = checkout.tree
    packs = packs_of(checkout)
    head = read_desired(tree.revision, tree.files, fallback=None, env=os.environ, skipped=tree.skipped, packs=packs)
    before = read_desired(base.commit, base.tree.files, fallback=head.settings_text, env=os.environ, packs=packs)
    return Sides(Side(base.tree.files, before), Side(tree.files, head))
