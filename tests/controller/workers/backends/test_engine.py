"""An engine that is gone, silent, slow or full, and base images that are none; Docker's other troubles."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import cast

import docker
import pyarrow as pa
import pytest
from docker.errors import APIError

from trapline.workers.backends import base, engine
from trapline.workers.backends.docker import SCOPE, DockerBackend
from trapline.workers.backends.engine import Patience
from trapline.workers.interface import BackendUnavailable, Build, Limits, Rule, WorkerError

BATCH = pa.RecordBatch.from_pydict({"n": [1]})
RULE = Rule("demo", "detect.py", "record")


class Proxy:
    """Stands before an engine, or before nothing, on a Unix socket. While `stalled`, it accepts and answers nothing."""

    def __init__(self, path: Path, target: str | None = None) -> None:
        self.stalled = target is None
        self._target = target
        self._ends = ExitStack()
        self._listener = self._ends.enter_context(socket.socket(socket.AF_UNIX))
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._ends.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours = self._open(self._listener.accept()[0])
                if self._target is None:
                    continue
                theirs = self._open(socket.socket(socket.AF_UNIX))
                theirs.connect(self._target)
                for pair in ((ours, theirs), (theirs, ours)):
                    self._threads.append(threading.Thread(target=self._copy, args=pair))
                    self._threads[-1].start()

    def _open(self, sock: socket.socket) -> socket.socket:
        def end() -> None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

        self._ends.callback(end)
        return sock

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.stalled:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], Proxy]]:
    with ExitStack() as ends:

        def make(target: str | None) -> Proxy:
            proxy = Proxy(tmp_path / "docker.sock", target)
            ends.callback(proxy.close)
            monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
            monkeypatch.setattr(engine, "SECONDS", 1)
            return proxy

        yield make


def test_an_engine_that_never_answers_is_given_up(proxy: Callable[[str | None], Proxy]) -> None:
    proxy(None)
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match="no Docker engine answers: the Docker engine did not answer in time"):
        DockerBackend(scope="test")
    assert time.monotonic() - began < 30


@pytest.mark.docker
def test_an_engine_that_falls_silent_is_left_alone_for_a_while(
    proxy: Callable[[str | None], Proxy],
    docker_base_image: str,
    build_of: Callable[..., Build],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = proxy(_socket_of_the_engine())
    monkeypatch.setattr(engine, "SECONDS", 20)
    scope, build = f"test-{uuid.uuid4().hex}", build_of("def detect(r): ...")
    backend = DockerBackend(docker_base_image, scope=scope)
    backend.build(build)
    workers = [backend.start(build.digest, RULE, Limits()) for _ in range(3)]
    backend._client.api.timeout = 1
    before.stalled = True
    with pytest.raises(WorkerError, match="cannot start detection demo: the Docker engine did not answer") as raised:
        backend.start(build.digest, RULE, Limits())
    assert raised.value.outcome == "unavailable"
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(WorkerError, match=r"cannot list the builds: .* is asked again in \d+ s"):
            backend.built()
    assert not workers[0].alive
    for worker in workers:
        worker.close()
    assert time.monotonic() - began < 10  # to ask each time would take 20
    before.stalled = False
    backend._patience._rest_until = 0
    backend.remove([])
    labels = {"label": f"{SCOPE}={scope}"}
    assert backend._client.api.containers(all=True, filters=labels) == []
    backend.start(build.digest, RULE, Limits()).close()
    backend.remove(backend.built())
    backend.close()


@pytest.mark.parametrize(
    ("words", "remedy"),
    [("write /var/lib/docker/x: no space left on device", "docker system df"), ("driver failed", "docker info")],
)
def test_a_full_disk_is_told_from_other_troubles(words: str, remedy: str) -> None:
    with pytest.raises(WorkerError, match=f"cannot build: {words}") as raised, Patience().asking("build"):
        raise APIError("500 Server Error", explanation=words)
    assert remedy in raised.value.remedy


@pytest.mark.docker
def test_a_disk_that_is_full_indeed(
    docker_backend: DockerBackend, build_of: Callable[..., Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's own data is everybody's, so that it is the context's disk here."""

    def full(*_: object) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")

    monkeypatch.setattr(docker_backend, "_write_context", full)
    with pytest.raises(WorkerError, match=r"cannot build detection demo: .*No space left on device") as raised:
        docker_backend.build(build_of("def detect(r): ..."))
    assert "docker system df" in raised.value.remedy


@pytest.mark.docker
def test_a_runtime_that_the_engine_has_not(docker_base_image: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"has no runtime 'nonesuch', only .*runc") as raised:
        DockerBackend(docker_base_image, scope="test", runtime="nonesuch")
    assert "sandbox.runtime" in raised.value.remedy


@pytest.mark.docker
def test_a_runtime_that_it_has(docker_base_image: str, build_of: Callable[..., Build]) -> None:
    scope, build = f"test-{uuid.uuid4().hex}", build_of("def detect(r): return True")
    backend = DockerBackend(docker_base_image, scope=scope, runtime="runc")
    assert backend.describe().endswith("with the runtime runc")
    backend.build(build)
    worker = backend.start(build.digest, RULE, Limits())
    (container,) = backend._client.containers.list(filters={"label": f"{SCOPE}={scope}"})
    assert container.attrs["HostConfig"]["Runtime"] == "runc"
    assert len(worker.run(BATCH).matches) == 1
    worker.close()
    backend.remove([build.digest])
    backend.close()


# Base images


@pytest.fixture
def image(docker_base_image: str) -> Iterator[Callable[..., str]]:
    """Makes base images: an empty one, or the usual one with a script for its python3."""
    client, made = docker.from_env(), []

    def make(python: str | None = None) -> str:
        name = f"trapline-test/base:{uuid.uuid4().hex}"
        if python is None:
            client.api.import_image_from_data(_tar({}), repository=name.split(":")[0], tag=name.split(":")[1])
        else:
            dockerfile = f"FROM {docker_base_image}\nCOPY python3 /usr/bin/python3\n"
            context = _tar({"Dockerfile": dockerfile, "python3": f"#!/bin/sh\n{python}\n"})
            client.images.build(fileobj=io.BytesIO(context), custom_context=True, tag=name, rm=True, forcerm=True)
        made.append(name)
        return name

    yield make
    for name in made:
        client.images.remove(name, force=True)
    client.close()


OLD = """echo '{"version": [3, 8, 2], "executable": "/usr/bin/python3", "machine": "x86_64", "libc": "glibc"}'"""


@pytest.mark.docker
@pytest.mark.parametrize(
    ("python", "words"),
    [
        (None, 'cannot run python3: .*"python3": executable file not found'),
        (OLD, r"has Python 3\.8\.2 "),
        ("exec sleep 600", r"cannot run python3: it did not end within 1 s"),
        ("echo hello", "cannot run python3: it ended with exit code 0 and said hello"),
        ("echo broken >&2; exit 3", "cannot run python3: it ended with exit code 3 and said broken"),
        ("""echo '{"version": 3}'""", "cannot run python3: it ended with exit code 0 and said"),
    ],
    ids=["none", "old", "hangs", "talks", "breaks", "lies"],
)
def test_a_base_image_without_a_python_of_use(
    image: Callable[..., str], monkeypatch: pytest.MonkeyPatch, python: str | None, words: str
) -> None:
    monkeypatch.setattr(base, "PROBE_SECONDS", 1 if python and "sleep" in python else 20)
    name, scope = image(python), f"test-{uuid.uuid4().hex}"
    with pytest.raises(BackendUnavailable, match=words) as raised:
        DockerBackend(name, scope=scope)
    assert f"the base image {name} " in raised.value.message
    assert raised.value.remedy == "name an image with Python 3.11 or newer"
    client = docker.from_env()
    assert client.api.containers(all=True, filters={"label": f"{SCOPE}={scope}"}) == []
    client.close()


def _tar(files: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return file.getvalue()


def _socket_of_the_engine() -> str:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip("the engine is not on this machine")
    return cast("str", host.removeprefix("unix://"))
