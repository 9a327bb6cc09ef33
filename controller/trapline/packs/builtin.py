"""The pack that comes with Trapline, as a repository like any other: equal files are the same commit everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trapline.config.files import File
from trapline.errors import TraplineError
from trapline.source.command import run_git
from trapline.source.worktree import read_directory

_PARTS = ("detections", "lib")
_BESIDE = ("pack.yml", "LICENSE")
_INSTALLED = Path(__file__).parents[1] / "builtin"
_CHECKOUT = Path(__file__).parents[3]
_NOBODY = "Trapline <trapline@localhost> 0 +0000"


def builtin_folder() -> Path:
    """Where its files are: beside what is installed, or in a checkout of Trapline. Raises TraplineError."""
    for folder in (_INSTALLED, _CHECKOUT):
        if (folder / "detections").is_dir():
            return folder
    remedy = "install Trapline from its package; else name a git repository, or a folder, that has it"
    raise TraplineError("the official pack is not part of what is installed here", remedy=remedy)


def builtin_files() -> Mapping[str, File]:
    """Its files, by path. Raises TraplineError."""
    return dict(_files(builtin_folder()))


def make_repository(place: Path, *, timeout: float) -> None:
    """Puts the pack into a bare repository at `place`, as the one commit of `main`. Raises TraplineError."""
    files = builtin_files()
    remedy = "look whether its disk has room, and whether this user may write there"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraplineError(f"{place} cannot be written: {error.strerror}", remedy=remedy) from None
    for arguments, feed in (
        (["init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(place)], b""),
        ([f"--git-dir={place}", "fast-import", "--quiet", "--force"], b"".join(_as_stream(files))),
    ):
        done = run_git(arguments, cwd=place.parent, timeout=timeout, feed=feed)
        if done.status:
            raise TraplineError(f"{place} cannot be written: {done.said.strip()}", remedy=remedy)


def _files(folder: Path) -> Iterator[tuple[str, File]]:
    for part in _PARTS:
        yield from read_directory(folder, root=part).files.items()
    for name in _BESIDE:
        if (folder / name).is_file():
            yield name, File(content=(folder / name).read_bytes())


def _as_stream(files: Mapping[str, File]) -> Iterator[bytes]:
    """What fast-import makes a commit of: no time and nobody's name in it, so that only the files count."""
    yield f"commit refs/heads/main\ncommitter {_NOBODY}\ndata 0\n".encode()
    for path, file in sorted(files.items()):
        mode = "100755" if file.executable else "100644"
        yield f"M {mode} inline {path}\ndata {len(file.content)}\n".encode()
        yield file.content + b"\n"
