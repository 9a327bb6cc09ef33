"""A detection's requirements: checked, locked with hashes, fetched as wheels on the controller, shared by equal locks.

uv does the resolving and fetching, so the user's own index, certificates and find-links settings are honoured.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import uv
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from trapline.errors import Problem, TraplineError

REQUIREMENTS_FILE = "requirements.txt"
LOCK_FILE = "requirements.lock"

# Never looked up in an index: whoever registered such a name there would get code into every sandbox.
OUR_OWN = frozenset({"trapline", "trapline-sandbox", "trapline-plugins"})

_HASH_OPTION = re.compile(r"\s--hash=\S+")


class RequirementsError(TraplineError):
    """A detection's requirements cannot be had; `problem` names the file and line."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Requirements:
    """Locks and fetches requirements for one Python and platform, with a cache of fetched folders in `folder`."""

    def __init__(self, folder: Path, *, python: str, platform: str) -> None:
        self._folder = folder
        self._python = python
        self._platform = platform

    def lock_key(self, text: str) -> str:
        """What a lock depends on: the requirements' text, the Python and the platform."""
        return hashlib.sha256("\0".join([text, self._python, self._platform]).encode()).hexdigest()

    def lock(self, text: str, *, path: str) -> str:
        """Resolves requirements to exact versions with hashes. Raises RequirementsError naming file and line."""
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch, "requirements.txt")
            source.write_text(text)
            done = self._uv(
                *("pip", "compile", str(source), "--generate-hashes", "--no-header", "--no-annotate"),
                *("--no-emit-index-url", "--no-emit-find-links"),
            )
        if done.returncode:
            raise RequirementsError(_resolution_problem(text, path, done.stderr))
        return done.stdout

    def fetch(self, lock: str, *, path: str) -> Path | None:
        """The folder with what the lock names installed in it; None where it names nothing.

        Made in a temporary sibling and moved into place whole, so that a kill leaves nothing half-made.
        """
        if not any(_logical_lines(lock)):
            return None
        target = self._folder / hashlib.sha256(f"{self._python}\0{self._platform}\0{lock}".encode()).hexdigest()[:40]
        if target.is_dir():
            return target
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".fetching-", dir=self._folder))
        try:
            pinned, packages = scratch / "requirements.lock", scratch / "packages"
            pinned.write_text(lock)
            done = self._uv(
                *("pip", "install", "-r", str(pinned), "--target", str(packages)),
                *("--no-deps", "--require-hashes", "--link-mode", "copy"),
            )
            if done.returncode:
                raise RequirementsError(_resolution_problem(lock, path, done.stderr))
            try:
                packages.rename(target)
            except OSError:  # another build fetched the same lock meanwhile
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target

    def _uv(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Wheels only: building a source distribution would run its code here, outside every sandbox."""
        return subprocess.run(
            [
                *(uv.find_uv_bin(), "--color", "never", "--no-progress", "--quiet", *arguments),
                *("--only-binary", ":all:", "--python", sys.executable),
                *("--python-version", self._python, "--python-platform", self._platform),
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )


def check(text: str, *, path: str) -> None:
    """Raises RequirementsError for the first line of a requirements file or lock that asks for more than packages."""
    for number, line in _logical_lines(text):
        _check_line(line, path=path, number=number)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined and comments dropped, each with the number of its first line."""
    number, held = 0, ""
    for index, line in enumerate(text.splitlines(), start=1):
        if not held:
            number = index
        held += re.sub(r"(^|\s)#.*", "", line)
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        if held.strip():
            yield number, held.strip()
        held = ""
    if held.strip():
        yield number, held.strip()


def _check_line(line: str, *, path: str, number: int) -> None:
    """Only names, versions, extras, markers and hashes: no options, addresses or paths, which could read our disk."""

    def refuse(message: str, remedy: str) -> RequirementsError:
        return RequirementsError(Problem(path, number, "error", "requirement", message, remedy))

    if line.startswith("-"):
        raise refuse(
            f"the option {line.split()[0]!r} is not taken from a detection",
            "name packages only; indexes are set for the controller, with uv's or pip's own settings",
        )
    try:
        requirement = Requirement(_HASH_OPTION.sub("", line))
    except InvalidRequirement as error:
        reason = str(error).split("\n", 1)[0]
        raise refuse(f"{line!r} is not a requirement: {reason}", "write it as `name==version`") from error
    if requirement.url:
        raise refuse(f"{requirement.name} is asked for by an address", "name a released version: `name==version`")
    if canonicalize_name(requirement.name) in OUR_OWN:
        raise refuse(
            f"{requirement.name} is Trapline's own package and is never fetched",
            "remove the line: what a rule may use of it is in every sandbox already",
        )


def _resolution_problem(text: str, path: str, stderr: str) -> Problem:
    """uv's words, with the line of the requirement that they name."""
    words = " ".join(line.strip(" ×╰─▶│├→") for line in stderr.splitlines() if line.strip())
    named = {canonicalize_name(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", words)}
    line = next(
        (number for number, line in _logical_lines(text) if canonicalize_name(re.split(r"[^\w.-]", line)[0]) in named),
        1,
    )
    return Problem(
        path,
        line,
        "error",
        "requirement",
        f"the requirements cannot be resolved: {words[:600] or 'uv gave no reason'}",
        "correct the name or version, or make the package available as a wheel in your index",
    )
