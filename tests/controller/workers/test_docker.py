"""What is particular to Docker: the hardening, scopes, layers, and an engine that does not do as asked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import docker
import pyarrow as pa
import pytest

from trapline.workers import docker as docker_module
from trapline.workers.docker import DETECTION, DIGEST, SCOPE, DockerBackend
from trapline.workers.interface import BackendUnavailable, Build, Limits, Rule, WorkerError

pytestmark = pytest.mark.docker
BATCH = pa.RecordBatch.from_pydict({"n": [1]})
RULE = Rule("demo", "detect.py", "record")
BuildOf = Callable[..., Build]


@pytest.fixture
def client(docker_base_image: str) -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


def test_a_container_can_reach_nothing(
    docker_backend: DockerBackend, client: docker.DockerClient, build_of: BuildOf
) -> None:
    build = build_of("def detect(r): ...")
    docker_backend.build(build)
    worker = docker_backend.start(build.digest, RULE, Limits(memory_bytes=2**28, pids=32, cpus=0.5))
    (container,) = client.containers.list(filters={"label": f"{DIGEST}={build.digest}"})
    config, host = container.attrs["Config"], container.attrs["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Privileged"] is False
    assert (host["Memory"], host["MemorySwap"]) == (2**28, 2**28)
    assert (host["PidsLimit"], host["NanoCpus"]) == (32, 500_000_000)
    assert host["Tmpfs"] == {"/tmp": "size=16m,noexec,nosuid,nodev"}
    assert host["IpcMode"] == "private"
    assert host["LogConfig"]["Type"] == "none"
    assert (host["Binds"], container.attrs["Mounts"]) == (None, [])
    assert config["User"] == "65534:65534"
    assert config["StdinOnce"] is True  # it ends when we do
    assert config["Labels"][DETECTION] == "demo"
    assert not [name for name in config["Env"] or () if not name.startswith("PATH=")]
    worker.close()
    assert not client.containers.list(all=True, filters={"label": f"{DIGEST}={build.digest}"})
    docker_backend.remove([build.digest])


def test_from_inside(docker_backend: DockerBackend, build_of: BuildOf) -> None:
    script = """
import os, socket
from pathlib import Path

def refused(what):
    try:
        what()
    except OSError:
        return True

def detect(record):
    print(os.getuid(), os.getgid())
    print(refused(lambda: socket.create_connection(("192.0.2.1", 80), 1)), sorted(os.listdir("/sys/class/net")))
    print([refused(lambda: Path(path, "x").touch()) for path in ("/", "/trapline", "/var/tmp", "/tmp")])
    print(refused(lambda: os.setuid(0)))
    print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNewPrivs"))])
"""
    build = build_of(script)
    docker_backend.build(build)
    worker = docker_backend.start(build.digest, RULE, Limits())
    uid, network, disk, root, status = worker.run(BATCH).log.splitlines()
    worker.close()
    docker_backend.remove([build.digest])
    assert uid == "65534 65534"
    assert network == "True ['lo']"
    assert disk == "[True, True, True, None]"
    assert root == "True"
    assert status == "['0000000000000000', '1']"


def test_scopes_do_not_see_each_other(docker_backend: DockerBackend, docker_base_image: str, build_of: BuildOf) -> None:
    other = DockerBackend(docker_base_image, scope=f"test-{uuid.uuid4().hex}")
    build = build_of("def detect(r): ...")
    docker_backend.build(build)
    assert other.built() == {}
    other.build(build)
    docker_backend.remove([build.digest])
    assert other.built().keys() == {build.digest}
    other.remove([build.digest])
    assert other.built() == {}


def test_labels_say_what_an_image_is(docker_base_image: str, client: docker.DockerClient, build_of: BuildOf) -> None:
    scope = f"test-{uuid.uuid4().hex}"
    backend, build = DockerBackend(docker_base_image, scope=scope), build_of("def detect(r): ...")
    backend.build(build)
    assert backend.built().keys() == {build.digest}
    (image,) = client.images.list(filters={"label": f"{DIGEST}={build.digest}"})
    assert image.labels == {DIGEST: build.digest, DETECTION: "demo", SCOPE: scope}
    backend.remove([build.digest])
    with pytest.raises(ValueError, match="a scope is made of"):
        DockerBackend(docker_base_image, scope='"$HOME"')


def test_a_changed_script_shares_the_layers_below_it(
    docker_backend: DockerBackend, client: docker.DockerClient, build_of: BuildOf
) -> None:
    builds = [build_of(f"def detect(r): return {n}") for n in range(2)]
    layers = []
    for build in builds:
        docker_backend.build(build)
        (image,) = client.images.list(filters={"label": f"{DIGEST}={build.digest}"})
        layers.append(image.attrs["RootFS"]["Layers"])
    assert layers[0][:-1] == layers[1][:-1]
    assert layers[0][-1] != layers[1][-1]
    docker_backend.remove(build.digest for build in builds)


def test_builds_and_removals_of_the_same_layers_at_once(docker_base_image: str, build_of: BuildOf) -> None:
    """The engine prunes the layers of a removed image, even those that a build elsewhere just found in its cache."""
    script = f"def detect(r): return {uuid.uuid4().hex!r}"

    def churn(scope: str) -> None:
        backend = DockerBackend(docker_base_image, scope=scope)
        for _ in range(4):
            build = build_of(script)
            backend.build(build)
            backend.remove([build.digest])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(churn, [f"test-{uuid.uuid4().hex}" for _ in range(2)]))


def test_what_a_crash_left_is_swept(
    docker_backend: DockerBackend, docker_base_image: str, client: docker.DockerClient, build_of: BuildOf
) -> None:
    scope = f"test-{uuid.uuid4().hex}"
    left = client.containers.create(docker_base_image, ["true"], labels={SCOPE: scope})
    left.start()
    left.wait()
    DockerBackend(docker_base_image, scope=scope)
    assert not client.containers.list(all=True, filters={"label": f"{SCOPE}={scope}"})


def test_a_worker_ends_when_its_controller_is_gone(
    docker_backend: DockerBackend, client: docker.DockerClient, build_of: BuildOf
) -> None:
    build = build_of("def detect(r): ...")
    docker_backend.build(build)
    worker = docker_backend.start(build.digest, RULE, Limits())
    (container,) = client.containers.list(filters={"label": f"{DIGEST}={build.digest}"})
    worker._channel._stream.close()  # type: ignore[attr-defined]  # as the kernel does it to a killed process
    worker._channel._socket.close()  # type: ignore[attr-defined]
    assert container.wait(timeout=10)["StatusCode"] == 0
    worker.close()
    docker_backend.remove([build.digest])


def test_a_container_removed_by_hand_is_a_crash(
    docker_backend: DockerBackend, client: docker.DockerClient, build_of: BuildOf
) -> None:
    build = build_of("def detect(r): ...")
    docker_backend.build(build)
    worker = docker_backend.start(build.digest, RULE, Limits())
    (container,) = client.containers.list(filters={"label": f"{DIGEST}={build.digest}"})
    container.remove(force=True)
    assert not worker.alive
    with pytest.raises(WorkerError) as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "crashed"
    docker_backend.remove([build.digest])


def test_an_image_removed_by_hand_is_drift_that_a_build_heals(
    docker_backend: DockerBackend, client: docker.DockerClient, build_of: BuildOf
) -> None:
    build = build_of("def detect(r): ...")
    docker_backend.build(build)
    (image,) = client.images.list(filters={"label": f"{DIGEST}={build.digest}"})
    client.images.remove(image.id, force=True)
    assert build.digest not in docker_backend.built()
    docker_backend.build(build)
    assert build.digest in docker_backend.built()
    docker_backend.remove([build.digest])


def test_a_base_image_that_cannot_be_had(docker_base_image: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"registry\.invalid/none.* cannot be pulled") as raised:
        DockerBackend("registry.invalid/none:1", scope="test")
    assert "debian.sh" in raised.value.remedy


def test_without_a_named_base_image_the_one_that_is_there_is_taken(
    docker_base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_module, "BASE_IMAGE", "trapline-test/nonesuch:1")
    monkeypatch.setattr(docker_module, "LOCAL_BASE_IMAGE", docker_base_image)
    assert DockerBackend(scope=f"test-{uuid.uuid4().hex}").describe().endswith(docker_base_image)
