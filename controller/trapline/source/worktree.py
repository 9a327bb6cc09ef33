"""A plain directory, read as a revision is: for looking at detections before they are committed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trapline.config.files import File
from trapline.source.tree import MAX_FILES, SourceError, Tree, too_large, too_many, tree_of

REVISION = "worktree"
_LINK = "is a symbolic link, and links are not followed"


def read_directory(path: Path, *, root: str = "") -> Tree:
    """The files beneath `path/root`, named from `path`. Leaves out hidden directories, caches and environments."""
    start = path / root
    if not path.is_dir():
        remedy = "name a directory that holds detections"
        raise SourceError("not-a-repository", f"{path} is no directory", remedy=remedy)
    files: dict[str, File] = {}
    for file in _walk(start):
        if len(files) >= MAX_FILES:
            raise too_many(str(start))
        files[file.relative_to(path).as_posix()] = _read(file)
    return tree_of(REVISION, files)


def leaves_out(path: str) -> bool:
    """Whether `read_directory` leaves out a file, as far as its path tells."""
    return path.endswith(".pyc") or any(_is_hidden(part) for part in path.split("/")[:-1])


def _walk(start: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(start):
        here = Path(directory)
        links = [name for name in names if (here / name).is_symlink()]
        names[:] = sorted(name for name in names if name not in links and not _is_litter(here / name))
        yield from (here / name for name in sorted([*files, *links]) if not name.endswith(".pyc"))


def _is_litter(directory: Path) -> bool:
    return _is_hidden(directory.name) or (directory / "pyvenv.cfg").exists()


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _read(file: Path) -> File:
    try:
        if file.is_symlink():
            return File(content=b"", absent=_LINK)
        if not file.is_file():
            return File(content=b"", absent="is no plain file")
        status = file.stat()
        if absent := too_large(status.st_size):
            return File(content=b"", absent=absent)
        return File(content=file.read_bytes(), executable=bool(status.st_mode & 0o100))
    except OSError as error:
        return File(content=b"", absent=f"cannot be read: {error.strerror}")
