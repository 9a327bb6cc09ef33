"""A detection's requirements: checked, locked with hashes, fetched on the controller, shared by equal locks."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from trapline.errors import Problem, TraplineError
from trapline.fingerprint import fingerprint
from trapline.requirements.resolver import OUR_OWN, Resolver, ResolverError
from trapline_plugins.text import cut

REQUIREMENTS_FILE = "requirements.txt"
LOCK_FILE = "requirements.lock"
UV_SECONDS = 600.0
STALE = timedelta(hours=1)
"""When what a killed fetch left is nobody's any more: no fetch takes that long."""

_TEMPORARY = ".fetching-"
_QUOTED = 200  # characters of a line that a message repeats, at most
_HASH_OPTION = re.compile(r"\s--hash=\S+")
_NO_WHEEL = re.compile(r"no (usable |compatible )?wheels?\b")
_ANOTHER_INDEX = "on a subsequent index"

_CORRECT_IT = "correct the name or version, or make the package available as a wheel in your index"
_TRIED_AGAIN = "it is tried again by itself; if this lasts, look at the controller's network, index settings and disk"
_ALLOW_BUILDS = (
    "take a version that has one; or set `allow_source_builds: true` in the detection's config, which lets the "
    "package's build code run on the controller"
)
_TRUST_INDEXES = (
    "take a version that the first index has; or, where all indexes are equally trusted, give the controller "
    "UV_INDEX_STRATEGY=unsafe-best-match"
)


class RequirementsError(TraplineError):
    """A detection's requirements cannot be had; `problem` names the file and line.

    `transient` says that its author is not at fault, and that it may work later: an index is away, or the disk is full.
    """

    def __init__(self, problem: Problem, *, transient: bool = False) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.transient = transient


class Requirements:
    """Locks and fetches requirements for one Python and platform, with a cache of fetched folders in `folder`."""

    def __init__(self, folder: Path, *, python: str, platform: str, seconds: float = UV_SECONDS) -> None:
        self._folder = folder
        self._resolver = Resolver(python, platform, seconds)

    def lock_key(self, text: str, *, allow_source_builds: bool = False) -> str:
        """What a lock depends on: the requirements' text, Python and platform, and whether only wheels are taken."""
        return self._digest(text, allow_source_builds)

    def lock(self, text: str, *, path: str, allow_source_builds: bool = False, prefer: str = "") -> str:
        """Resolves requirements to exact versions with hashes. Raises RequirementsError naming file and line.

        `prefer` is a lock whose versions are kept wherever the requirements still allow them.
        """
        check(text, path=path)
        with self._failures(path, text), tempfile.TemporaryDirectory() as scratch:
            source, locked = Path(scratch, REQUIREMENTS_FILE), Path(scratch, LOCK_FILE)
            source.write_text(text)
            locked.write_text(prefer)
            self._resolver.run(
                *("pip", "compile", str(source), "--output-file", str(locked), "--generate-hashes"),
                *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
                allow_source_builds=allow_source_builds,
            )
            return locked.read_text()

    def fetch(self, lock: str, *, path: str, allow_source_builds: bool = False) -> Path | None:
        """The folder with what the lock names installed in it; None where it names nothing.

        Made in a temporary sibling and moved into place whole, so that a kill leaves nothing half-made.
        """
        if not any(_logical_lines(lock)):
            return None
        target = self._target(lock, allow_source_builds)
        # The lines of a lock that we made ourselves say nothing to anybody.
        with self._failures(path, lock if PurePosixPath(path).name == LOCK_FILE else ""):
            if not _touched(target):
                self._install(lock, target, allow_source_builds)
        return target

    def collect(self, keep_locks: Collection[str], *, older_than: timedelta = timedelta(days=7)) -> None:
        """Removes what no lock to be kept stands for and nobody fetched for that long, and what killed fetches left."""
        if not self._folder.is_dir():
            return
        keep = {self._target(lock, allowed).name for lock in keep_locks for allowed in (False, True)}
        for folder in list(self._folder.iterdir()):
            limit = STALE if folder.name.startswith(_TEMPORARY) else older_than
            with suppress(OSError):  # what cannot be removed now may be the next time
                old = folder.stat().st_mtime < time.time() - limit.total_seconds()
                if old and folder.name not in keep:
                    doomed = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self._folder))
                    folder.rename(doomed / "packages")  # gone at once for `fetch`, whatever becomes of the rest
                    shutil.rmtree(doomed, ignore_errors=True)

    def _install(self, lock: str, target: Path, allow_source_builds: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self._folder))
        try:
            pinned, packages = scratch / LOCK_FILE, scratch / "packages"
            pinned.write_text(lock)
            packages.mkdir()
            self._resolver.run(
                *("pip", "install", "-r", str(pinned), "--target", str(packages)),
                *("--no-deps", "--require-hashes", "--link-mode", "copy"),
                allow_source_builds=allow_source_builds,
            )
            try:
                packages.rename(target)
            except OSError:  # another build fetched the same lock meanwhile
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _target(self, lock: str, allow_source_builds: bool) -> Path:
        return self._folder / self._digest(lock, allow_source_builds)[:40]

    def _digest(self, text: str, allow_source_builds: bool) -> str:
        parts = (text, self._resolver.python, self._resolver.platform, "source" if allow_source_builds else "wheels")
        return fingerprint(*(part.encode() for part in parts))

    @contextmanager
    def _failures(self, path: str, text: str) -> Iterator[None]:
        """Turns what can go wrong into our error, with the line of `text` that it names; 0 where it names none."""
        try:
            yield
        except (ResolverError, OSError) as error:
            words = str(error)[:1000]
            transient = isinstance(error, OSError) or error.transient
            message, remedy = self._explained(words, transient=transient)
            problem = Problem(path, _line_named(text, words), "error", "requirement", f"{message}: {words}", remedy)
            raise RequirementsError(problem, transient=transient) from error

    def _explained(self, words: str, *, transient: bool) -> tuple[str, str]:
        if transient:
            return "the packages cannot be had at the moment", _TRIED_AGAIN
        if _NO_WHEEL.search(words):
            resolver = self._resolver
            return f"a package has no wheel for Python {resolver.python} on {resolver.platform}", _ALLOW_BUILDS
        return "the requirements cannot be resolved", _TRUST_INDEXES if _ANOTHER_INDEX in words else _CORRECT_IT


def check(text: str, *, path: str) -> None:
    """Raises RequirementsError for the first line of a requirements file or lock that asks for more than packages.

    A file named requirements.lock must also be one: each line pinned to one version, with hashes. What of the file was
    no UTF-8 is expected as U+FFFD.
    """
    if "\ufffd" in text:
        number = text[: text.index("\ufffd")].count("\n") + 1
        raise RequirementsError(
            Problem(path, number, "error", "requirement", "this is not UTF-8", "save the file as UTF-8")
        )
    for number, line in _logical_lines(text):
        problem = _problem(line, path=path, number=number)
        if problem is None and PurePosixPath(path).name == LOCK_FILE:
            problem = _lock_problem(line, path=path, number=number)
        if problem:
            raise RequirementsError(problem)


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement, and the line that it begins at."""

    number: int
    requirement: Requirement

    @property
    def pinned(self) -> bool:
        """Whether it is of one version alone."""
        return _is_pinned(self.requirement)


def lines(text: str) -> list[Line]:
    """The requirements of a file that `check` has nothing against."""
    return [Line(number, _requirement(line)) for number, line in _logical_lines(text)]


def pins(lock: str) -> frozenset[str]:
    """What a lock decides, as `name==version`, without the hashes that vouch for it."""
    requirements = (line.requirement for line in lines(lock))
    return frozenset(f"{canonicalize_name(found.name)}{found.specifier}" for found in requirements)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined and comments dropped, each with the number of its first line."""
    number, held = 0, list[str]()
    for index, line in enumerate([*text.splitlines(), ""], start=1):  # the empty one ends the last, whatever that says
        if not held:
            number = index
        content = re.sub(r"(^|\s)#.*", "", line)
        held.append(content.removesuffix("\\"))
        if content.endswith("\\"):
            continue
        if joined := " ".join(held).strip():
            yield number, joined
        held.clear()


def _requirement(line: str) -> Requirement:
    return Requirement(_HASH_OPTION.sub("", line))


def _problem(line: str, *, path: str, number: int) -> Problem | None:
    """Only names, versions, extras, markers and hashes: no options, addresses or paths, which could read our disk."""

    def refused(message: str, remedy: str) -> Problem:
        return Problem(path, number, "error", "requirement", message, remedy)

    if line.startswith("-"):
        return refused(
            f"the option {cut(line.split()[0], _QUOTED)!r} is not taken from a detection",
            "name packages only; indexes are set for the controller, with uv's or pip's own settings",
        )
    try:
        requirement = _requirement(line)
    except (InvalidRequirement, RecursionError) as error:
        reason = cut(str(error).split("\n", 1)[0], _QUOTED)
        return refused(f"{cut(line, _QUOTED)!r} is not a requirement: {reason}", "write it as `name==version`")
    if requirement.url:
        return refused(
            f"{cut(requirement.name, _QUOTED)} is asked for by an address", "name a released version: `name==version`"
        )
    if canonicalize_name(requirement.name) in OUR_OWN:
        return refused(
            f"{requirement.name} is Trapline's own package and is never fetched",
            "remove the line: what a rule may use of it is in every sandbox already",
        )
    return None


def _lock_problem(line: str, *, path: str, number: int) -> Problem | None:
    requirement = _requirement(line)
    name = cut(requirement.name, _QUOTED)
    if not _is_pinned(requirement):
        message = f"{name} is not pinned to one version with `==`"
    elif not _HASH_OPTION.search(line):
        message = f"{name} has no hash"
    else:
        return None
    return Problem(path, number, "error", "lock", message, "write the lock with `trapline lock NAME`")


def _is_pinned(requirement: Requirement) -> bool:
    (specifier,) = requirement.specifier if len(requirement.specifier) == 1 else (None,)
    return specifier is not None and specifier.operator in ("==", "===") and not specifier.version.endswith("*")


def _line_named(text: str, words: str) -> int:
    """The first line whose package the words name; where there is none, the file as a whole."""
    named = {canonicalize_name(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", words)}
    lines = ((number, canonicalize_name(re.split(r"[^\w.-]", line)[0])) for number, line in _logical_lines(text))
    return next((number for number, name in lines if name in named), 0)


def _touched(folder: Path) -> bool:
    """Whether it is there; if so, it is marked as used."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True
