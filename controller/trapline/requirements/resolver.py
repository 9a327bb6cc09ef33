"""Running uv: with the machine's own settings, never a look at our own names, a time limit, and a word on whose fault
it was that it failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uv

from trapline.errors import TraplineError
from trapline.requirements.index import find_settings

# Never looked up in an index: whoever registered such a name there would get code into every sandbox.
OUR_OWN = frozenset({"trapline", "trapline-sandbox", "trapline-plugins"})

# uv leaves with 1 where what is asked for cannot be had, and with 2 where it could not find out.
_COULD_NOT_FIND_OUT = 2
_UNREACHABLE = re.compile(r"Failed to (fetch|download)")
_OF_THE_MACHINE = re.compile(r"\(os error \d+\)")  # a full disk


class ResolverError(TraplineError):
    """uv did not do it. `transient` says that it may the next time: an index did not answer, or the disk was full."""

    def __init__(self, words: str, *, transient: bool) -> None:
        super().__init__(words)
        self.transient = transient


@dataclass(frozen=True, slots=True)
class Resolver:
    """uv for one Python and platform. A run that takes longer than `seconds` is ended with all that it started."""

    python: str
    platform: str
    seconds: float

    def run(self, *arguments: str, allow_source_builds: bool) -> None:
        """Raises ResolverError with uv's own words where it fails.

        Without `allow_source_builds` wheels only: building from source runs a package's code here, outside of every
        sandbox.
        """
        settings = find_settings(os.environ)
        with tempfile.TemporaryDirectory() as scratch:
            command = [
                *(uv.find_uv_bin(), "--color", "never", "--no-progress", "--quiet", *arguments, *settings.flags),
                *("--python", sys.executable, "--python-version", self.python, "--python-platform", self.platform),
                *_without_our_own(Path(scratch)),
                *(() if allow_source_builds else ("--only-binary", ":all:")),
            ]
            code, stderr = _run(command, env={**os.environ, **settings.env}, seconds=self.seconds)
        if code:
            unreachable = code == _COULD_NOT_FIND_OUT and _UNREACHABLE.search(stderr)
            transient = bool(unreachable or _OF_THE_MACHINE.search(stderr))
            raise ResolverError(_plain(stderr) or "uv gave no reason", transient=transient)


def _without_our_own(scratch: Path) -> tuple[str, ...]:
    """Flags that leave our names out of every resolution, be it as a dependency or to build one from source.

    The latter knows no exclusions, but an address is taken instead of an index, and this one leads nowhere.
    """
    excludes, constraints = scratch / "excludes.txt", scratch / "build-constraints.txt"
    excludes.write_text("".join(f"{name}\n" for name in sorted(OUR_OWN)))
    wheels = {name: f"file:///never-fetched/{name.replace('-', '_')}-0-py3-none-any.whl" for name in sorted(OUR_OWN)}
    constraints.write_text("".join(f"{name} @ {wheel}\n" for name, wheel in wheels.items()))
    return ("--excludes", str(excludes), "--build-constraints", str(constraints))


def _run(command: list[str], *, env: dict[str, str], seconds: float) -> tuple[int, str]:
    """The exit code and stderr. A build from source may have started more: it ends with uv."""
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            _, stderr = process.communicate(timeout=seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ResolverError(f"it took longer than {seconds:g} s", transient=True) from error
            raise
    return process.returncode, stderr


def _plain(stderr: str) -> str:
    """uv's words as one line, without its layout and the flags that it recommends, which nobody here can give."""
    words = re.sub(r"\b(error|cause): ", "", " ".join(stderr.split()))
    return re.sub(r" \(i\.e\., with `--[^)]*\)| If all indexes are equally trusted.*", "", words).strip()
