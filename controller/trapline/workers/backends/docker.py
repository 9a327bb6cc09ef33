"""The Docker backend: each build an image made by COPY alone, each worker a container that can reach nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
import time
import traceback
import warnings
import weakref
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, Any

import docker
from docker.errors import APIError, BuildError, ContainerError, DockerException, ImageNotFound
from docker.types import LogConfig, Ulimit

from trapline.workers.backends import layout, seccomp
from trapline.workers.backends.container import Container
from trapline.workers.interface import BackendUnavailable, Build, BuildDigest, Limits, Rule, Seal, WorkerError
from trapline.workers.worker import SandboxWorker

# What sandbox/image/debian.sh makes, on machines that reach no image registry.
LOCAL_BASE_IMAGE = "trapline-base:bookworm"
BASE_IMAGE = "python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
REPOSITORY = "trapline/detection"
BUILD_ATTEMPTS = 3
STALE_SECONDS = 3600
ROOT = "/trapline"
NOBODY = "65534:65534"
DIGEST, DETECTION, SCOPE = (f"dev.trapline.{name}" for name in ("digest", "detection", "scope"))

# The copies that seldom change come first, so that builds share their layers. The scope comes before them all: whatever
# a killed build leaves is known to be ours.
_DOCKERFILE = """\
FROM {base}
LABEL {scope}
COPY runtime/ {root}/
COPY requirements/ {root}/requirements/
COPY detection/ {root}/detection/
LABEL {labels}
"""
_PROBE = (
    "import json, platform, sys; print(json.dumps({"
    "'version': sys.version_info[:3], 'executable': sys.executable, "
    "'machine': platform.machine(), 'libc': platform.libc_ver()[0]}))"
)


class DockerBackend:
    """Builds are images with our labels. `scope` keeps two homes on one engine apart."""

    name = "docker"

    def __init__(self, base_image: str | None = None, *, scope: str) -> None:
        """`base_image` None is the official one, or the local one where only that is on the engine.

        Raises BackendUnavailable where no engine answers or the base image cannot be used.
        """
        if not _NAME.fullmatch(scope):
            raise ValueError(f"a scope is made of letters, digits, '_', '.' and '-', not {scope!r}")
        self._scope = scope
        self._client = connect()
        self._base_image = base_image or self._default_image()
        weakref.finalize(self, self._client.close)
        self._base_id = self._find_base()
        self._probed = self._probe()
        self._sweep()

    def describe(self) -> str:
        return (
            f"docker: every detection in a container without network, capabilities or a writable disk, "
            f"on {self._base_image}"
        )

    def platform(self) -> str:
        version = ".".join(str(part) for part in self._probed["version"])
        machine = self._probed["machine"]
        return f"docker {self._base_id} {version} {machine} linux runtime:{layout.runtime_digest()}"

    def python(self) -> tuple[str, str]:
        major, minor, _ = self._probed["version"]
        libc = "gnu" if self._probed["libc"] == "glibc" else "musl"
        return f"{major}.{minor}", f"{self._probed['machine']}-unknown-linux-{libc}"

    def built(self) -> dict[BuildDigest, Seal]:
        """Our images, by label, each under its own tag: one that was tagged as another build is not that build."""
        with _engine("list the builds"):
            images = self._client.api.images(filters={"label": [f"{SCOPE}={self._scope}", DIGEST]})
        labelled = ((BuildDigest(image["Labels"][DIGEST]), image) for image in images)
        return {
            digest: Seal(image["Id"]) for digest, image in labelled if self._tag(digest) in (image["RepoTags"] or [])
        }

    def build(self, build: Build) -> Seal:
        """Makes the build ready, whole or not at all, for its tag is set last; a no-op where it is there already."""
        with tempfile.TemporaryFile() as context, _engine(f"build detection {build.detection}"):
            if there := self._seal(build.digest):
                return there
            self._write_context(context, build)
            for _ in range(BUILD_ATTEMPTS - 1):
                # Somebody's prune may take a layer that this build was about to stand on.
                with contextlib.suppress(BuildError, APIError):
                    return self._build_image(context, self._tag(build.digest))
            return self._build_image(context, self._tag(build.digest))

    def start(self, digest: BuildDigest, rule: Rule, limits: Limits) -> SandboxWorker:
        """Starts a worker and loads the rule. Raises WorkerError where the script cannot be imported."""
        with _engine(f"start detection {rule.detection}"):
            container = self._client.containers.create(
                self._tag(digest),
                entrypoint=[self._probed["executable"], *layout.FLAGS, ROOT],
                command=[],
                labels=self._labels(digest, rule.detection),
                **_hardening(limits),
            )
            channel = Container(container)
        return SandboxWorker(channel, rule, limits, rlimits={"RLIMIT_CORE": 0})

    def remove(self, digests: Iterable[BuildDigest]) -> None:
        """Takes our tags off our images, which the engine then drops. An image that only bears our tag is not ours."""
        for digest in digests:
            with _engine(f"remove build {digest}"), contextlib.suppress(ImageNotFound), _image_store(exclusive=True):
                if self._seal(digest):
                    self._client.images.remove(self._tag(digest), force=True)
        self._sweep()  # what a running worker kept the engine from removing earlier

    def close(self) -> None:
        """Ends the connection to the engine."""
        self._client.close()

    def _seal(self, digest: BuildDigest) -> Seal | None:
        """The id of the image of a build; None where there is none, or something else bears its tag."""
        try:
            image = self._client.images.get(self._tag(digest))
        except ImageNotFound:
            return None
        ours = (image.labels.get(DIGEST), image.labels.get(SCOPE)) == (digest, self._scope)
        return Seal(str(image.id)) if ours else None

    def _build_image(self, context: IO[bytes], tag: str) -> Seal:
        context.seek(0)
        with _image_store(exclusive=False):
            image, _ = self._client.images.build(
                fileobj=context, custom_context=True, tag=tag, network_mode="none", rm=True, forcerm=True
            )
        return Seal(str(image.id))

    def _labels(self, digest: BuildDigest, detection: str) -> dict[str, str]:
        return {DIGEST: digest, DETECTION: detection, SCOPE: self._scope}

    def _tag(self, digest: BuildDigest) -> str:
        # An image that lost its tag to another scope's equal build would look like rubbish to a prune.
        scope = hashlib.sha256(self._scope.encode()).hexdigest()[:12]
        return f"{REPOSITORY}:{digest}-{scope}"

    def _default_image(self) -> str:
        with _engine("look for a base image"):
            there = [name for name in (BASE_IMAGE, LOCAL_BASE_IMAGE) if self._has(name)]
        return there[0] if there else BASE_IMAGE

    def _has(self, image: str) -> bool:
        try:
            self._client.images.get(image)
        except ImageNotFound:
            return False
        return True

    def _find_base(self) -> str:
        """The id of the base image, which is pulled where it is absent."""
        try:
            return str(self._client.images.get(self._base_image).id)
        except ImageNotFound:
            pass
        try:
            return str(self._client.images.pull(self._base_image).id)
        except (DockerException, OSError) as error:
            raise BackendUnavailable(
                f"the base image {self._base_image} is not on this engine and cannot be pulled: {_reason(error)}",
                remedy="name an image with Python 3.11 or newer that this engine has or can pull; "
                "sandbox/image/debian.sh makes one from Debian's packages",
            ) from error

    def _probe(self) -> dict[str, Any]:
        """What the base image's Python says about itself."""
        try:
            answer = self._client.containers.run(
                self._base_id,
                entrypoint=["python3", "-I", "-c", _PROBE],
                command=[],
                remove=True,
                network_mode="none",
                labels={SCOPE: self._scope},
            )
            probed: dict[str, Any] = json.loads(answer)
        except (ContainerError, DockerException, OSError, ValueError) as error:
            raise BackendUnavailable(
                f"the base image {self._base_image} cannot run python3: {_reason(error)}",
                remedy="name an image with Python 3.11 or newer",
            ) from error
        if tuple(probed["version"][:2]) < layout.MIN_PYTHON:
            raise BackendUnavailable(
                f"the base image {self._base_image} has Python {'.'.join(map(str, probed['version']))}",
                remedy="name an image with Python 3.11 or newer",
            )
        return probed

    def _sweep(self) -> None:
        """Removes what a crash of ours left: containers that ended or never began, and images whose tag is gone."""
        ours = f"{SCOPE}={self._scope}"
        with _engine("sweep"):
            states = ["exited", "dead", "created"]
            for container in self._client.api.containers(all=True, filters={"label": ours, "status": states}):
                # One that was just created is about to be started, or is a step of a build.
                if container["State"] != "created" or container["Created"] < time.time() - STALE_SECONDS:
                    with contextlib.suppress(DockerException):
                        self._client.api.remove_container(container["Id"], v=True)
            for image in self._client.api.images(filters={"label": ours, "dangling": True}):
                with contextlib.suppress(DockerException), _image_store(exclusive=True):
                    self._client.api.remove_image(image["Id"])

    def _dockerfile(self, build: Build) -> str:
        labels = {DIGEST: build.digest, DETECTION: build.detection}
        return _DOCKERFILE.format(
            base=self._base_id, root=ROOT, scope=_quoted({SCOPE: self._scope}), labels=_quoted(labels)
        )

    def _write_context(self, file: IO[bytes], build: Build) -> None:
        """The build context: the same bytes for the same build, so that the engine finds its layers again."""
        folders = {PurePosixPath(name) for name in ("runtime", "requirements", "detection")}
        runtime = (layout.Entry(f"runtime/{entry.path}", entry.content) for entry in layout.runtime())
        with tarfile.open(fileobj=file, mode="w") as tar:
            _add(tar, layout.Entry("Dockerfile", self._dockerfile(build).encode()))
            entries = list(chain(runtime, layout.requirements(build), layout.detection(build)))
            for entry in entries:
                folders.update(PurePosixPath(entry.path).parents[:-1])
            for folder in sorted(folders):
                info = tarfile.TarInfo(str(folder))
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            for entry in entries:
                _add(tar, entry)


def _quoted(labels: dict[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in labels.items())  # names all, and none needs escapes


def _hardening(limits: Limits) -> dict[str, Any]:
    """What every worker's container is created with: nothing in it but stdin, stdout and what it needs to think."""
    return {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", f"seccomp={seccomp.for_docker()}"],
        "user": NOBODY,
        "pids_limit": limits.pids,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "nano_cpus": int(limits.cpus * 1e9),
        "tmpfs": {"/tmp": "size=16m,noexec,nosuid,nodev"},  # noqa: S108  inside the container
        "working_dir": "/tmp",  # noqa: S108
        "ulimits": [Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=256, hard=256)],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "ipc_mode": "none",  # nor a /dev/shm, which is writable otherwise
        "stdin_open": True,  # and closed for good when we hang up, by whatever end
    }


def _add(tar: tarfile.TarFile, entry: layout.Entry) -> None:
    content = entry.read()
    info = tarfile.TarInfo(entry.path)
    info.size, info.mode = len(content), entry.mode
    tar.addfile(info, io.BytesIO(content))


def connect() -> docker.DockerClient:
    """A client of the engine that Docker's own settings name. Raises BackendUnavailable where none answers."""
    client = None
    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, OSError) as error:
        if client is not None:
            client.close()
        _drop_sockets(error)
        raise BackendUnavailable(
            f"no Docker engine answers: {_reason(error)}",
            remedy="start Docker, or use the process backend, which is no security boundary",
        ) from error
    return client


def _drop_sockets(error: BaseException | None) -> None:
    """docker-py forgets to close a socket that nobody answers; dropped here, Python does not complain elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__


@contextlib.contextmanager
def _image_store(*, exclusive: bool) -> Iterator[None]:
    """Builds go on side by side, removals alone: the engine prunes layers that a build just found in its cache."""
    path = Path(tempfile.gettempdir()) / f"trapline-images-{os.getuid()}.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _engine(doing: str) -> Iterator[None]:
    """Turns what the engine can answer, or fail to, into our error."""
    try:
        yield
    except ImageNotFound as error:
        raise WorkerError("unavailable", f"cannot {doing}: it is not built", remedy="reconcile again") from error
    except (BuildError, DockerException, OSError) as error:
        raise WorkerError(
            "unavailable",
            f"cannot {doing}: {_reason(error)}",
            remedy="look whether the Docker engine runs and has disk space: docker info, docker system df",
        ) from error


def _reason(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error).strip()[:500]
