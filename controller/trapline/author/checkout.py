"""A repository of detections on this disk, as its author has it, and the part of it that somebody asks about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trapline.config.words import did_you_mean
from trapline.detection.load import Loaded, load
from trapline.detection.model import Detection
from trapline.detection.shared import shared_files
from trapline.errors import Problem, TraplineError
from trapline.packs import manifest
from trapline.settings import FILE_NAME, Settings, SettingsError
from trapline.settings import load as load_settings
from trapline.source.tree import Tree
from trapline.source.worktree import read_directory

_A_ROOT_HAS = (FILE_NAME, manifest.FILE_NAME, ".git", "detections")


@dataclass(frozen=True)
class Checkout:
    """`root` is the repository's, `folder` what is asked about, from there: empty for all of it."""

    root: Path
    folder: str
    tree: Tree

    @classmethod
    def around(cls, path: Path) -> Checkout:
        """The one that a file or folder is in: the nearest root upwards; else the path itself."""
        path = path.resolve()
        start = path if path.is_dir() else path.parent
        roots = (one for one in (start, *start.parents) if any((one / name).exists() for name in _A_ROOT_HAS))
        root = next(roots, start)
        folder = "" if start == root else start.relative_to(root).as_posix()
        return cls(root, folder, read_directory(root))

    @cached_property
    def loaded(self) -> Loaded:
        """Every detection of the repository: names may clash with what nobody asked about."""
        has_folder = any(path.startswith("detections/") for path in self.tree.files)
        return load(self.tree.files, root="detections" if has_folder else "")

    @property
    def detections(self) -> Sequence[Detection]:
        """Those that are asked about and load, whatever the others are called. Raises TraplineError where there is none
        to load at all."""
        if not self.asked.detections and not self.asked.broken:
            raise nothing_here()
        return self.asked.detections

    @property
    def broken(self) -> Sequence[Problem]:
        """What is wrong with those that are asked about and do not load."""
        said = (problem for found in self.asked.broken.values() for problem in found)
        return [problem for problem in said if problem.severity == "error"]

    @cached_property
    def asked(self) -> Loaded:
        """What is asked about alone, which in a large repository is read much sooner."""
        if not self.folder:
            return self.loaded
        files = self.tree.files
        asked = {path: file for path, file in files.items() if self.asks_about(path)}
        return load({**shared_files(files), **asked}, root=self.folder)

    @cached_property
    def settings(self) -> Settings:
        """What trapline.yml says; the defaults where it is not there, or cannot be used, as `validate` tells."""
        try:
            return load_settings(self.tree.files)[0]
        except SettingsError:
            return Settings()

    @property
    def within(self) -> Path:
        """Where the root lies in what was checked out: those who review a change know only that."""
        for folder in (self.root, *self.root.parents):
            if (folder / ".git").exists():
                return self.root.relative_to(folder)
        return Path()

    def named(self, name: str, known: Mapping[str, Collection[str]]) -> list[str]:
        """The folders of the detections that somebody means by a name, id or path; `known` has the names of each.

        Raises TraplineError where there is none.
        """
        found = [path for path, names in known.items() if name in names]
        if found:
            return found
        place = Path(name).resolve()
        if place.is_relative_to(self.root):
            folder = place.relative_to(self.root).as_posix()
            found = [path for path in known if folder in (".", path) or path.startswith(f"{folder}/")]
            found += [path for path in known if place.is_file() and folder.startswith(f"{path}/")]
        if not found:
            near = did_you_mean(name, {each for names in known.values() for each in names if each})
            remedy = f"{near} name one by its name, id or folder; `trapline validate` shows what is here".strip()
            raise TraplineError(f"there is no detection {name!r} in {self.root}", remedy=remedy)
        return found

    def asks_about(self, path: str) -> bool:
        """Whether what is at this path, from the root, is asked about."""
        return not self.folder or path == self.folder or path.startswith(f"{self.folder}/")


def nothing_here(packs: Collection[str] = ()) -> TraplineError:
    """That there are no detections where somebody looked for them, nor any turned on of these packs."""
    if packs:
        remedy = f"none of a pack is turned on: `trapline registry enable {min(packs)} all`, or some of it"
        return TraplineError("there are no detections here", remedy=remedy)
    remedy = "a detection is a folder under detections/ with detect.py and detection.yml; `trapline new` begins one"
    return TraplineError("there are no detections here", remedy=remedy)
