"""The nursery: a process with the runtime loaded, which forks workers that need not load it once more.

It loads no rule itself, and ends when the host hangs up. One request is answered before the next is read; requests and
answers are JSON objects of one line. Of a worker that has ended it keeps the body until the host has seen it, so that
no other process gets its number meanwhile.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
from json import dumps, loads
from typing import Any, NoReturn

from trapline_sandbox.main import main as work

MOST = 64 * 1024
"""No request is longer than this."""


def main(control: int) -> NoReturn:
    """Serves the host at the other end of a socket, until that is closed."""
    host = socket.socket(fileno=control)
    nursery = _Nursery(host)
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(host, selectors.EVENT_READ)
        selector.register(bell, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == bell:
                    os.read(bell, 4096)
                    nursery.tell_ended()
                elif not nursery.serve():
                    os._exit(0)


class _Nursery:
    """Its workers, by process: the pipe at which the host waits for their end."""

    def __init__(self, host: socket.socket) -> None:
        self._host = host
        self._living: dict[int, int] = {}
        self._ended: set[int] = set()

    def serve(self) -> bool:
        """Answers one request; False where the host is gone."""
        try:
            text, fds, _, _ = socket.recv_fds(self._host, MOST, 3)
            if not text:
                return False
            self._host.sendall(dumps(self._answer(loads(text), fds)).encode() + b"\n")
        except ConnectionError:
            return False
        return True

    def tell_ended(self) -> None:
        """Writes the exit status of each that has ended into its pipe: negative for a signal."""
        for pid, pipe in list(self._living.items()):
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                self._ended.add(pid)
                del self._living[pid]
                try:
                    os.write(pipe, str(status).encode())
                except BrokenPipeError:  # nobody waits for it
                    pass
                os.close(pipe)

    def _answer(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        if "reap" in request:
            if request["reap"] in self._ended:
                self._ended.remove(request["reap"])
                os.waitpid(request["reap"], 0)
            return {}
        channel, errors, pipe = fds
        apart, mark = os.pipe()
        try:
            pid = os.fork()
            if pid == 0:
                _become_worker(request["root"], request["folder"], channel, errors)
        except OSError as error:
            os.close(pipe)
            os.close(apart)
            return {"errno": error.errno}
        finally:
            for fd in (channel, errors, mark):
                os.close(fd)
        os.read(apart, 1)  # until it has a session of its own, by which the host can end it
        os.close(apart)
        self._living[pid] = pipe
        return {"pid": pid}


def _become_worker(root: str, folder: str, channel: int, errors: int) -> NoReturn:
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, target in enumerate((channel, channel, errors)):
            os.dup2(target, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.argv = [root]
        status = work(root)
    finally:
        os._exit(status)
