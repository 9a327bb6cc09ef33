"""What is planted around the sandboxes: secrets that must not come out, listeners that must hear nothing, and more.

Every record tells the attack where all of it is, for an attacker is taken to know the machine. Whether it got there is
looked at from out here.
"""

from __future__ import annotations

import ctypes
import os
import platform
import select
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "TRAPLINE_PLANTED_SECRET"
_CREDENTIALS = (".aws/credentials", ".ssh/id_ed25519", ".docker/config.json", ".netrc", ".kube/config")
_ADD_KEY, _KEYCTL = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(platform.machine(), (-1, -1))
_SESSION_KEYRING, _KEYCTL_UNLINK = -3, 9
_IPC_CREAT, _IPC_RMID = 0o1000, 0


@dataclass(frozen=True, slots=True)
class Ground:
    """`known` is what an attacker knows of it. `listeners` by what they are called."""

    secret: str
    folder: Path
    known: dict[str, Any]
    listeners: dict[str, socket.socket]
    victim: subprocess.Popen[bytes]

    def breaches(self, said: str) -> list[str]:
        """What shows from out here that an attack got through; `said` is all that came out of its sandbox."""
        found = ["the secret came out"] if self.secret in said else []
        found += [f"{name} heard of it" for name, listener in self.listeners.items() if _heard(listener)]
        found += [f"it wrote {path}" for path in self._written()]
        if self.victim.poll() is not None:
            found.append("it killed a process")
        if not all(path.is_file() for path in self._secrets()):
            found.append("it removed a file")
        return found

    def _written(self) -> Iterator[Path]:
        for path in list(Path(self.known["writable"]).iterdir()):
            path.unlink()
            yield path

    def _secrets(self) -> list[Path]:
        return [Path(self.known["secret_file"]), *(self.folder / "home" / name for name in _CREDENTIALS)]


@contextmanager
def planted(hosts: list[str]) -> Iterator[Ground]:
    """All of it, listening at `hosts`, for as long as it is needed. Everything is open to every user of the machine."""
    secret = f"planted-{uuid.uuid4().hex}"
    folder = Path(tempfile.mkdtemp(prefix="trapline-attacked-", dir="/var/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        known = _files(folder, secret)
        listeners = {f"{host} by {kind}": stack.enter_context(one) for host, kind, one in _network(hosts, known)}
        listeners |= {name: stack.enter_context(one) for name, one in _unix(folder, known)}
        known["shared_memory"] = _shared_memory(stack)
        known["key"] = _key(stack, secret)
        victim = stack.enter_context(
            subprocess.Popen(["sleep", "3600"], env={VARIABLE: secret}, start_new_session=True)
        )
        stack.callback(victim.kill)
        known |= {"victim": victim.pid, "controller": os.getpid(), "variable": VARIABLE}
        os.environ[VARIABLE] = secret
        stack.callback(os.environ.pop, VARIABLE)
        yield Ground(secret, folder, known, listeners, victim)


def _files(folder: Path, secret: str) -> dict[str, Any]:
    file, code = folder / f"secret-{uuid.uuid4().hex}", folder / "builds/another/detection/detect.py"
    for path in (file, code, *(folder / "home" / name for name in _CREDENTIALS)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secret)
    writable = folder / "writable"
    writable.mkdir()
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    writable.chmod(0o777)
    folder.chmod(0o755)
    database = folder / "state.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE secrets AS SELECT ? AS secret", [secret])
    database.chmod(0o666)
    return {
        "secret_file": str(file),
        "builds": str(folder / "builds"),
        "home": str(folder / "home"),
        "writable": str(writable),
        "database": str(database),
    }


def _network(hosts: list[str], known: dict[str, Any]) -> Iterator[tuple[str, str, socket.socket]]:
    """A listener of each kind at each host, all on one port, so that an attack need know but one."""
    known |= {"hosts": hosts, "tcp": 0, "udp": 0}
    for kind, name in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
        for host in hosts:
            listener = socket.socket(socket.AF_INET, kind)
            listener.bind((host, known[name]))
            known[name] = listener.getsockname()[1]
            if kind == socket.SOCK_STREAM:
                listener.listen()
            yield host, name, listener


def _unix(folder: Path, known: dict[str, Any]) -> Iterator[tuple[str, socket.socket]]:
    known |= {"unix_socket": str(folder / "socket"), "abstract_socket": f"trapline-{uuid.uuid4().hex}"}
    for name, address in (("unix_socket", known["unix_socket"]), ("abstract_socket", f"\0{known['abstract_socket']}")):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen()
        yield f"the {name.replace('_', ' ')}", listener
    Path(known["unix_socket"]).chmod(0o777)


def _shared_memory(stack: ExitStack) -> int:
    """The key of a segment of System V that everybody may attach."""
    libc = ctypes.CDLL(None, use_errno=True)
    key = uuid.uuid4().int & 0x7FFFFFFF
    segment = libc.shmget(key, 4096, _IPC_CREAT | 0o666)
    assert segment >= 0, os.strerror(ctypes.get_errno())
    stack.callback(libc.shmctl, segment, _IPC_RMID, None)
    return key


def _key(stack: ExitStack, secret: str) -> str:
    """The name of a key in this session's keyring; there may be none on a kernel that keeps none."""
    libc, name = ctypes.CDLL(None), f"trapline-{uuid.uuid4().hex}"
    key = libc.syscall(_ADD_KEY, b"user", name.encode(), secret.encode(), len(secret), _SESSION_KEYRING)
    if key > 0:
        stack.callback(libc.syscall, _KEYCTL, _KEYCTL_UNLINK, key, _SESSION_KEYRING)
    return name


def _heard(listener: socket.socket) -> bool:
    """Whether anybody connected or sent; what came is taken, so that the next attack is judged alone."""
    heard = False
    while select.select([listener], [], [], 0)[0]:
        heard = True
        with suppress(OSError):
            listener.recv(1024) if listener.type == socket.SOCK_DGRAM else listener.accept()[0].close()
    return heard
