"""What is particular to the process backend: its folders, and what it leaves behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from trapline.workers.backends import folders
from trapline.workers.backends.owner import Owner
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Build, BuildDigest, Limits, Rule, Worker, WorkerError

BATCH = pa.RecordBatch.from_pydict({"n": [1]})
BuildOf = Callable[..., Build]
BUILD = """
import sys
from pathlib import Path
from trapline.workers.interface import Build, BuildDigest
from trapline.workers.backends.process import ProcessBackend

files = {name: (b"def detect(r): ...", False) for name in ("detect.py", "detection.py")}
build = Build(BuildDigest("1" * 40), "demo", files, Path(sys.argv[2]))
backend = ProcessBackend(Path(sys.argv[1]))
print("ready", flush=True)
backend.build(build)
"""


def _start(backend: ProcessBackend, build: Build, limits: Limits | None = None) -> Worker:
    backend.build(build)
    return backend.start(build.digest, Rule("demo", "detect.py", "record"), limits or Limits())


def test_a_build_that_breaks_off_is_no_build(
    tmp_path: Path, build_of: BuildOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, build = ProcessBackend(tmp_path), build_of("def detect(r): ...")

    def killed(root: Path, _: Build) -> None:
        (root / "__main__.py").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folders, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            backend.build(build)
    assert backend.built() == {}
    backend.build(build)
    assert backend.built().keys() == {build.digest}


def test_what_the_dead_left_is_swept_and_what_the_living_make_is_not(tmp_path: Path) -> None:
    home, neighbour = tmp_path / "builds", Owner(tmp_path / "run")
    backend = ProcessBackend(home)
    dead, old = home / f".tmp-{uuid.uuid4().hex}-1", home / ".tmp-as-it-was-once-named"
    making = home / f".tmp-{neighbour.id}-1"
    for folder in (dead, old, making):
        (folder / "detection").mkdir(parents=True)
    assert backend.built() == {}
    ProcessBackend(home)
    assert list(home.iterdir()) == [making]
    neighbour.release()


def test_builds_can_be_read_whatever_the_umask(tmp_path: Path, build_of: BuildOf) -> None:
    build = build_of("def detect(r): ...", **{"a/b/c__py": ""})
    backend, umask = ProcessBackend(tmp_path), os.umask(0o077)
    try:
        backend.build(build)
    finally:
        os.umask(umask)
    folders = [path for path in (tmp_path / build.digest).rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / build.digest, *folders)} == {0o755}


@pytest.mark.parametrize(
    "alter",
    [
        lambda root: (root / "detection/detect.py").write_text("def detect(r): return 1"),  # as long as it was
        lambda root: (root / "__main__.py").write_text(""),
        lambda root: (root / "detection/more.py").touch(),
        lambda root: (root / "detection/detect.py").unlink(),
        lambda root: (root / "detection/detect.py").chmod(0o755),
        lambda root: (root / "detection").chmod(0o777),
        lambda root: (root / "detection/detect.py").rename(root / "detection/other.py"),
        lambda root: _link(root / "detection/detect.py", to=root / "detection/detection.py"),
        lambda root: shutil.rmtree(root / "trapline_sandbox"),
        lambda root: shutil.rmtree(root),
    ],
    ids=["edit", "empty", "add", "delete", "chmod", "chmod-folder", "rename", "link", "half-removed", "removed"],
)
def test_a_build_that_was_altered_has_another_seal(
    tmp_path: Path, build_of: BuildOf, alter: Callable[[Path], object]
) -> None:
    backend, build, other = ProcessBackend(tmp_path), build_of("def detect(r): return 0"), build_of("")
    seals = {each.digest: backend.build(each) for each in (build, other)}
    assert backend.built() == seals
    alter(tmp_path / build.digest)
    assert backend.built().get(build.digest) != seals[build.digest]
    assert backend.built()[other.digest] == seals[other.digest]
    backend.remove([build.digest])
    assert backend.build(build) == seals[build.digest]
    assert backend.built() == seals


def test_killed_builds_leave_nothing_half_made(tmp_path: Path, build_of: BuildOf) -> None:
    home, packages, build = tmp_path / "home", tmp_path / "packages", build_of("def detect(r): ...")
    packages.mkdir()
    for n in range(400):
        (packages / f"m{n}.py").write_text(f"N = {n}")
    backend, build = ProcessBackend(home), replace(build, digest=BuildDigest("1" * 40), requirements=packages)
    seal = backend.build(build)
    backend.remove([build.digest])
    for moment in (0.0, 0.01, 0.03, 0.1):
        with subprocess.Popen([sys.executable, "-c", BUILD, home, packages], stdout=subprocess.PIPE) as child:
            assert child.stdout
            child.stdout.readline()
            time.sleep(moment)
            child.kill()
        assert backend.built().get(build.digest, seal) == seal
        backend.remove([build.digest])
    ProcessBackend(home)
    assert list(home.iterdir()) == []


def test_a_disk_that_cannot_be_written_is_said(tmp_path: Path, build_of: BuildOf) -> None:
    backend, build = ProcessBackend(tmp_path / "home"), build_of("def detect(r): ...", a__txt="", **{"a__txt/b": ""})
    with pytest.raises(WorkerError, match="cannot be written") as raised:
        backend.build(build)
    assert raised.value.outcome == "unavailable"
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("step", ["scratch", "note"])
def test_a_disk_that_is_full_leaves_nothing_of_a_worker(
    tmp_path: Path, build_of: BuildOf, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    backend = ProcessBackend(tmp_path / "builds")
    _start(backend, build_of("def detect(r): ...")).close()
    before = set(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(Owner, step, full)
    with pytest.raises(WorkerError, match=r"cannot be started: .*No space left on device") as raised:
        _start(backend, build_of("def detect(r): ..."))
    assert raised.value.outcome == "unavailable"
    assert set(Path("/proc/self/fd").iterdir()) <= before  # what others had left may go meanwhile
    assert list(next((tmp_path / "run").iterdir()).iterdir()) == []


def test_executable_files_stay_executable(tmp_path: Path, build_of: BuildOf) -> None:
    build = build_of("def detect(r): ...")
    build = Build(build.digest, "demo", {**build.files, "bin/tool": (b"#!", True)}, None)
    ProcessBackend(tmp_path).build(build)
    assert os.access(tmp_path / build.digest / "detection/bin/tool", os.X_OK)
    assert not (tmp_path / build.digest / "detection/detect.py").stat().st_mode & 0o111


def test_closing_ends_what_the_rule_started(tmp_path: Path, build_of: BuildOf) -> None:
    script = "import subprocess\ndef detect(r):\n    print(subprocess.Popen(['/bin/sleep', '600']).pid)\n"
    worker = _start(ProcessBackend(tmp_path), build_of(script))
    child = int(worker.run(BATCH).log)
    os.kill(child, 0)
    worker.close()
    worker.close()
    for _ in range(100):
        if not _running(child):
            return
        time.sleep(0.02)
    pytest.fail("the rule's child process outlived its worker")


def test_limits_hold_before_the_script_is_loaded(tmp_path: Path, build_of: BuildOf) -> None:
    script = (
        "import resource\nprint([resource.getrlimit(limit) for limit in "
        "(resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)])\ndef detect(r): ..."
    )
    worker = _start(ProcessBackend(tmp_path), build_of(script), Limits(memory_bytes=2**29))
    assert worker.run(BATCH).log == f"[({2**29}, {2**29}), (0, 0), (256, 256)]\n"
    worker.close()


def test_a_killed_worker_is_a_death_by_memory(tmp_path: Path, build_of: BuildOf) -> None:
    """SIGKILL is what the kernel sends where memory is short; nobody else of ours does."""
    worker = _start(ProcessBackend(tmp_path), build_of("import os\ndef detect(r): os.kill(os.getpid(), 9)"))
    with pytest.raises(WorkerError) as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "memory"


def test_a_worker_that_died_between_batches_is_known_to_be_dead(tmp_path: Path, build_of: BuildOf) -> None:
    script = "import os, threading\nthreading.Timer(0.1, os._exit, [3]).start()\ndef detect(r): ..."
    worker = _start(ProcessBackend(tmp_path), build_of(script))
    deadline = time.monotonic() + 5
    while worker.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not worker.alive
    worker.close()


def test_a_rule_that_ends_what_its_worker_comes_from_harms_no_other(tmp_path: Path, build_of: BuildOf) -> None:
    backend = ProcessBackend(tmp_path)
    honest = _start(backend, build_of("def detect(r): return True"))
    killer = _start(backend, build_of("import os\ndef detect(r): os.kill(os.getppid(), 9)"))
    killer.run(BATCH)
    killer.close()
    assert len(honest.run(BATCH).matches) == 1
    honest.close()
    again = _start(backend, build_of("def detect(r): return True"))
    assert len(again.run(BATCH).matches) == 1
    again.close()
    backend.close()


def test_workers_have_nothing_of_each_other_open(tmp_path: Path, build_of: BuildOf) -> None:
    script = "import os\ndef detect(r): print(len(os.listdir('/proc/self/fd')))"
    backend = ProcessBackend(tmp_path)
    workers = [_start(backend, build_of(script)) for _ in range(3)]
    assert len({worker.run(BATCH).log for worker in workers}) == 1
    for worker in workers:
        worker.close()
    backend.close()


def test_it_says_that_it_is_no_boundary(tmp_path: Path) -> None:
    assert "NO security boundary" in ProcessBackend(tmp_path).describe()


def _running(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except (ProcessLookupError, FileNotFoundError):
        return False


def _link(path: Path, *, to: Path) -> None:
    path.unlink()
    path.symlink_to(to)
