"""What a pack brings: its detections as they run here, what of it is broken, and what is not understood. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trapline.config.words import did_you_mean
from trapline.detection.load import Loaded, load
from trapline.detection.model import Detection, File, pack_folder
from trapline.errors import Problem
from trapline.packs.adapt import adapt
from trapline.packs.choose import is_named, selects, selects_by_name
from trapline.settings import Settings
from trapline.settings.packs import PackSettings
from trapline.source.tree import SourceError, Tree

MAX_BYTES = 16 * 2**20
"""Bytes of code and configs that a pack may have: all of it is looked through, which takes seconds for each million."""

MAX_FILES = 10_000
"""Files in the folders that are looked through: each detection looks up among them what it needs of `lib/`."""

_LOOKED_THROUGH = (".py", ".yml", ".toml")
_PARTS = ("detections/", "lib/")


@dataclass(frozen=True, slots=True)
class Broken:
    """A detection of a pack that does not load. `wanted`: it is asked for by its name."""

    identity: str | None
    path: str
    problems: tuple[Problem, ...]
    wanted: bool


@dataclass(frozen=True, slots=True)
class PackContents:
    """One pack. `detections` are all that load; the `enabled` of their configs says which are used.

    A pack that was never read has none, and is `unread`: nothing can be told of what it has.
    """

    name: str
    revision: str = ""
    detections: tuple[Detection, ...] = ()
    broken: tuple[Broken, ...] = ()
    problems: tuple[Problem, ...] = ()
    unread: bool = False

    @property
    def used(self) -> Sequence[Detection]:
        return [detection for detection in self.detections if detection.config.enabled]


Packs = Callable[[Settings, Mapping[str, File]], Sequence[PackContents]]
"""Gives the packs that some settings name, with the repository's own files at hand; asks nobody else."""


def no_packs(settings: Settings, own: Mapping[str, File]) -> Sequence[PackContents]:
    """Where no packs are at hand."""
    return [PackContents(name, unread=True) for name in settings.packs]


def read_pack(
    name: str, pack: PackSettings, tree: Tree, *, settings: Settings, own: Mapping[str, File]
) -> PackContents:
    """What the pack `name` brings out of `tree`. `own` are the files of the repository that uses it.

    Raises SourceError for more of it than anybody wrote by hand.
    """
    _bounded({path: file for path, file in tree.files.items() if path.startswith(_PARTS)})
    files, problems = _with_replaced(name, pack, tree.files, settings, own)
    loaded = load(files)
    here = f"{pack_folder(name)}/"
    broken = tuple(_broken(name, pack, loaded, path) for path in sorted(loaded.broken))
    wanted = {problem for one in broken if one.wanted for problem in one.problems}
    problems += [
        *_unknown(name, pack, loaded, settings),
        *(found for problem in loaded.problems if (found := _moved(problem, here)) in wanted),
    ]
    return PackContents(
        name,
        tree.revision,
        tuple(adapt(detection, name, pack) for detection in loaded.detections),
        broken,
        tuple(problems),
    )


def _bounded(files: Mapping[str, File]) -> None:
    remedy = "use a smaller one, or name a folder of it with `root`"
    if len(files) > MAX_FILES:
        message = f"the pack has {len(files):,} files in detections/ and lib/, and {MAX_FILES:,} are the most"
        raise SourceError("too-many-files", message, remedy=remedy)
    size = sum(len(file.content) for path, file in files.items() if path.endswith(_LOOKED_THROUGH))
    if size > MAX_BYTES:
        message = f"the pack has {size:,} bytes of code and configs, and {MAX_BYTES:,} are the most"
        raise SourceError("too-large", message, remedy=remedy)


def _broken(name: str, pack: PackSettings, loaded: Loaded, path: str) -> Broken:
    identity = loaded.broken_identity.get(path)
    here = pack_folder(name)
    return Broken(
        identity and f"{name}/{identity}",
        f"{here}/{path}",
        tuple(_moved(problem, f"{here}/") for problem in loaded.broken[path]),
        wanted=is_named(identity or path.rpartition("/")[2], pack),
    )


def _moved(problem: Problem, here: str) -> Problem:
    return replace(problem, path=f"{here}{problem.path}")


def _with_replaced(
    name: str, pack: PackSettings, theirs: Mapping[str, File], settings: Settings, own: Mapping[str, File]
) -> tuple[Mapping[str, File], list[Problem]]:
    """The pack's files with the user's in place of some. One that is not there breaks what needs it, and no more."""
    replaced: dict[str, File] = {}
    problems = []
    for path, with_own in pack.replace.items():
        place = ("packs", name, "replace", path)
        if path not in theirs:
            remedy = did_you_mean(path, theirs) or "name a file of the pack by its path from the pack's root"
            problems.append(settings.problem(place, f"the pack has no file `{path}`", remedy, "no-such-file"))
        elif with_own not in own:
            remedy = did_you_mean(with_own, own) or "add it to this repository, or correct its path"
            problems.append(settings.problem(place, f"there is no file `{with_own}`", remedy, "no-such-file"))
            absent = f"is to be replaced by {with_own}, which is not in the repository"
            replaced[path] = File(content=b"", absent=absent)
        else:
            replaced[path] = own[with_own]
    return {**theirs, **replaced}, problems


def _unknown(name: str, pack: PackSettings, loaded: Loaded, settings: Settings) -> Iterator[Problem]:
    """What is asked for and not there. It holds up nothing else."""
    names = {str(one.name) for one in loaded.detections} | loaded.broken_identities
    for index, selector in enumerate(pack.enable):
        covers = any(selects(selector, one.config) for one in loaded.detections) or selector in names
        if not covers:
            what = (
                f"the pack has no detection `{selector}`" if selects_by_name(selector) else f"`{selector}` covers none"
            )
            yield settings.problem(
                ("packs", name, "enable", index), what, _remedy(selector, names), "unknown-detection"
            )
    for detection in pack.overrides:
        if detection not in names:
            message = f"the pack has no detection `{detection}`"
            place = ("packs", name, "overrides", detection)
            yield settings.problem(place, message, _remedy(detection, names), "unknown-detection")


def _remedy(name: str, names: set[str]) -> str:
    return f"{did_you_mean(name, names)} fix the name, or remove it".strip()
