"""Files in memory -> detections. One broken directory is reported and never holds up another."""

from __future__ import annotations

import gc
import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from trapline.config.words import did_you_mean
from trapline.detection.lint import lint, lint_module
from trapline.detection.model import Detection, File, Mode
from trapline.detection.parse import Parsed, parse
from trapline.detection.shared import shared_files, with_shared
from trapline.errors import Problem, has_errors

CONFIGS = {mode.config: mode for mode in Mode}
SCRIPTS = {mode: mode.script for mode in Mode}
_TWINS_NAMED = 3
_MARKERS = {*CONFIGS, *SCRIPTS.values(), "detection.yaml"}


@dataclass(frozen=True)
class Loaded:
    """What a tree of files holds. `broken` has the directories that did not load, with all that was said of them."""

    detections: tuple[Detection, ...]
    problems: tuple[Problem, ...]
    broken: Mapping[str, tuple[Problem, ...]]
    broken_identities: frozenset[str]
    """The ids and names that could still be read from broken directories, as far as they could."""
    broken_identity: Mapping[str, str]
    """Of those, the one identity of each broken directory: its id, else its name."""


@dataclass(frozen=True)
class _Candidate:
    """One directory that is, or should be, a detection. `detection` is None where it is broken."""

    path: str
    problems: tuple[Problem, ...]
    parsed: Parsed | None = None
    detection: Detection | None = None

    @property
    def identities(self) -> Iterator[tuple[str, str]]:
        for key in ("id", "name"):
            if self.parsed and (value := getattr(self.parsed, key)):
                yield key, value


def load(files: Mapping[str, File], *, root: str = "detections") -> Loaded:
    """Loads every directory beneath `root`, at any depth, that has a detection.yml or detection.toml.

    Among a detection's files are those of `lib/` that it imports.
    """
    shared = shared_files(files)
    with collection_paused():
        candidates = [
            _candidate(path, inside, shared)
            for path, inside in sorted(_directories(files, posixpath.normpath(root)).items())
        ]
    candidates = _without_twins(candidates)
    broken = [candidate for candidate in candidates if candidate.detection is None]
    detections = (candidate.detection for candidate in candidates if candidate.detection)
    return Loaded(
        detections=tuple(sorted(detections, key=lambda detection: detection.name)),
        # What is wrong in a file that several share is said once.
        problems=tuple(dict.fromkeys(problem for candidate in candidates for problem in candidate.problems)),
        broken={candidate.path: candidate.problems for candidate in broken},
        broken_identities=frozenset(value for candidate in broken for _, value in candidate.identities),
        broken_identity={
            candidate.path: first[1] for candidate in broken if (first := next(candidate.identities, None))
        },
    )


@contextmanager
def collection_paused() -> Iterator[None]:
    """Syntax trees are garbage by the million with hardly a circle: looking for some took a quarter of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _directories(files: Mapping[str, File], root: str) -> dict[str, dict[str, File]]:
    """The detection directories with their files; a file belongs to the innermost one that it is in."""
    beneath = [path for path in files if root == "." or path.startswith(f"{root}/")]
    markers = [
        (posixpath.dirname(path) or ".", name) for path in beneath if (name := posixpath.basename(path)) in _MARKERS
    ]
    marked = {directory for directory, _ in markers}
    configured = {directory for directory, name in markers if name not in SCRIPTS.values()}
    inside: dict[str, dict[str, File]] = defaultdict(dict)
    for path in beneath:
        # A script without a config is a mistake only where no detection around it may have it as a helper.
        home = next((above for above in _above(path) if above in configured), None)
        home = home or next((above for above in _above(path) if above in marked), None)
        if home is not None:
            inside[home][path if home == "." else path.removeprefix(f"{home}/")] = files[path]
    return inside


def _above(path: str) -> Iterator[str]:
    """The directories that a file is in, innermost first, ending with the root of the repository."""
    while path := posixpath.dirname(path):
        yield path
    yield "."


def _candidate(path: str, files: Mapping[str, File], shared: Mapping[str, File]) -> _Candidate:
    configs = [name for name in CONFIGS if name in files]
    if len(configs) != 1:
        return _Candidate(path, (_config_missing(path, files, configs),))
    mode = CONFIGS[configs[0]]
    parsed = parse(_join(path, configs[0]), files[configs[0]].content)
    problems = [*_absent(path, files), *parsed.problems, *_scripts(path, files, mode), *_requirements(path, files)]
    own = files
    files, found = with_shared(path, own, shared)
    problems += found
    if parsed.config is None or has_errors(problems):
        return _Candidate(path, tuple(problems), parsed)
    present = {name: file for name, file in files.items() if not file.absent}
    brought = frozenset(files.keys() - own.keys())
    detection = Detection(config=parsed.config, mode=mode, path=path, files=present, shared=brought)
    return _Candidate(path, tuple(problems), parsed, detection)


def _config_missing(path: str, files: Mapping[str, File], configs: list[str]) -> Problem:
    if configs:
        message = "the directory has both detection.yml and detection.toml"
        return Problem(_join(path, configs[1]), 0, "error", "two-configs", message, "keep one of the two formats")
    if "detection.yaml" in files:
        message = "a detection's config is called detection.yml, not detection.yaml"
        return Problem(_join(path, "detection.yaml"), 0, "error", "config-name", message, "rename it to detection.yml")
    mode = next(mode for mode, script in SCRIPTS.items() if script in files)
    config = mode.config
    message = f"{SCRIPTS[mode]} has no {config} beside it"
    remedy = f"add {_join(path, config)} with at least `name` and `tables`"
    return Problem(_join(path, SCRIPTS[mode]), 0, "error", "no-config", message, remedy)


def _absent(path: str, files: Mapping[str, File]) -> Iterator[Problem]:
    for name, file in files.items():
        if file.absent:
            remedy = "the detection would run without it: replace it with a plain file within the limits, or remove it"
            yield Problem(_join(path, name), 0, "error", "file-not-read", f"{name} {file.absent}", remedy)


def _scripts(path: str, files: Mapping[str, File], mode: Mode) -> Iterator[Problem]:
    script = SCRIPTS[mode]
    config = mode.config
    if script not in files:
        other = next((name for name in SCRIPTS.values() if name in files), None) or _near(script, files)
        remedy = f"rename {other} to {script}" if other else f"add {_join(path, script)} with a function `detect`"
        message = f"{config} has no {script} beside it"
        yield Problem(_join(path, config), 0, "error", "no-script", message, remedy)
    for name, file in files.items():
        if name == script:
            yield from lint(path, name, file.content, mode)
        elif name.endswith(".py"):
            yield from lint_module(_join(path, name), file.content)


def _near(script: str, files: Iterable[str]) -> str | None:
    near = did_you_mean(script, [name for name in files if name.endswith(".py")])
    return near.split("`")[1] if near else None


def _requirements(path: str, files: Mapping[str, File]) -> Iterator[Problem]:
    try:
        files.get("requirements.txt", File(content=b"")).content.decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        where = _join(path, "requirements.txt")
        yield Problem(where, line, "error", "not-utf8", f"byte {error.start} is not UTF-8", "save it as UTF-8")


def _without_twins(candidates: list[_Candidate]) -> list[_Candidate]:
    """Detections that share a name or id are all broken: which of them is meant cannot be told."""
    holders: dict[str, dict[str, None]] = defaultdict(dict)
    for candidate in candidates:
        for _, value in candidate.identities:
            holders[value][candidate.path] = None
    return [_checked_for_twins(candidate, holders) for candidate in candidates]


def _checked_for_twins(candidate: _Candidate, holders: Mapping[str, Collection[str]]) -> _Candidate:
    problems = list(candidate.problems)
    for key, value in candidate.identities:
        others = [path for path in islice(holders[value], _TWINS_NAMED + 1) if path != candidate.path][:_TWINS_NAMED]
        if others and candidate.parsed:
            left = len(holders[value]) - 1 - len(others)
            more = f" and {left:,} more" if left else ""
            message = f"the {key} `{value}` is also that of {', '.join(others)}{more}"
            remedy = f"give each detection its own {key}"
            problems.append(_at(candidate.path, candidate.parsed, key, message, remedy))
    twin = len(problems) > len(candidate.problems)
    return replace(candidate, problems=tuple(problems), detection=None if twin else candidate.detection)


def _at(path: str, parsed: Parsed, key: str, message: str, remedy: str) -> Problem:
    code = f"duplicate-{key}"
    if parsed.document:
        return parsed.document.problem((key,), code, message, remedy)
    return Problem(parsed.problems[0].path, 0, "error", code, message, remedy)


def _join(path: str, name: str) -> str:
    return name if path == "." else f"{path}/{name}"
