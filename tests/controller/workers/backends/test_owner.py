"""Owners: what the dead left goes, what the living use stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trapline.workers.backends.owner import Owner, Process
from trapline.workers.interface import BackendUnavailable

OWN = """
import subprocess, sys
from pathlib import Path
from trapline.workers.backends.owner import Owner

owner = Owner(Path(sys.argv[1]))
scratch = owner.scratch()
worker = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, cwd=scratch, start_new_session=True)
worker.stdout.readline()
owner.note(scratch, worker.pid)
print(owner.id, worker.pid, flush=True)
sys.stdin.read()
"""
SLEEP = ["sh", "-c", "echo; exec sleep 600"]
LEAVE_A_CHILD = ["sh", "-c", "sleep 600 & echo; sleep 600"]
Killed = Callable[..., tuple[str, int]]


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Killed]:
    """A controller that had a worker and was killed: its id, and the worker's process."""
    workers = []

    def kill(command: list[str] = SLEEP) -> tuple[str, int]:
        arguments = [sys.executable, "-c", OWN, str(tmp_path / "run"), *command]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            owner, pid = child.stdout.readline().split()
            child.kill()
        workers.append(int(pid))
        return owner, int(pid)

    yield kill
    for pid in workers:
        subprocess.run(["pkill", "-KILL", "-s", str(pid)], check=False)


def test_an_owner_lives_until_it_is_released(tmp_path: Path) -> None:
    one, two = Owner(tmp_path), Owner(tmp_path)
    assert one.alive(one.id)
    assert one.alive(two.id)
    two.release()
    two.release()
    assert not one.alive(two.id)
    assert [folder.name for folder in tmp_path.iterdir()] == [one.id]
    one.release()


def test_what_is_no_id_is_nobody_alive(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    assert not any(owner.alive(name) for name in ("", ".", "..", f"../{tmp_path.name}", "0" * 32))
    owner.release()


def test_an_owner_that_nobody_holds_is_released(tmp_path: Path) -> None:
    Owner(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_fork_of_an_owner_releases_nothing(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    script = "import os, sys\nfrom pathlib import Path\nfrom trapline.workers.backends.owner import Owner\n"
    script += "owner = Owner(Path(sys.argv[1]))\nif os.fork():\n    os.wait()\n    print(owner.alive(owner.id))\n"
    script += "    print((Path(sys.argv[1]) / owner.id).is_dir())"
    told = subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["True", "True"]
    assert [folder.name for folder in tmp_path.iterdir()] == [owner.id]
    owner.release()


def test_the_workers_of_the_dead_are_ended_and_their_folders_removed(tmp_path: Path, killed: Killed) -> None:
    (dead, worker), neighbour = killed(), Owner(tmp_path / "neighbour")
    assert Process.of(worker)
    owner = Owner(tmp_path / "run")
    assert _gone(worker)
    assert not owner.alive(dead)
    assert [folder.name for folder in (tmp_path / "run").iterdir()] == [owner.id]
    owner.release()
    neighbour.release()


def test_what_a_worker_started_ends_too(tmp_path: Path, killed: Killed) -> None:
    _, worker = killed(LEAVE_A_CHILD)
    os.kill(worker, signal.SIGKILL)
    session = _session(worker)
    assert session
    Owner(tmp_path / "run").release()
    assert all(_gone(pid) for pid in session)


def test_another_process_of_the_same_number_is_left_alone(tmp_path: Path, killed: Killed) -> None:
    owner, worker = killed()
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    (note,) = (tmp_path / "run" / owner).glob("*.pid")
    boot, _, start = note.read_text().split()
    process = Process.of(stranger.pid)
    assert process
    for other in (f"{boot} {stranger.pid} {process.start - 1}", f"another-boot {worker} {start}", "", "1 2"):
        (note.parent / f"other{len(other)}.pid").write_text(other)
    note.unlink()
    Owner(tmp_path / "run").release()
    assert stranger.poll() is None
    assert not _gone(worker, seconds=0)
    stranger.kill()
    stranger.wait()


def test_workers_of_the_living_are_left_alone(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    scratch = owner.scratch()
    with subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL, cwd=scratch, start_new_session=True) as worker:
        owner.note(scratch, worker.pid)
        Owner(tmp_path).release()
        assert scratch.is_dir()
        assert worker.poll() is None
        worker.kill()
    owner.drop(scratch)
    assert list((tmp_path / owner.id).iterdir()) == []
    owner.release()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(BackendUnavailable, match=r"/run cannot be used: ") as raised:
        Owner(tmp_path / "run")
    assert raised.value.remedy


def _session(pid: int) -> list[int]:
    told = subprocess.run(["pgrep", "-s", str(pid)], check=False, capture_output=True, text=True)
    return [int(line) for line in told.stdout.split()]


def _gone(pid: int, *, seconds: float = 5) -> bool:
    """Whether a process is no more, or only its exit code is."""
    deadline = time.monotonic() + seconds
    while True:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
