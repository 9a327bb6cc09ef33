"""The bubblewrap backend: each worker in namespaces of its own, on this machine's Python, without an engine."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from trapline.workers.backends import layout, seccomp, walls
from trapline.workers.backends.child import ENVIRONMENT, Child, count_threads, starting
from trapline.workers.backends.folders import FolderBackend
from trapline.workers.backends.owner import Owner
from trapline.workers.backends.process import rlimits
from trapline.workers.interface import BackendUnavailable, BuildDigest, Limits, Rule, WorkerError
from trapline.workers.worker import SandboxWorker

PROBE_SECONDS = 20.0
_MILLISECONDS = 5000  # for what takes milliseconds
_KERNEL = (5, 14)  # the first that counts processes per user namespace
# Beyond what distributions give to people, services and containers.
_FIRST_USER, _USER_BITS = 0x7000_0000, 28
_OWN_WORDS = re.compile(r"its last words: bwrap: (.*)")
_PROBE = f"""
import json, os, sys
user = int(sys.argv[1])
if user:
    os.setgroups([]), os.setgid(user), os.setuid(user)
def writable(folder):
    try:
        os.close(os.open(folder + "/probe", os.O_CREAT | os.O_WRONLY))
    except OSError:
        return False
    return True
networks = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
folders = [folder for folder in ("/", "{walls.ROOT}", "{walls.SCRATCH}") if writable(folder)]
print(json.dumps({{"networks": networks, "writable": folders}}))
"""
_HARMLESS = {"networks": ["lo"], "writable": [walls.SCRATCH]}


class BubblewrapBackend(FolderBackend):
    """Needs Linux, bubblewrap and libseccomp, and either root or user namespaces that anybody may make."""

    name = "bubblewrap"

    def __init__(self, home: Path, owner: Owner | None = None) -> None:
        """Raises BackendUnavailable where a sandbox cannot be made here, or would not be one."""
        self._as_root = os.geteuid() == 0
        self._program = _program(as_root=self._as_root)
        self._filter = seccomp.for_kernel()
        super().__init__(home, owner)
        self._walls = walls.of_python(Path(self._interpreter))
        # A sandbox ends with the thread that started it: this one lives as long as the backend.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        try:
            self._probe()
        except BaseException:
            self._starter.shutdown()
            raise

    def describe(self) -> str:
        return (
            "bubblewrap: every detection in namespaces of its own without network, capabilities or a writable disk, on "
            f"this machine's Python {platform.python_version()}; its share of the processors is not limited"
        )

    def start(self, digest: BuildDigest, rule: Rule, limits: Limits) -> SandboxWorker:
        """Starts a worker and loads the rule. Raises WorkerError where the script cannot be imported."""
        root = self._root(digest, rule)
        with starting(self._program), self._filter_file() as file, _pipe() as (told, tell):
            command = self._command(root, file, [*layout.FLAGS, walls.ROOT], tell.fileno())
            channel = Sandbox(command, self._owner, pass_fds=(file, tell.fileno()), starter=self._starter)
            tell.close()
            channel.know_first_process(told.fileno())
        # The sandbox is one process, so that what bounds a process bounds the sandbox.
        bounds = rlimits(limits) | {"RLIMIT_NPROC": limits.pids}
        try:
            return SandboxWorker(channel, rule, limits, rlimits=bounds, user=self._user())
        except WorkerError as error:
            if said := _OWN_WORDS.search(error.message):  # the machine's fault, and not the rule's
                raise WorkerError("unavailable", f"bubblewrap made no sandbox: {said[1]}") from error
            raise

    def close(self) -> None:
        self._starter.shutdown()
        super().close()

    def _user(self) -> int | None:
        """A user whom nobody else is: the kernel counts its processes alone, and it may touch nobody else's.

        None where bubblewrap makes a user namespace, in which both is so.
        """
        return _FIRST_USER + secrets.randbits(_USER_BITS) if self._as_root else None

    def _command(self, root: Path, filter_file: int, python: Sequence[str], tell: int | None = None) -> list[str]:
        identity = walls.AS_ROOT if self._as_root else walls.AS_ANYBODY
        told = [] if tell is None else ["--info-fd", str(tell)]
        filtered = ["--seccomp", str(filter_file), *told]
        build = ["--ro-bind", str(root), walls.ROOT]
        bwrap = [self._program, *walls.NAMESPACES, *identity, *filtered, *self._walls, *build, *walls.LAST]
        return [*bwrap, "--", str(Path(self._interpreter).resolve()), *python]

    @contextmanager
    def _filter_file(self) -> Iterator[int]:
        """The filter as an open file; each bubblewrap reads its own."""
        with os.fdopen(os.memfd_create("seccomp"), "w+b", buffering=0) as file:
            file.write(self._filter)
            file.seek(0)
            yield file.fileno()

    def _probe(self) -> None:
        """Makes one sandbox and looks around in it. Raises BackendUnavailable where that is not what it should be."""
        folder = self._owner.scratch()
        folder.chmod(0o777)  # nothing but the sandbox keeps the probe from writing here
        try:
            with self._filter_file() as file:
                command = self._command(folder, file, ["-I", "-S", "-c", _PROBE, str(self._user() or 0)])
                found = self._starter.submit(_run, command, file).result()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackendUnavailable(f"bubblewrap cannot be run: {error}") from error
        finally:
            self._owner.drop(folder)
        words = found.stderr.strip()[-500:]
        if found.returncode:
            raise BackendUnavailable(f"bubblewrap cannot make a sandbox here: {words}", remedy=_remedy(words))
        if json.loads(found.stdout) != _HARMLESS:
            raise BackendUnavailable(f"a sandbox of bubblewrap is none here: from inside it reaches {found.stdout}")


class Sandbox(Child):
    """The channel to a sandbox: bubblewrap outside, the sandbox's first process, and the worker as that one's child."""

    def __init__(
        self, command: list[str], owner: Owner, *, pass_fds: Sequence[int], starter: ThreadPoolExecutor
    ) -> None:
        self._starter = starter  # kept: with its thread the sandbox would end
        self._first: tuple[int, int] | None = None
        self._worker: int | None = None
        super().__init__(command, owner, pass_fds=pass_fds, spawn=self._spawn)

    def know_first_process(self, told: int) -> None:
        """Reads what bubblewrap says about the sandbox, so that its end can be waited for."""
        try:
            text = b""
            while _ready(told) and (piece := os.read(told, 4096)):
                text += piece
            if text:  # else bubblewrap has ended already, which the worker's handshake will find
                first = int(json.loads(text)["child-pid"])
                with suppress(ProcessLookupError):
                    self._first = (first, os.pidfd_open(first))
        except BaseException:
            self.close()
            raise

    def threads(self) -> int | None:
        if self._worker is None and self._first:
            self._worker = _only_child(self._first[0])
        return count_threads(self._worker) if self._worker else None

    def close(self) -> None:
        super().close()
        first, self._first = self._first, None
        if first:
            _ready(first[1])  # a namespace's first process ends as its last one
            os.close(first[1])

    def _spawn(self, *args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        return self._starter.submit(lambda: subprocess.Popen[bytes](*args, **kwargs)).result()


def _program(*, as_root: bool) -> str:
    """Where bubblewrap is. Raises BackendUnavailable where it, or the kernel for it, is missing."""
    if sys.platform != "linux":
        raise BackendUnavailable("the bubblewrap backend needs Linux", remedy="use the docker backend")
    program = shutil.which("bwrap")
    if program is None:
        raise BackendUnavailable("bubblewrap is not installed", remedy="apt-get install bubblewrap")
    kernel = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
    if not as_root and kernel < _KERNEL:
        raise BackendUnavailable(
            f"Linux {platform.release()} cannot bound the processes of a sandbox that is not root's",
            remedy="use Linux 5.14 or newer, or the docker backend",
        )
    return program


def _run(command: list[str], filter_file: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=ENVIRONMENT,
        pass_fds=(filter_file,),
        timeout=PROBE_SECONDS,
        start_new_session=True,
        check=False,
    )


def _remedy(words: str) -> str:
    if "namespace" in words or "uid map" in words or "RTM_NEWADDR" in words:
        return (
            "let this user make user namespaces: sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces "
            "above 0 and, on Ubuntu, kernel.apparmor_restrict_unprivileged_userns=0; inside a container, run the "
            "controller where it may make namespaces"
        )
    return "look whether this machine's Python runs when bubblewrap starts it, or use the docker backend"


def _only_child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if len(children) == 1 else None


def _ready(file: int) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(_MILLISECONDS))


@contextmanager
def _pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A pipe whose ends may be closed earlier."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as told, os.fdopen(writer, "wb", buffering=0) as tell:
        yield told, tell
