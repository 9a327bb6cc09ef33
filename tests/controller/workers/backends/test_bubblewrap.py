"""What is particular to bubblewrap: who makes the sandbox, how it ends, and machines on which it is none."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from trapline.workers.backends import bubblewrap
from trapline.workers.backends.bubblewrap import BubblewrapBackend
from trapline.workers.interface import BackendUnavailable, Build, Limits, Rule, Worker, WorkerError

pytestmark = [pytest.mark.bubblewrap, pytest.mark.usefixtures("bubblewrap")]
BATCH = pa.RecordBatch.from_pydict({"n": [1]})
ANYBODY = 12345
BuildOf = Callable[..., Build]
WORK = """
import json, sys
from pathlib import Path
import pyarrow as pa
from trapline.workers.backends.bubblewrap import BubblewrapBackend
from trapline.workers.interface import Build, BuildDigest, Limits, Rule

script = '''
import json, os, threading
def writable(folder):
    try:
        os.close(os.open(folder + "/here", os.O_CREAT | os.O_WRONLY))
    except OSError:
        return False
    return True
def detect(record):
    folders = [folder for folder, _, _ in os.walk("/") if not folder.startswith("/proc") and writable(folder)]
    threads, stop = [], threading.Event()
    try:
        for _ in range(100):
            threads.append(threading.Thread(target=stop.wait))
            threads[-1].start()
    except RuntimeError:
        threads.pop()
    stop.set()
    print(json.dumps([os.getuid(), len(threads), folders]))
'''
backend = BubblewrapBackend(Path(sys.argv[1], "builds"))
build = Build(BuildDigest("1" * 40), "demo", {"detect.py": (script.encode(), False)}, None)
backend.build(build)
workers = [backend.start(build.digest, Rule("demo", "detect.py", "record"), Limits(pids=24)) for _ in range(2)]
print(json.dumps([json.loads(worker.run(pa.RecordBatch.from_pydict({"n": [1]})).log) for worker in workers]))
for worker in workers:
    worker.close()
backend.close()
"""


def _start(backend: BubblewrapBackend, build: Build) -> Worker:
    backend.build(build)
    return backend.start(build.digest, Rule("demo", "detect.py", "record"), Limits())


def test_without_being_root() -> None:
    """The sandbox is made in a user namespace, which counts its processes apart from all others."""
    python, user = _python_for_anybody(), ANYBODY if os.geteuid() == 0 else None
    path = os.pathsep.join(entry for entry in sys.path if not Path(entry).is_relative_to(sys.base_prefix))
    with tempfile.TemporaryDirectory() as home:  # pytest's own folders are this user's alone
        Path(home).chmod(0o777)
        said = subprocess.run(
            [python, "-c", WORK, home],
            user=user,
            group=user,
            extra_groups=[] if user else None,
            env={"PYTHONPATH": path, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=home,
            check=False,
            capture_output=True,
            text=True,
        )
    assert said.returncode == 0, said.stderr
    for uid, threads, folders in json.loads(said.stdout):
        assert uid == 65534
        assert folders == ["/tmp"]
        assert 10 < threads < 24


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's workers become users of their own")
def test_roots_workers_are_users_that_nobody_else_is(bubblewrap_backend: BubblewrapBackend, build_of: BuildOf) -> None:
    build = build_of("import os\ndef detect(r): print(os.getresuid(), os.getresgid(), os.getgroups())")
    said = []
    for _ in range(2):
        worker = _start(bubblewrap_backend, build)
        said.append(worker.run(BATCH).log)
        worker.close()
    bubblewrap_backend.remove([build.digest])
    assert said[0] != said[1]
    for line in said:
        user = int(line[1:].partition(",")[0])
        assert 0x7000_0000 <= user < 0x8000_0000
        assert line == f"{(user,) * 3} {(user,) * 3} []\n"


def test_closing_leaves_no_process(bubblewrap_backend: BubblewrapBackend, build_of: BuildOf) -> None:
    build = build_of("much = bytearray(300 * 2**20)  # whose end takes the kernel a moment\ndef detect(r): ...")
    worker = _start(bubblewrap_backend, build)
    channel = worker._channel  # type: ignore[attr-defined]
    assert channel.threads() >= 1
    processes = (channel._process.pid, channel._first[0], channel._worker)
    assert all(Path(f"/proc/{pid}").is_dir() for pid in processes)
    worker.close()
    worker.close()
    assert not worker.alive
    for pid in processes:
        status = Path(f"/proc/{pid}/status")
        assert not status.exists() or "zombie" in status.read_text()  # for whoever adopts it to reap
    bubblewrap_backend.remove([build.digest])


def test_a_worker_outlives_the_thread_that_asked_for_it(
    bubblewrap_backend: BubblewrapBackend, build_of: BuildOf
) -> None:
    build, workers = build_of("def detect(r): return True"), []
    thread = threading.Thread(target=lambda: workers.append(_start(bubblewrap_backend, build)))
    thread.start()
    thread.join()
    time.sleep(0.1)
    (worker,) = workers
    assert len(worker.run(BATCH).matches) == 1
    worker.close()
    bubblewrap_backend.remove([build.digest])


def test_the_controllers_files_are_not_there(
    bubblewrap_backend: BubblewrapBackend, build_of: BuildOf, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    secret.chmod(0o644)
    places = [
        str(secret),
        "/etc/passwd",
        "/etc/hostname",
        "/var",
        "/home",
        "/sys",
        "/run",
        os.__file__ + "/..",
        __file__,
    ]
    others = [str(path) for path in Path(pa.__file__).parents[:1]]
    script = (
        f"from pathlib import Path\ndef detect(r):\n    print([p for p in {places + others!r} if Path(p).exists()])"
    )
    worker = _start(bubblewrap_backend, build_of(script))
    assert worker.run(BATCH).log == "[]\n"
    worker.close()


# Machines on which it cannot be had


def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendUnavailable, match="bubblewrap is not installed") as raised:
        BubblewrapBackend(tmp_path / "builds")
    assert raised.value.remedy == "apt-get install bubblewrap"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("bwrap: No permissions to create new namespace, likely because ...", "kernel.unprivileged_userns_clone=1"),
        ("bwrap: setting up uid map: Permission denied", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("bwrap: Unknown option --disable-userns", "docker backend"),
    ],
)
def test_where_it_makes_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, remedy: str) -> None:
    _fake(tmp_path, monkeypatch, f"echo '{words}' >&2; exit 1")
    with pytest.raises(BackendUnavailable) as raised:
        BubblewrapBackend(tmp_path / "builds")
    assert raised.value.message == f"bubblewrap cannot make a sandbox here: {words}"
    assert remedy in raised.value.remedy


def test_where_what_it_makes_is_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake(tmp_path, monkeypatch, 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    with pytest.raises(BackendUnavailable, match="a sandbox of bubblewrap is none here: from inside it reaches"):
        BubblewrapBackend(tmp_path / "builds")


def test_where_it_says_nothing_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake(tmp_path, monkeypatch, "exec sleep 600")
    monkeypatch.setattr(bubblewrap, "PROBE_SECONDS", 0.2)
    with pytest.raises(BackendUnavailable, match=r"bubblewrap cannot be run: .* timed out"):
        BubblewrapBackend(tmp_path / "builds")


def test_where_it_makes_no_more_sandboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_of: BuildOf) -> None:
    """What is the machine's fault is not the rule's."""
    backend = BubblewrapBackend(tmp_path / "builds")
    monkeypatch.setattr(backend, "_walls", ["--ro-bind", "/nonesuch", "/nonesuch"])
    with pytest.raises(WorkerError, match="bubblewrap made no sandbox: Can't find source path /nonesuch") as raised:
        _start(backend, build_of("def detect(r): ..."))
    assert raised.value.outcome == "unavailable"
    backend.close()


def test_a_kernel_that_counts_processes_for_all_sandboxes_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "release", lambda: "5.10.0-28-amd64")
    monkeypatch.setattr(os, "geteuid", lambda: ANYBODY)
    with pytest.raises(BackendUnavailable, match=r"Linux 5\.10\.0-28-amd64 cannot bound the processes"):
        BubblewrapBackend(tmp_path / "builds")


def test_what_it_says_of_itself(bubblewrap_backend: BubblewrapBackend) -> None:
    assert bubblewrap_backend.platform().startswith("bubblewrap ")
    assert "processors is not limited" in bubblewrap_backend.describe()


def _python_for_anybody() -> str:
    """This Python, or another of its version, that users other than root may run."""
    for python in (getattr(sys, "_base_executable", sys.executable), "/usr/bin/python3"):
        ask = [python, "-c", "import sys; print(sys.version_info[:2])"]
        user = ANYBODY if os.geteuid() == 0 else None
        try:
            told = subprocess.run(ask, user=user, check=False, capture_output=True, text=True, cwd="/")
        except OSError:
            continue
        if told.stdout.strip() == str(sys.version_info[:2]):
            return str(python)
    return pytest.skip("no Python that anybody may run")
