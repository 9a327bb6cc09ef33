"""Which detections two states of a repository have not in common, and what became of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from trapline import suppressions
from trapline.author.change.sides import Side, Sides
from trapline.deploy.digest import version
from trapline.deploy.plan import changed_files
from trapline.detection.model import Detection, File
from trapline.errors import has_errors
from trapline.settings import FILE_NAME


class Kind(StrEnum):
    """What became of a detection."""

    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"
    TURNED_ON = "turned on"
    TURNED_OFF = "turned off"


@dataclass(frozen=True, slots=True)
class Version:
    """A detection as one side has it. `detection` is None where it cannot be used, and `trouble` says why."""

    name: str
    path: str
    detection: Detection | None = None
    trouble: str = ""

    @property
    def off(self) -> bool:
        return self.detection is not None and not self.detection.config.enabled


@dataclass(frozen=True, slots=True)
class Differing:
    """A detection that differs: its version before and now, None where there is none, and the files that differ."""

    identity: str
    kind: Kind
    base: Version | None
    head: Version | None
    files: tuple[str, ...] = ()

    @property
    def now(self) -> Version:
        """The version now, or the last there was."""
        found = self.head or self.base
        assert found is not None
        return found

    @property
    def name(self) -> str:
        return self.now.name

    @property
    def what(self) -> str:
        """What became of it in a few words: `changed: detect.py`."""
        return f"{self.kind.value}: {', '.join(self.files)}" if self.files else self.kind.value


def differing(sides: Sides) -> list[Differing]:
    """Those that differ, and run on either side, by name."""
    base, head = sides.base, sides.head
    before, after = dict(_versions(base, head)), dict(_versions(head, base))
    unread = base.desired.unread | head.desired.unread
    known = [one for one in before.keys() | after.keys() if one.partition("/")[0] not in unread]
    found = [_compared(one, before.get(one), after.get(one), sides) for one in known]
    return sorted((one for one in found if one), key=lambda one: (one.name, one.identity))


def _versions(side: Side, other: Side) -> Iterator[tuple[str, Version]]:
    """Every version of a side by its identity. What cannot be read that far is what the other side has at its path."""
    own = {detection.identity for detection in side.desired.detections}  # these have moved elsewhere
    there = {detection.path: detection for detection in other.desired.detections if detection.identity not in own}
    known = {detection.identity: detection for detection in other.desired.detections}
    for held in (one for one in side.desired.held if one.wanted):
        twin = known.get(held.identity or "") or there.get(held.path)
        identity = twin.identity if twin else held.identity or held.path
        trouble = next(str(problem) for problem in held.problems if has_errors([problem]))
        yield identity, Version(twin.name if twin else identity, held.path, trouble=trouble)
    for detection in side.desired.detections:
        yield detection.identity, Version(detection.name, detection.path, detection)


def _compared(identity: str, base: Version | None, head: Version | None, sides: Sides) -> Differing | None:
    if base is None or base.off:
        if head is None or head.off:
            return None
        return Differing(identity, Kind.NEW if base is None else Kind.TURNED_ON, base, head)
    if head is None or head.off:
        return Differing(identity, Kind.REMOVED if head is None else Kind.TURNED_OFF, base, head)
    if base.detection and head.detection and _same(base.detection, head.detection):
        quiet = sides.quiets_alike(head.detection)
        return None if quiet else Differing(identity, Kind.CHANGED, base, head, (suppressions.FILE_NAME,))
    ours, theirs = _files(sides.head, head), _files(sides.base, base)
    if (base.detection is None or head.detection is None) and ours == theirs:
        return None  # it is broken, and was before
    files = tuple(sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)))
    if head.detection and base.detection:
        files = changed_files(base.detection.files, head.detection) or files
        if head.detection.pack and not files:  # nothing else says anything about it
            files = (FILE_NAME,)
    return Differing(identity, Kind.CHANGED, base, head, files)


def _same(one: Detection, other: Detection) -> bool:
    """Whether a deployment would be the same: the requirements that it names, its files and its configuration are."""
    return version(one, lock="", platform="") == version(other, lock="", platform="")


def _files(side: Side, version: Version) -> dict[str, File]:
    """A version's files as they lie in its folder."""
    prefix = f"{version.path}/"
    return {path.removeprefix(prefix): file for path, file in side.files.items() if path.startswith(prefix)}
