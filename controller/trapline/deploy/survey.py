"""Looking: what a commit asks for, and what there is, side by side, so that it can be planned."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from trapline.deploy.build import Builder
from trapline.deploy.desired import Desired, read_desired, read_one, with_pins
from trapline.deploy.digest import Version
from trapline.deploy.ledger import Deployment, Ledger
from trapline.deploy.memory import Memory
from trapline.deploy.overrides import Kind, Override, Overrides
from trapline.deploy.packs import HomePacks
from trapline.deploy.plan import Actual, Before, Change, plan
from trapline.detection.model import PACKS, Detection, File
from trapline.detection.shared import FOLDER
from trapline.errors import Problem
from trapline.requirements.lock import Requirements
from trapline.settings import Settings, SettingsError
from trapline.settings import load as load_settings
from trapline.source.git import Mirror
from trapline.source.tree import SourceError, Tree
from trapline.state.logs import Logs
from trapline.workers.interface import Backend, BuildDigest

Versions = dict[str, tuple[Detection, str | None, Version | None]]
"""By its path: a detection, its lock as far as it is known, and the version that these make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What deploying works with in one home."""

    ledger: Ledger
    memory: Memory
    overrides: Overrides
    logs: Logs
    mirror: Mirror
    packs: HomePacks
    home: Path
    root: str
    address: str
    """Which repository, ref and root this is, without any secret."""
    verifies: bool
    """Whether only commits with a good signature are deployed."""
    backend_for: Callable[[Settings], Backend]
    now: Callable[[], datetime]
    on_progress: Callable[[str], None] = lambda _: None
    on_healed: Callable[[BuildDigest], None] = lambda _: None
    """Called for a build that was made again: whatever runs of the one before must end."""
    stopping: Callable[[], bool] = lambda: False
    against_tables: Callable[[Detection, Settings], list[Problem]] = lambda *_: []
    """What a detection asks of its tables that these have not."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One commit beside what there is."""

    desired: Desired
    actual: Actual
    builder: Builder
    _versions: Versions

    def plan(self, *, before: Before = lambda _: None, confirm_prune: bool = False) -> list[Change]:
        """What bringing the commit about would change; `before` gives the files to name those that changed."""
        return plan(self.desired, self.actual, version_of=self.version, before=before, confirm_prune=confirm_prune)

    def version(self, detection: Detection) -> Version | None:
        """The digests of a detection, worked out once for as long as it and its lock stay as they are."""
        lock = self.builder.known_lock(detection)
        known = self._versions.get(detection.path)
        if known is None or known[:2] != (detection, lock):
            known = self._versions[detection.path] = (detection, lock, self.builder.version(detection))
        return known[2]


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read last, and what it was read with."""

    tree: Tree
    fallback: bytes | None
    packs: int
    desired: Desired

    def still_holds(self, tree: Tree, fallback: bytes | None, packs: int) -> bool:
        """Whether reading again would say the same."""
        return self.tree == tree and fallback in (self.fallback, self.desired.settings_text) and self.packs == packs


@dataclass(slots=True)
class Surveyor:
    """Looks at one commit after the other, and reads again only what changed."""

    house: House
    _read: _Read | None = None
    _versions: tuple[str, Versions] = ("", {})
    _pinned: dict[Override, Detection] = field(default_factory=dict)

    def look(self, tree: Tree) -> Survey:
        """Raises SettingsError where neither the tree nor any before has a usable trapline.yml."""
        house = self.house
        git = self._desired(tree)
        backend = house.backend_for(git.settings)
        python, platform = backend.python()
        builder = Builder(
            backend=backend,
            platform=backend.platform(),
            requirements=Requirements(house.home / "requirements", python=python, platform=platform),
            memory=house.memory,
            logs=house.logs,
            settings=git.settings,
            now=house.now,
            on_progress=house.on_progress,
        )
        if self._versions[0] != builder.platform:
            self._versions = (builder.platform, {})
        pins = house.overrides.all(Kind.PINNED)
        built, seals = backend.built(), house.memory.seals()
        actual = Actual(
            deployments=house.ledger.deployments(),
            statuses=house.ledger.statuses(),
            pins=pins,
            suspended=house.overrides.all(Kind.SUSPENDED),
            whole={digest for digest, seal in built.items() if seals.get(digest) == seal},
            moved=house.memory.address() not in ("", house.address),
            touched={digest for digest, seal in built.items() if seals.get(digest) != seal},
        )
        return Survey(with_pins(git, self._pinned_versions(pins)), actual, builder, self._versions[1])

    def _desired(self, tree: Tree) -> Desired:
        last = self.house.memory.settings()
        fallback = last[1] if last else None
        packs = self.house.packs
        known = self._read
        if not (known and known.still_holds(tree, fallback, packs.state)):
            state = packs.state
            desired = read_desired(
                tree.revision,
                tree.files,
                skipped=tree.skipped,
                fallback=fallback,
                suppressed=self.house.memory.suppressions(),
                env=os.environ,
                packs=packs.read,
            )
            known = self._read = _Read(tree, fallback, state, desired)
            platform, versions = self._versions
            paths = {detection.path for detection in desired.detections}
            self._versions = (platform, {path: known for path, known in versions.items() if path in paths})
        return known.desired

    def _pinned_versions(self, pins: Mapping[str, Override]) -> dict[str, Detection]:
        """The detections as they were where they are pinned to; those that can no longer be read are left out."""
        found: dict[str, Detection] = {}
        for identity, pin in pins.items():
            detection = self._pinned.get(pin) or self._read_pinned(pin)
            if detection:
                self._pinned[pin] = found[identity] = detection
        self._pinned = {pin: detection for pin, detection in self._pinned.items() if pin in pins.values()}
        return found

    def _read_pinned(self, pin: Override) -> Detection | None:
        return detection_at(self.house, pin.revision, pin.path)


def detection_at(house: House, revision: str, path: str) -> Detection | None:
    """A detection as it was at a revision; None where that can no longer be read."""
    if path.startswith(f"{PACKS}/"):
        return _packed_at(house, revision, path)
    try:
        files = _files_at(house, revision, path)
    except SourceError:
        return None
    with suppress(SourceError):  # there is none
        files = {**_files_at(house, revision, FOLDER), **files}
    return read_one(files, path)


def _packed_at(house: House, revision: str, path: str) -> Detection | None:
    """A detection of a pack, with what trapline.yml said of the pack at that revision."""
    name = path.split("/")[1]
    try:
        files = house.mirror.read(revision, root=house.root).beneath(house.root).files
        contents = house.packs.at(name, load_settings(files)[0], files)
    except (SourceError, SettingsError):
        return None
    return next((one for one in contents.used if one.path == path), None) if contents else None


def _files_at(house: House, revision: str, folder: str) -> Mapping[str, File]:
    return house.mirror.read(revision, root=posixpath.join(house.root, folder)).beneath(house.root).files


def files_before(house: House) -> Before:
    """How to read the files of a version that is live, where the mirror still has them."""

    def read(live: Deployment) -> Mapping[str, File] | None:
        for version in house.ledger.versions(live.identity):
            if version.deploy_digest == live.deploy_digest:
                detection = detection_at(house, version.revision, version.path)
                return detection.files if detection else None
        return None

    return read
