"""Running git: no prompts, no hooks, no surprises in protocols, plain English, and an end to everything it starts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapline.source.tree import SourceError

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
    # What was deployed may be rolled back to, also after a force push.
    "gc.pruneExpire": "never",
    "gc.cruftPacks": "true",
}
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
# Set where we are started from a hook, for instance; they would point git at another repository.
_ELSEWHERE = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
}


class TimedOut(Exception):
    """The command was ended, with all that it had started, because it took too long."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: its exit status, its output, and what it said on stderr."""

    status: int
    out: bytes
    said: str


def run_git(
    arguments: Sequence[str],
    *,
    cwd: Path,
    timeout: float,
    config: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    feed: bytes = b"",
) -> Done:
    """Runs git with `feed` as its input; whatever its exit status, what it left is returned.

    Raises TimedOut, and SourceError where there is no git.
    """
    options = [part for key, value in (_CONFIG | dict(config or {})).items() for part in ("-c", f"{key}={value}")]
    return run(["git", *options, *arguments], cwd=cwd, timeout=timeout, environment=environment, feed=feed)


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    feed: bytes = b"",
) -> Done:
    """Runs git, or one of the programs that it works with, as run_git does."""
    inherited = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        # A session of its own: it has no terminal to prompt on, and its helpers (ssh, curl) end with it.
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=inherited | _ENVIRONMENT | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        name = command[0]
        message = f"the command `{name}` was not found"
        raise SourceError("unreachable", message, remedy=f"install {name} and put it on PATH") from None
    with process:
        try:
            out, said = process.communicate(feed, timeout)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimedOut from None
            raise
    return Done(process.returncode, out, said.decode(errors="replace"))
