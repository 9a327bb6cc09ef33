"""What a sandbox of bubblewrap has in it: this machine's Python and its libraries, read-only, and nothing else."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

ROOT = "/trapline"
SCRATCH = "/tmp"  # noqa: S108  inside the sandbox
SCRATCH_BYTES = 16 * 1024 * 1024

NAMESPACES = (
    *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
    *("--hostname", "trapline", "--die-with-parent", "--cap-drop", "ALL"),
)
AS_ROOT = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
"""All that root's sandboxes keep, until the worker becomes a user of its own."""
AS_ANYBODY = ("--unshare-user", "--uid", "65534", "--gid", "65534", "--disable-userns")

LAST = (
    *("--perms", "1777", "--size", str(SCRATCH_BYTES), "--tmpfs", SCRATCH, "--chdir", SCRATCH),
    *("--proc", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"),
)
"""The only place to write to; at last the root itself, which bubblewrap makes writable, is so no more."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS_OR_LIBRARIES = (Path("/lib"), Path("/lib64"))
_PUBLIC = ("/etc/ld.so.cache", "/usr/share/zoneinfo")  # where libraries are, and when it is noon


def of_python(interpreter: Path) -> list[str]:
    """Arguments of bubblewrap: the libraries, the interpreter, and the standard library without anything installed."""
    inside = [*_libraries(), *_python(interpreter.resolve()), *_devices()]
    return [*_folders(inside), *inside]


def _folders(inside: list[str]) -> Iterator[str]:
    """The folders that lead to what is inside, open to the worker: bubblewrap would make them for root alone."""
    leading = {folder for argument in inside for folder in Path(argument).parents if argument.startswith("/")}
    for folder in sorted(leading - {Path("/")}):
        yield from ("--perms", "0755", "--dir", str(folder))


def _libraries() -> Iterator[str]:
    for folder in _system_libraries():
        yield from ("--ro-bind", str(folder), str(folder))
    for folder in _LINKS_OR_LIBRARIES:
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from ("--ro-bind", str(folder), str(folder))
    for public in _PUBLIC:
        yield from ("--ro-bind-try", public, public)


def _system_libraries() -> list[Path]:
    """Where the shared libraries are: of /usr/lib, which holds other software too, only they where they are apart."""
    apart = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "none")
    libraries = [apart, *Path("/usr/lib").glob("ld-*")] if apart.is_dir() else [Path("/usr/lib")]
    return [path for path in (*libraries, Path("/usr/lib64")) if path.exists()]


def _python(interpreter: Path) -> Iterator[str]:
    yield from ("--ro-bind", str(interpreter), str(interpreter))
    shared = Path(sysconfig.get_config_var("LIBDIR") or "/", sysconfig.get_config_var("INSTSONAME") or "")
    if shared.is_file():
        yield from ("--ro-bind", str(shared), str(shared))
    standard = _standard_library()
    for folder in standard:
        if not any(folder.is_relative_to(library) for library in _system_libraries()):
            yield from ("--ro-bind", str(folder), str(folder))
    for folder in _installed(standard):
        yield from ("--tmpfs", str(folder), "--remount-ro", str(folder))


def _standard_library() -> list[Path]:
    version = f"python{sysconfig.get_python_version()}"
    folders = [Path(sys.base_prefix, "lib", version), Path(sys.base_exec_prefix, sys.platlibdir, version)]
    return [folder.resolve() for folder in dict.fromkeys(folders) if folder.is_dir()]


def _installed(standard: list[Path]) -> list[Path]:
    """Every folder of installed packages in what the sandbox sees: the controller's own, and the distribution's."""
    visible = [*standard, *(folder for library in _system_libraries() for folder in library.glob("py*"))]
    names = ("site-packages", "dist-packages")
    found = (folder / name for folder in visible for name in names)
    return sorted({folder.resolve() for folder in found if folder.is_dir()})


def _devices() -> Iterator[str]:
    """One by one: bubblewrap's own /dev has room to write without bound."""
    yield from ("--tmpfs", "/dev")
    for device in _DEVICES:
        yield from ("--dev-bind", f"/dev/{device}", f"/dev/{device}")
