"""A Docker engine that goes away and comes back: everything waits, nothing is given up, and nothing is lost."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import docker
import pytest

from tests.playground import Playground, column, eventually
from tests.reliability.conftest import KEYED, require, said
from tests.reliability.witness import DockerWitness
from trapline.controller import Controller
from trapline.errors import TraplineError
from trapline.state.schema import alerts
from trapline.workers.interface import BackendUnavailable

# docker-py forgets to close the sockets that nobody answers.
pytestmark = [pytest.mark.docker, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]
NAMES = ("one", "two")


class Engine:
    """A Docker engine of our own beside the machine's, with its own images, containers and containerd."""

    def __init__(self) -> None:
        self._machine = docker.from_env()
        # A short path, as those of sockets must be, with a name that containerd takes.
        self._root = Path(tempfile.gettempdir()) / f"trapline-engine-{uuid.uuid4().hex[:8]}"
        self._root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self._root)], check=True)  # it is gone soon, and fast
        self.address = f"unix://{self._root}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it where it does not run."""
        if self._process and self._process.poll() is None:
            return
        flags = [
            f"--host={self.address}",
            f"--pidfile={self._root}/pid",
            f"--data-root={self._root}/data",
            f"--exec-root={self._root}/run",
            f"--containerd-namespace={self._root.name}",
            f"--containerd-plugins-namespace={self._root.name}-plugins",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--shutdown-timeout=1",
        ]
        with (self._root / "log").open("ab") as log:
            # A network of its own: an engine without a bridge removes that of the machine's engine.
            self._process = subprocess.Popen(["unshare", "--net", "dockerd", *flags], stdout=log, stderr=log)
        eventually(self._answers, why=(self._root / "log").read_text)

    def end(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)
        self._process.wait(30)
        # Its containerd has ended with it; where nobody reaped that yet, the next engine would take it for alive.
        (self._root / "run/containerd/containerd.pid").unlink(missing_ok=True)

    def load(self, image: str) -> None:
        """Brings an image of the machine's engine here."""
        with closing(docker.DockerClient(self.address)) as ours:
            ours.api.load_image(self._machine.images.get(image).save(named=True))

    def wipe(self) -> None:
        """Everything that the engine ever stored is gone."""
        self._kill_what_is_left()
        shutil.rmtree(self._root / "data")

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.end(signal.SIGKILL)
        self._kill_what_is_left()
        self._machine.close()
        subprocess.run(["umount", "--lazy", str(self._root)], check=True)
        self._root.rmdir()

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.address.removeprefix("unix://"))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(1024)
        return False

    def _kill_what_is_left(self) -> None:
        """Ends the containerd and the containers that a killed engine leaves, and their mounts."""
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if f"{self._root}/" in file.read_text():
                    os.kill(int(file.parent.name), signal.SIGKILL)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (mounted := line.split()[1]).startswith(f"{self._root}/"):
                subprocess.run(["umount", "--lazy", mounted], check=True)


@pytest.fixture(scope="module")
def running_engine(docker_base_image: str) -> Iterator[Engine]:
    require(os.geteuid() == 0 and bool(shutil.which("dockerd")), "an engine of our own needs root and dockerd")
    with closing(Engine()) as engine:
        engine.start()
        engine.load(docker_base_image)
        yield engine


@pytest.fixture
def engine(running_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The one that everything in the test speaks to."""
    monkeypatch.setenv("DOCKER_HOST", running_engine.address)
    yield running_engine
    gc.collect()  # what was forgotten here must not be complained of in another test


@pytest.fixture
def witness(ground: Playground, engine: Engine, docker_base_image: str) -> Iterator[DockerWitness]:
    with closing(DockerWitness(ground, docker_base_image)) as witness:
        yield witness
        engine.start()  # whatever became of it in a test that failed


@pytest.fixture
def controller(ground: Playground, witness: DockerWitness, docker_base_image: str) -> Iterator[Controller]:
    """A long-running one, which chose docker by itself; the detections are live, and one alert was delivered."""
    for name in NAMES:
        ground.detection(name, KEYED if name == "one" else None)
    ground.commit()
    with ground.controller(sandbox="auto", base_image=docker_base_image) as controller:
        assert said(controller.reconcile) == []
        assert controller.sandbox.startswith("docker")
        assert set(witness.live()) == set(NAMES)
        arrive(ground, controller, 1)
        yield controller


def arrive(ground: Playground, controller: Controller, minute: int) -> list[str]:
    """A record comes in, is looked at and told of; returned is what the tick says went wrong."""
    ground.records(minute, key=f"key {minute}", event={"action": "good"})
    ground.at(minute + 1)
    try:
        report = controller.tick()
    except TraplineError as error:
        assert error.remedy
        return [str(error)]
    controller.deliver()
    return list(report.errors.values())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_engine_that_goes_away_and_comes_back(
    ground: Playground,
    engine: Engine,
    witness: DockerWitness,
    controller: Controller,
    docker_base_image: str,
    number: signal.Signals,
) -> None:
    before = witness.live()
    engine.end(number)

    ground.detection("two", "def detect(record):\n    return False\n")
    ground.detection("three")
    revision = ground.commit()
    for told in (said(controller.reconcile), arrive(ground, controller, 2)):
        assert told
        assert all("docker" in text.lower() for text in told), told
    with ground.controller(sandbox="auto", base_image=docker_base_image) as another:
        for step in (another.reconcile, another.tick):
            with pytest.raises(BackendUnavailable, match="this home runs on docker") as raised:
                step()
            assert "bring docker back" in raised.value.remedy
    assert witness.deployed() == before

    engine.start()
    ground.at(10)
    assert said(controller.reconcile) == []
    assert witness.live() == witness.asked_for(revision)
    assert arrive(ground, controller, 11) == []
    assert sorted(column(ground.rows(alerts), "dedupe")) == ["key 1", "key 11", "key 2"]
    assert set(column(ground.rows(alerts), "match_count")) == {1}
    assert len(ground.said) == len(set(ground.said)) == 3


def test_an_engine_that_comes_back_empty(
    ground: Playground, engine: Engine, witness: DockerWitness, controller: Controller, docker_base_image: str
) -> None:
    before = witness.live()
    engine.end(signal.SIGKILL)
    engine.wipe()
    engine.start()
    told = said(controller.reconcile)  # it has not even the base image
    assert len(told) == len(NAMES)
    assert witness.deployed() == before
    assert arrive(ground, controller, 2)
    engine.load(docker_base_image)
    ground.at(10)
    assert {outcome.action for outcome in controller.reconcile().outcomes} == {"healed"}
    assert witness.live() == before
    assert arrive(ground, controller, 11) == []
    assert sorted(column(ground.rows(alerts), "dedupe")) == ["key 1", "key 11", "key 2"]
