"""A remote that hangs: what runs runs on and is delivered, the trouble is shown, and all is well when it answers."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from tests.playground import MATCH_BAD, NOON, Playground, eventually
from tests.reliability.conftest import TRAPLINE, environment, serving
from tests.reliability.witness import ProcessWitness
from trapline.controller import Controller
from trapline.options import Options

MIDWAY = 20_000  # bytes: more than git says about refs, and less than a pack here has


class Remote:
    """git's own server over a real socket; each answer ends after `allowed` bytes, and the connection stays open."""

    def __init__(self, repository: Path) -> None:
        self.allowed: int | None = None
        self.hung = 0  # connections so far
        remote = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                remote.answer(self.request)

        class Server(ThreadingTCPServer):
            daemon_threads = True

        self._repository = repository
        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"git://127.0.0.1:{self._server.server_address[1]}/{repository.name}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        where = [f"--base-path={self._repository.parent}", "--export-all", "--inetd"]
        left = self.allowed
        with subprocess.Popen(["git", "daemon", *where], stdin=connection.fileno(), stdout=subprocess.PIPE) as daemon:
            assert daemon.stdout
            with suppress(ConnectionError):
                while piece := os.read(daemon.stdout.fileno(), 4096 if left is None else min(left, 4096)):
                    connection.sendall(piece)
                    left = left and left - len(piece)
            daemon.kill()
        if left == 0:
            self._hang(connection)

    def _hang(self, connection: socket.socket) -> None:
        """Says nothing more until the other side has had enough."""
        self.hung += 1
        with suppress(OSError):
            while connection.recv(4096):
                pass

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def remote(ground: Playground) -> Iterator[Remote]:
    remote = Remote(ground.repository)
    yield remote
    remote.close()


def begin(ground: Playground, remote: Remote, *, patience: float) -> Controller:
    """A controller that looks every second, and waits for an answer for so many."""
    ground.settings(schedule={"start": NOON, "every": "1s", "poll": "1s"})
    ground.detection("one")
    ground.commit()
    options = Options(ground.home, remote.url, sandbox="process", git_seconds=patience)
    return Controller(options, now=lambda: ground.now, write=ground.said.append)


@pytest.mark.parametrize("allowed", [0, MIDWAY], ids=["at once", "in the middle of a pack"])
def test_everything_runs_on_while_the_remote_hangs(ground: Playground, remote: Remote, allowed: int) -> None:
    controller, witness = begin(ground, remote, patience=6), ProcessWitness(ground)
    with serving(controller, now=lambda: ground.now):
        eventually(lambda: set(witness.deployed()) == {"one"})
        remote.allowed = allowed
        ground.write("detections/one/large.bin", os.urandom(10 * MIDWAY).hex())
        ground.detection("one", f"{MATCH_BAD}  # changed\n")
        revision = ground.commit()
        eventually(lambda: remote.hung)
        ground.records(0.1)
        ground.at(0.5)  # a clock that jumps by more than a minute is not followed at once
        eventually(lambda: len(ground.said) == 1)
        assert remote.hung == 1  # all that was while one look at the repository hung
        eventually(lambda: "did not answer within 6 s" in controller.memory.source().error)
        command = [*TRAPLINE, "status", "--home", str(ground.home)]
        status = subprocess.run(command, capture_output=True, text=True, env=environment())
        assert f"{remote.url} did not answer" in status.stderr
        remote.allowed = None
        eventually(lambda: controller.memory.source().revision == revision)
        eventually(lambda: witness.deployed() == witness.asked_for(revision))
        witness.live()
        assert controller.memory.source().error == ""
    assert processes_with(remote.url) == []


def test_the_first_look_hangs_in_the_middle_of_a_pack(ground: Playground, remote: Remote) -> None:
    controller, witness = begin(ground, remote, patience=1), ProcessWitness(ground)
    ground.write("detections/one/large.bin", os.urandom(10 * MIDWAY).hex())
    ground.commit()
    remote.allowed = MIDWAY
    with serving(controller, now=lambda: ground.now):
        eventually(lambda: "did not answer" in controller.memory.source().error)
        assert witness.live() == {}
        remote.allowed = None
        controller.memory.leave_hint()  # as webhooks do: without any trapline.yml the next look is in a minute
        eventually(lambda: set(witness.deployed()) == {"one"})


def processes_with(words: str) -> list[str]:
    done = subprocess.run(["pgrep", "-af", words], capture_output=True, text=True)
    return done.stdout.splitlines()
