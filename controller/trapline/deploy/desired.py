"""The desired state: one resolved commit, sorted into what can be deployed and what is held back, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trapline.detection.check import check
from trapline.detection.load import load
from trapline.detection.model import Detection, File
from trapline.errors import Problem, has_errors
from trapline.packs.contents import PackContents, Packs, no_packs
from trapline.requirements.lock import LOCK_FILE, REQUIREMENTS_FILE, RequirementsError
from trapline.requirements.lock import check as check_requirements
from trapline.settings import FILE_NAME, Settings, SettingsError, parse
from trapline.settings import load as load_settings
from trapline.suppressions import Suppressions, SuppressionsError
from trapline.suppressions import load as load_suppressions
from trapline.suppressions import parse as parse_suppressions


@dataclass(frozen=True, slots=True)
class Held:
    """A detection that is in git but cannot be deployed as it is there. Its last good version stays live."""

    identity: str | None  # None where the config could not even be read that far
    path: str
    problems: tuple[Problem, ...]
    wanted: bool = True
    """Whether somebody asked for it: false for what is broken in a pack, and was not asked for by its name."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What a commit asks for."""

    revision: str
    settings: Settings
    settings_text: bytes
    detections: tuple[Detection, ...]
    held: tuple[Held, ...]
    broken_identities: frozenset[str]
    """Ids and names that could be read from what is held: whoever has one of them is still in the repository."""
    problems: tuple[Problem, ...]
    pinned: frozenset[str] = frozenset()
    """The identities of those among the detections that are here in the version they are pinned to."""
    in_git: Mapping[str, Detection] = field(default_factory=dict)
    """What git has of these, as far as it can be deployed."""
    suppressions: Suppressions = field(default_factory=Suppressions)
    suppressions_text: bytes = b""
    packs: tuple[PackContents, ...] = ()

    @property
    def identities(self) -> frozenset[str]:
        """Everything that is in the commit, deployable or not, as far as its identity can be read."""
        held = {held.identity for held in self.held if held.identity}
        return self.broken_identities | held | {detection.identity for detection in self.detections}

    @property
    def offered(self) -> Sequence[Detection]:
        """What the packs have and is not used, or no longer."""
        return [one for pack in self.packs for one in pack.detections if not one.config.enabled]

    @property
    def unused(self) -> frozenset[str]:
        """The identities of what is offered."""
        return frozenset(one.identity for one in self.offered)

    @property
    def unread(self) -> frozenset[str]:
        """The packs of which nothing can be told: what is live of them is neither there nor gone."""
        return frozenset(pack.name for pack in self.packs if pack.unread)


def read_desired(
    revision: str,
    files: Mapping[str, File],
    *,
    fallback: bytes | None,
    env: Mapping[str, str],
    skipped: Sequence[str] = (),
    suppressed: bytes = b"",
    packs: Packs = no_packs,
) -> Desired:
    """Sorts a commit's files, with what the packs have that it names; `skipped` says what of the commit is not here.

    `fallback` is the last good trapline.yml, used where the commit's cannot be, and `suppressed` the last good
    suppressions.yml. Raises SettingsError where no trapline.yml is usable. Pure: nothing but `files`, `env` and `packs`
    is read.
    """
    settings, text, problems = _read_settings(files, fallback, env)
    problems += _not_read(skipped, files)
    loaded = load(files)
    problems += loaded.problems
    held = [Held(loaded.broken_identity.get(path), path, broken) for path, broken in sorted(loaded.broken.items())]
    brought = tuple(packs(settings, files))
    problems += [problem for pack in brought for problem in pack.problems]
    held += [Held(one.identity, one.path, one.problems, one.wanted) for pack in brought for one in pack.broken]
    ready: list[Detection] = []
    for detection in (*loaded.detections, *(one for pack in brought for one in pack.used)):
        found = check(
            detection,
            tables=settings.tables,
            destinations=settings.destinations,
            ceiling=settings.sandbox.ceiling,
        )
        found += requirement_problems(detection)
        problems += found
        if has_errors(found) and detection.config.enabled:  # turning one off always works
            held.append(Held(detection.identity, detection.path, tuple(found)))
        else:
            ready.append(detection)
    broken = loaded.broken_identities | {one.identity for pack in brought for one in pack.broken if one.identity}
    names = {one.name for one in ready} | {one.identity for one in ready} | broken
    names |= {str(one.name) for pack in brought for one in pack.detections}
    suppressions, suppressions_text, found = _read_suppressions(files, suppressed)
    problems += [*found, *suppressions.unknown(names | {held.identity for held in held if held.identity})]
    return Desired(
        revision,
        settings,
        text,
        tuple(ready),
        tuple(held),
        broken,
        tuple(problems),
        suppressions=suppressions,
        suppressions_text=suppressions_text,
        packs=brought,
    )


def with_pins(desired: Desired, pinned: Mapping[str, Detection]) -> Desired:
    """The desired state with these versions in place of those in git. What is not in git, or turned off, stays so."""
    off = {one.identity for one in desired.detections if not one.config.enabled}
    wanted = desired.identities - off
    pins = {identity: detection for identity, detection in pinned.items() if identity in wanted}
    if not pins:
        return desired
    return replace(
        desired,
        detections=(*(one for one in desired.detections if one.identity not in pins), *pins.values()),
        held=tuple(held for held in desired.held if held.identity not in pins),
        pinned=frozenset(pins),
        in_git={one.identity: one for one in desired.detections if one.identity in pins},
    )


def read_one(files: Mapping[str, File], path: str) -> Detection | None:
    """The detection whose folder is `path`; None where it is not there, or cannot be loaded."""
    return next((detection for detection in load(files).detections if detection.path == path), None)


def requirement_problems(detection: Detection) -> Iterator[Problem]:
    """What is wrong with requirements and lock as they are written, whether or not they can be had."""
    for name in (REQUIREMENTS_FILE, LOCK_FILE):
        if file := detection.files.get(name):
            path = f"{detection.path}/{name}"
            try:
                check_requirements(file.content.decode(), path=path)
            except RequirementsError as error:
                yield error.problem
            except UnicodeDecodeError as error:
                line = file.content.count(b"\n", 0, error.start) + 1
                message = f"byte {error.start} is not UTF-8"
                yield Problem(path, line, "error", "not-utf8", message, "save it as UTF-8")


def _not_read(skipped: Sequence[str], files: Mapping[str, File]) -> Iterator[Problem]:
    for note in skipped:
        path, _, reason = note.partition(": ")
        if path not in files:  # the detection that such a file belongs to says so itself
            remedy = "detections are plain files in the repository itself"
            yield Problem(path, 0, "warning", "not-read", reason, remedy)


def _read_suppressions(files: Mapping[str, File], last: bytes) -> tuple[Suppressions, bytes, list[Problem]]:
    """What the commit says; what was said before, and the errors, where that cannot be used."""
    try:
        return load_suppressions(files)
    except SuppressionsError as error:
        return parse_suppressions(last)[0], last, list(error.problems)


def _read_settings(
    files: Mapping[str, File], fallback: bytes | None, env: Mapping[str, str]
) -> tuple[Settings, bytes, list[Problem]]:
    try:
        settings, problems = load_settings(files, env=env)
    except SettingsError as error:
        if fallback is None:
            raise
        return parse(fallback, env=env)[0], fallback, list(error.problems)
    if FILE_NAME not in files and fallback:
        # A lost file must not stop what runs: without its tables there would be nothing left to read.
        message = "it is gone from the repository; what it said last still holds"
        return (
            parse(fallback, env=env)[0],
            fallback,
            [Problem(FILE_NAME, 0, "error", "no-settings", message, "put it back")],
        )
    return settings, files[FILE_NAME].content if FILE_NAME in files else b"", problems
