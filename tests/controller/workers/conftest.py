"""The backends, each with a home or scope of its own that is gone after the test run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pyarrow as pa
import pytest

from trapline.workers.backends.bubblewrap import BubblewrapBackend
from trapline.workers.backends.docker import SCOPE, DockerBackend
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Backend, BatchReply, Build, BuildDigest, Limits, Rule, Worker


@pytest.fixture(scope="session")
def docker_backend(docker_base_image: str) -> Iterator[DockerBackend]:
    scope = f"test-{uuid.uuid4().hex}"
    backend = DockerBackend(docker_base_image, scope=scope)
    yield backend
    backend.remove(backend.built())  # and what its workers kept from being removed
    client = docker.from_env()
    left = client.containers.list(all=True, filters={"label": f"{SCOPE}={scope}"}, sparse=True)
    for container in left:
        container.remove(force=True)
    client.close()
    assert not left, "a test left its container running"


@pytest.fixture(scope="session")
def process_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessBackend]:
    backend = ProcessBackend(tmp_path_factory.mktemp("process") / "builds")
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def bubblewrap_backend(bubblewrap: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BubblewrapBackend]:
    backend = BubblewrapBackend(tmp_path_factory.mktemp("bubblewrap") / "builds")
    yield backend
    backend.close()


@pytest.fixture(
    params=[
        "process",
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn."""
    chosen: Backend = request.getfixturevalue(f"{request.param}_backend")
    return chosen


@pytest.fixture
def build_of() -> Callable[..., Build]:
    """A build with a digest of its own; files by name, `.` in a name written as `__`."""

    def make(script: str, *, requirements: Path | None = None, **others: str) -> Build:
        files = {"detect.py": (script.encode(), False), "detection.py": (script.encode(), False)}
        files |= {name.replace("__", "."): (text.encode(), False) for name, text in others.items()}
        return Build(BuildDigest(uuid.uuid4().hex), "demo", files, requirements)

    return make


LIMITS = Limits()
Start = Callable[..., Worker]


@pytest.fixture
def start(backend: Backend, build_of: Callable[..., Build]) -> Iterator[Start]:
    """Builds and starts a script; everything ends with the test."""
    with ExitStack() as stack:

        def begin(script: str, mode: str = "record", *, limits: Limits = LIMITS, **options: Any) -> Worker:
            build = build_of(script, **options)
            backend.build(build)
            stack.callback(backend.remove, [build.digest])
            rule = Rule("demo", "detect.py" if mode == "record" else "detection.py", mode)
            worker = backend.start(build.digest, rule, limits)
            stack.callback(worker.close)
            return worker

        yield begin


@pytest.fixture
def run(start: Start) -> Callable[..., BatchReply]:
    """Runs a script over the records n = 0, 1, 2, 3."""

    def run(script: str, mode: str = "record", **options: Any) -> BatchReply:
        worker = start(script, mode, **options)
        try:
            return worker.run(pa.RecordBatch.from_pydict({"n": list(range(4))}))
        finally:
            worker.close()

    return run
