"""What is particular to Docker: the hardening, scopes, layers, and an engine that does not do as asked."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pyarrow as pa
import pytest

from trapline.workers.backends import base, seccomp
from trapline.workers.backends.docker import DETECTION, DIGEST, SCOPE, DockerBackend
from trapline.workers.interface import BackendUnavailable, Build, Limits, Rule, Seal, WorkerError

pytestmark = pytest.mark.docker
BATCH = pa.RecordBatch.from_pydict({"n": [1]})
RULE = Rule("demo", "detect.py", "record")
BuildOf = Callable[..., Build]
BUILD = """
import sys
from pathlib import Path
from trapline.workers.backends.docker import DockerBackend
from trapline.workers.interface import Build, BuildDigest

base, scope, packages = sys.argv[1:]
backend = DockerBackend(base, scope=scope)
print("ready", flush=True)
files = {"detect.py": (b"def detect(r): ...", False)}
backend.build(Build(BuildDigest("1" * 40), "demo", files, Path(packages)))
"""


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
    assert host["SecurityOpt"] == ["no-new-privileges", f"seccomp={seccomp.for_docker()}"]
    assert host["Privileged"] is False
    assert (host["Memory"], host["MemorySwap"]) == (2**28, 2**28)
    assert (host["PidsLimit"], host["NanoCpus"]) == (32, 500_000_000)
    assert host["Tmpfs"]["/tmp"] == "size=16m,noexec,nosuid,nodev"
    assert host["IpcMode"] == "none"
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


def test_an_image_under_another_builds_tag_is_not_that_build(
    docker_backend: DockerBackend, client: docker.DockerClient, build_of: BuildOf
) -> None:
    one, two = build_of("def detect(r): return True"), build_of("def detect(r): return False")
    seals = {build.digest: docker_backend.build(build) for build in (one, two)}
    other = client.images.get(seals[two.digest])
    other.tag(*_tag_of(client, seals[one.digest]).split(":"))
    assert one.digest not in docker_backend.built()
    assert docker_backend.built()[two.digest] == seals[two.digest]
    docker_backend.remove([one.digest])  # the tag is on what is not that build: nothing is removed
    assert docker_backend.built()[two.digest] == seals[two.digest]
    docker_backend.build(one)
    worker = docker_backend.start(one.digest, RULE, Limits())
    assert len(worker.run(BATCH).matches) == 1
    worker.close()
    docker_backend.remove([one.digest, two.digest])


def test_a_stranger_under_our_tag_is_no_build_and_stays(
    docker_backend: DockerBackend, client: docker.DockerClient, docker_base_image: str, build_of: BuildOf
) -> None:
    build = build_of("def detect(r): return True")
    tag = _tag_of(client, docker_backend.build(build))
    docker_backend.remove([build.digest])
    container = client.containers.create(docker_base_image, ["true"])
    stranger = container.commit(*tag.split(":"))
    container.remove()
    assert build.digest not in docker_backend.built()
    docker_backend.remove([build.digest])
    assert client.images.get(tag).id == stranger.id
    assert docker_backend.build(build) != stranger.id
    assert build.digest in docker_backend.built()
    docker_backend.remove([build.digest])
    client.images.remove(stranger.id)  # it lost its tag to the build, and nothing else


def test_an_image_that_was_altered_and_committed_has_another_seal(
    docker_backend: DockerBackend, client: docker.DockerClient, build_of: BuildOf
) -> None:
    build = build_of("def detect(r): return True")
    seal = docker_backend.build(build)
    tag = _tag_of(client, seal)
    container = client.containers.create(tag, entrypoint=["true"], command=[])
    container.put_archive("/trapline/detection", _archive("detect.py", b"def detect(r): return False"))
    container.commit(*tag.split(":"))  # it keeps all labels
    container.remove()
    assert docker_backend.built()[build.digest] != seal
    docker_backend.remove([build.digest])
    assert build.digest not in docker_backend.built()
    docker_backend.build(build)
    worker = docker_backend.start(build.digest, RULE, Limits())
    assert len(worker.run(BATCH).matches) == 1
    worker.close()
    docker_backend.remove([build.digest])


def test_killed_builds_leave_nothing_half_made(
    docker_base_image: str, client: docker.DockerClient, tmp_path: Path
) -> None:
    scope, packages = f"test-{uuid.uuid4().hex}", tmp_path / "packages"
    blob = 20_000_000 + int(scope[-6:], 16) % 10_000_000  # a size to know the images of this test by, labels or not
    packages.mkdir()
    (packages / "blob.py").write_bytes(b"#" * blob)
    backend = DockerBackend(docker_base_image, scope=scope)
    arguments = [sys.executable, "-c", BUILD, docker_base_image, scope, str(packages)]

    def build(*, kill_after: float | None) -> float:
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
            assert child.stdout
            assert child.stdout.readline() == b"ready\n"
            start = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(kill_after)
            child.kill()
        return time.monotonic() - start

    def left() -> list[str]:
        base = client.images.get(docker_base_image).attrs["Size"]
        large = (image for image in client.api.images(all=True) if 0 <= image["Size"] - base - blob < 10**6)
        images = [image["Id"] for image in large if image["Id"] not in before]
        return images + [found.id for found in client.containers.list(all=True, filters={"label": f"{SCOPE}={scope}"})]

    before = {image["Id"] for image in client.api.images(all=True)}
    whole = build(kill_after=None)
    (digest,) = backend.built()
    backend.remove([digest])
    for share in (0.8, 0.6, 0.4):
        build(kill_after=whole * share)
        for made in backend.built():  # the engine was faster
            backend.start(made, RULE, Limits()).close()
            backend.remove([made])
    deadline = time.monotonic() + 60
    while left() and time.monotonic() < deadline:  # the engine may still be at it
        time.sleep(0.1)
        backend.remove(backend.built())
    assert not left()


def test_a_base_image_that_cannot_be_had(docker_base_image: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"registry\.invalid/none.* cannot be pulled") as raised:
        DockerBackend("registry.invalid/none:1", scope="test")
    assert "debian.sh" in raised.value.remedy


def test_without_a_named_base_image_the_one_that_is_there_is_taken(
    docker_base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BASE_IMAGE", "trapline-test/nonesuch:1")
    monkeypatch.setattr(base, "LOCAL_BASE_IMAGE", docker_base_image)
    assert DockerBackend(scope=f"test-{uuid.uuid4().hex}").describe().endswith(docker_base_image)


def _tag_of(client: docker.DockerClient, seal: Seal) -> str:
    (tag,) = client.images.get(seal).tags
    return str(tag)


def _archive(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()
