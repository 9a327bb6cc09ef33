"""A plain directory is read as a revision is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trapline.source.git import Mirror
from trapline.source.tree import MAX_FILE_BYTES, SourceError
from trapline.source.worktree import read_directory

if TYPE_CHECKING:
    from .conftest import Origin


def test_the_same_files_as_git_gives(origin: Origin, tmp_path: Path) -> None:
    (origin.path / "run.sh").write_text("#!")
    (origin.path / "run.sh").chmod(0o755)
    origin.commit(detections__a="1")
    mirror = Mirror(origin.url, tmp_path / "m")
    assert read_directory(origin.path).files == mirror.read(mirror.fetch()).files


def test_litter_is_left_out(tmp_path: Path) -> None:
    for name in (".git/config", "a/__pycache__/a.pyc", "a/old.pyc", ".venv/x", "env/pyvenv.cfg", "a/detect.py", "b/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert set(read_directory(tmp_path).files) == {"a/detect.py", "b/x"}
    assert set(read_directory(tmp_path, root="b").files) == {"b/x"}
    assert read_directory(tmp_path, root="nothing").files == {}


def test_links_and_large_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "big").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    tree = read_directory(tmp_path)
    assert all(file.content == b"" and file.absent for file in tree.files.values())
    assert [line.split(":")[0] for line in tree.skipped] == ["big", "loop", "passwd"]


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no directory"):
        read_directory(tmp_path / "x")
