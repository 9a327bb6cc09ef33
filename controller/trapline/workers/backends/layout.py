"""What a build looks like inside, the same for every backend.

    ROOT/__main__.py         the entry point
    ROOT/trapline_sandbox/   the runtime
    ROOT/requirements/       installed packages
    ROOT/detection/          the detection's own files

It is started as `python3 -I -S -B -X utf8 ROOT`: no environment, no site-packages, no `.pth` files, no bytecode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import trapline_sandbox
from trapline.errors import TraplineError
from trapline.workers.interface import Build

FLAGS = ("-I", "-S", "-B", "-X", "utf8")
MIN_PYTHON = (3, 11)
_RUNTIME = Path(trapline_sandbox.__file__).parent


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a build: its path below ROOT, and its content or where to read it."""

    path: str
    content: bytes | Path
    executable: bool = False

    def read(self) -> bytes:
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content

    @property
    def mode(self) -> int:
        return 0o755 if self.executable else 0o644


def runtime() -> Iterator[Entry]:
    """The files that are the same in every build."""
    yield Entry("__main__.py", _RUNTIME / "__main__.py")
    for path in sorted(_RUNTIME.rglob("*.py")):
        if path.name != "__main__.py":
            yield Entry(f"trapline_sandbox/{path.relative_to(_RUNTIME).as_posix()}", path)


def requirements(build: Build) -> Iterator[Entry]:
    """The installed packages."""
    if build.requirements is not None:
        for path in sorted(build.requirements.rglob("*")):
            if path.is_file():
                executable = bool(path.stat().st_mode & 0o100)
                yield Entry(f"requirements/{path.relative_to(build.requirements).as_posix()}", path, executable)


def detection(build: Build) -> Iterator[Entry]:
    """The detection's own files. Raises TraplineError for a path that leads out of its folder."""
    for name, (content, executable) in sorted(build.files.items()):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
            raise TraplineError(
                f"detection {build.detection} has a file whose path leads out of it: {name!r}",
                remedy="remove the file from the repository",
            )
        yield Entry(f"detection/{path}", content, executable)


def runtime_digest() -> str:
    """Changes when anything in the runtime does, so that every build is made anew."""
    digest = hashlib.sha256()
    for entry in runtime():
        content = entry.read()
        digest.update(f"{entry.path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
