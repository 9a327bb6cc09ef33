"""What a detection finds around itself in a sandbox, and what it may ask of the kernel: bubblewrap's, and Docker's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.playground import eventually
from trapline.requirements.lock import Requirements
from trapline.workers.backends.seccomp import _library
from trapline.workers.interface import Backend, Build, Limits, Rule, Worker

BATCH = pa.RecordBatch.from_pydict({"n": [1]})
FORBIDDEN = """
    acct add_key bpf chroot delete_module fanotify_init finit_module fork fsopen init_module io_setup io_uring_setup
    kcmp kexec_load keyctl mbind memfd_create memfd_secret mknod mknodat mount mount_setattr move_mount mq_open msgget
    name_to_handle_at open_by_handle_at open_tree perf_event_open personality pidfd_getfd pidfd_open pivot_root
    process_vm_readv process_vm_writev ptrace quotactl reboot request_key seccomp semget setdomainname sethostname
    setns setpgid setsid setxattr shmget swapon syslog umount2 unshare userfaultfd vfork vmsplice
"""

LOOK = """
import json, os, socket
from pathlib import Path

def detect(record):
    print(json.dumps(look()))

def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0
"""
ROOMS = """
def kind(file):
    try:
        text = os.readlink(f"/proc/self/fd/{file}")
    except OSError:  # that of the listing
        return "nothing"
    return "unnamed file" if text.endswith("(deleted)") else text.split(":")[0]

def look():
    found = {"writable": [], "packages": []}
    for folder, folders, files in os.walk("/"):
        if folder in ("/proc", "/sys"):
            folders.clear()
            continue
        if not refused(lambda: Path(folder, "here").touch()):
            found["writable"].append(folder)
        if folder.endswith("-packages"):
            found["packages"] += folders + files
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return found | {name: status[name].split() for name in ("CapEff", "CapPrm", "NoNewPrivs", "Seccomp", "Uid")} | {
        "networks": [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]],
        "processes": [name for name in os.listdir("/proc") if name.isdecimal()],
        "files": sorted({kind(name) for name in os.listdir("/proc/self/fd")}),
        "host": socket.gethostname(),
    }
"""
CALLS = """
import ctypes

libc = ctypes.CDLL(None, use_errno=True)

def errno_of(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(argument) for argument in arguments))
    return ctypes.get_errno() if result < 0 else 0

def look():
    # With arguments that the kernel would call invalid, were it ever asked.
    return {name: errno_of(number, *[2**64 - 1] * 6) for name, number in NUMBERS.items()} | {
        "an int of 64 bits": errno_of(NUMBERS["socket"], 2**32 + socket.AF_INET, socket.SOCK_STREAM, 0),
        "TIOCSTI": errno_of(NUMBERS["ioctl"], 0, 0x5412, 0),
        "TIOCSTI with noise": errno_of(NUMBERS["ioctl"], 0, 2**32 + 0x5412, 0),
        "a thread in a namespace": errno_of(NUMBERS["clone"], 0x10000 | 0x20000, 0, 0, 0, 0),
    }
"""
SOCKETS = """
import subprocess

def look():
    families = {name: refused(socket.socket, getattr(socket, name)) for name in dir(socket) if name.startswith("AF_")}
    open_to = [name for name, errno in families.items() if not errno]
    pair = socket.socketpair()
    pair[0].setblocking(False)
    return {
        "families": open_to,
        "processes": [refused(os.fork), refused(os.popen, "true"), refused(os.posix_spawn, "/x", ["x"], {})],
    }
"""
THREADS = """
import threading
from concurrent.futures import ThreadPoolExecutor

def look():
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda n: n * n, range(4)))
    stop, started = threading.Event(), 0
    try:
        while started < 200:
            threading.Thread(target=stop.wait).start()
            started += 1
    except RuntimeError:
        pass
    finally:
        stop.set()
    return {"squares": squares, "started": started}
"""
NUMPY = """
import numpy

def look():
    matrix = numpy.random.default_rng(7).random((200, 200))
    return {"right": bool(numpy.allclose(matrix @ numpy.linalg.inv(matrix), numpy.eye(200)))}
"""


@pytest.fixture(
    params=[
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def walled(request: pytest.FixtureRequest) -> Backend:
    """Each backend that is a security boundary."""
    chosen: Backend = request.getfixturevalue(f"{request.param}_backend")
    return chosen


Look = Callable[..., dict[str, Any]]


@pytest.fixture
def start(walled: Backend, build_of: Callable[..., Build]) -> Iterator[Callable[..., Worker]]:
    with ExitStack() as ends:

        def start(script: str, *, requirements: Path | None = None, limits: Limits | None = None) -> Worker:
            build = build_of(script, requirements=requirements)
            walled.build(build)
            ends.callback(walled.remove, [build.digest])
            worker = walled.start(build.digest, Rule("demo", "detect.py", "record"), limits or Limits())
            ends.callback(worker.close)
            return worker

        yield start


@pytest.fixture
def look(start: Callable[..., Worker]) -> Look:
    """What `look()` of a script says from inside."""

    def look(script: str, **options: Any) -> dict[str, Any]:
        reply = start(LOOK + script, **options).run(BATCH)
        assert reply.failures == ()
        found: dict[str, Any] = json.loads(reply.log)
        return found

    return look


def test_nothing_is_there_but_what_a_rule_needs(look: Look, walled: Backend) -> None:
    found = look(ROOMS)
    assert found["writable"] == ["/tmp"]
    assert found["networks"] == ["lo"]
    assert found["CapEff"] == found["CapPrm"] == ["0000000000000000"]
    assert (found["NoNewPrivs"], found["Seccomp"]) == (["1"], ["2"])
    assert "0" not in found["Uid"]
    assert len(found["processes"]) <= 2  # itself, and bubblewrap's first process
    assert set(found["files"]) <= {"/dev/null", "pipe", "socket", "unnamed file", "nothing"}
    if walled.name == "bubblewrap":
        assert found["packages"] == []
        assert found["host"] == "trapline"


def test_system_calls_that_a_rule_has_no_use_for(look: Look) -> None:
    names = [*FORBIDDEN.split(), "clone3", "socket", "ioctl", "clone"]
    numbers = {name: number for name in names if (number := _number(name)) >= 0}
    assert len(numbers) > 50
    found = look(f"NUMBERS = {numbers}\n{CALLS}")
    assert found.pop("clone3") == 38  # ENOSYS, so that the C library tries clone
    assert {name: errno for name, errno in found.items() if errno != 1} == {}


def test_sockets_and_processes(look: Look) -> None:
    found = look(SOCKETS)
    assert found["families"] == ["AF_UNIX"]
    assert found["processes"] == [1, 1, 1]


def test_threads_up_to_the_limit(look: Look) -> None:
    found = look(THREADS, limits=Limits(pids=24))
    assert found["squares"] == [0, 1, 4, 9]
    assert 10 < found["started"] < 24


def test_the_kernel_tells_how_many_threads_a_worker_has(start: Callable[..., Worker]) -> None:
    script = (
        "import threading\ndef detect(r):\n    threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    worker = start(script)
    before = worker._channel.threads()  # type: ignore[attr-defined]
    for more in (1, 2):
        worker.run(BATCH)
        # What watched over the batch may not have ended yet.
        eventually(lambda: worker._channel.threads() == before + more, within=5)  # type: ignore[attr-defined]  # noqa: B023


def test_a_dead_worker_has_no_threads(start: Callable[..., Worker]) -> None:
    worker = start("def detect(r): ...")
    worker.close()
    assert worker._channel.threads() is None  # type: ignore[attr-defined]


def test_two_sandboxes_have_processes_of_their_own(start: Callable[..., Worker]) -> None:
    """Each may use all that it is allowed at the same time."""
    script = LOOK + THREADS + "found = None\ndef detect(record):\n    print(look()['started'])\n"
    workers = [start(script, limits=Limits(pids=40)) for _ in range(2)]
    with ThreadPoolExecutor(2) as both:
        for reply in both.map(lambda worker: worker.run(BATCH), workers):
            assert int(reply.log) > 25


@pytest.mark.network
def test_a_wheel_of_compiled_code_works(look: Look, walled: Backend, tmp_path: Path) -> None:
    python, platform = walled.python()
    requirements = Requirements(tmp_path / "requirements", python=python, platform=platform)
    folder = requirements.fetch(requirements.lock("numpy>=1.26,<3\n", path="requirements.txt"), path="requirements.txt")
    assert look(NUMPY, requirements=folder, limits=Limits(memory_bytes=2**30)) == {"right": True}


def _number(name: str) -> int:
    number: int = _library().seccomp_syscall_resolve_name(name.encode())
    return number
