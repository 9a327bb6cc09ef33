"""Running git: no prompts, no hooks, no surprises in protocols, plain English, and an end to everything it starts."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from git.cmd import Git
from git.exc import GitCommandNotFound

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
_PIECE = 65536
_BLOCK = 512  # bytes; what the shell counts the lengths of files in
_NOT_FOUND = 127  # the exit status of `env` where there is no such command


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
    most: int | None = None,
    largest: int | None = None,
) -> Done:
    """Runs git with `feed` as its input; whatever its exit status, what it left is returned.

    With `most`, and then without `feed`, it is ended once its output is longer than that many bytes. With `largest`, no
    file that it writes gets longer than about that many bytes; it fails instead.
    Raises TimedOut, and SourceError where there is no git.
    """
    options = [part for key, value in (_CONFIG | dict(config or {})).items() for part in ("-c", f"{key}={value}")]
    command = ["git", *options, *arguments]
    if largest is not None:
        command = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(-(-largest // _BLOCK)), *command]
    return run(command, cwd=cwd, timeout=timeout, environment=environment, feed=feed, most=most)


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    feed: bytes = b"",
    most: int | None = None,
) -> Done:
    """Runs git, or one of the programs that it works with, as run_git does."""
    elsewhere = [name for name in _ELSEWHERE if name in os.environ]
    if elsewhere:
        command = ["env", *(f"--unset={name}" for name in elsewhere), *command]
    try:
        # A session of its own: it has no terminal to prompt on, and its helpers (ssh, curl) end with it.
        started = Git(cwd).execute(
            list(command),
            istream=subprocess.PIPE,
            as_process=True,
            env=_ENVIRONMENT | dict(environment or {}),
            start_new_session=True,
        )
    except GitCommandNotFound:
        raise _not_found(command[0]) from None
    process = started.proc
    assert process is not None
    with process:
        try:
            out, said = process.communicate(feed, timeout) if most is None else _read(process, timeout, most)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimedOut from None
            raise
    if elsewhere and process.returncode == _NOT_FOUND:
        raise _not_found(command[1 + len(elsewhere)])
    return Done(process.returncode, out, said.decode(errors="replace"))


def _read(process: subprocess.Popen[bytes], timeout: float, most: int) -> tuple[bytes, bytes]:
    """What `communicate` returns and raises, of a process that is ended once its output is longer than `most`."""
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + timeout
    out, said = bytearray(), bytearray()
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, out)
        pipes.register(process.stderr, selectors.EVENT_READ, said)
        while pipes.get_map() and len(out) <= most:
            ready = pipes.select(deadline - time.monotonic())
            if not ready:
                raise subprocess.TimeoutExpired(process.args, timeout)
            for pipe, _ in ready:
                if piece := os.read(pipe.fd, _PIECE):
                    pipe.data.extend(piece)
                else:
                    pipes.unregister(pipe.fileobj)
    if len(out) > most:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(deadline - time.monotonic())
    return bytes(out), bytes(said)


def _not_found(name: str) -> SourceError:
    return SourceError(
        "unreachable", f"the command `{name}` was not found", remedy=f"install {name} and put it on PATH"
    )
