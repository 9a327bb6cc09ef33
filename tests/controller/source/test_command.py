"""Running git: what it inherits, and how it ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trapline.source.command import TimedOut, run, run_git
from trapline.source.git import Mirror
from trapline.source.tree import SourceError

if TYPE_CHECKING:
    from .conftest import Origin


def test_what_it_leaves(tmp_path: Path) -> None:
    done = run(["sh", "-c", "cat; echo told >&2; exit 3"], cwd=tmp_path, timeout=10, feed=b"fed\0")
    assert (done.status, done.out, done.said) == (3, b"fed\0", "told\n")


def test_a_timeout_ends_what_the_command_started_too(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 600 & echo $! > child; wait"]
    with pytest.raises(TimedOut):
        run(command, cwd=tmp_path, timeout=0.3)
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not _runs(child):
            break
        time.sleep(0.02)
    assert not _runs(child)


def test_output_without_an_end_is_cut(tmp_path: Path) -> None:
    done = run(["sh", "-c", "echo told >&2; exec yes"], cwd=tmp_path, timeout=10, most=100_000)
    assert (len(done.out) > 100_000, done.status, done.said) == (True, -signal.SIGKILL, "told\n")


def test_output_within_its_bound_is_whole(tmp_path: Path) -> None:
    command = ["sh", "-c", "head -c 200000 /dev/zero >&2; head -c 100000 /dev/zero; exit 3"]
    done = run(command, cwd=tmp_path, timeout=10, most=100_000)
    assert (len(done.out), len(done.said), done.status) == (100_000, 200_000, 3)
    with pytest.raises(TimedOut):
        run(["sh", "-c", "echo some; sleep 600"], cwd=tmp_path, timeout=0.3, most=100)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_git(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"`git` was not found .install git"):
        Mirror(origin.url, tmp_path / "m").fetch()


def test_started_from_a_hook_it_stays_in_its_own_repository(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = origin.commit(a="1")
    elsewhere = tmp_path / "elsewhere"
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, str(elsewhere))
    mirror = Mirror(origin.url, tmp_path / "m")
    assert mirror.read(mirror.fetch()).revision == commit
    assert not elsewhere.exists()


def test_settings_are_for_one_command(tmp_path: Path) -> None:
    done = run_git(["config", "a.b"], cwd=tmp_path, timeout=10, config={"a.b": "c d"})
    assert done.out == b"c d\n"
    assert run_git(["config", "a.b"], cwd=tmp_path, timeout=10).status
    assert "a.b" not in str(os.environ)
