"""The Docker backend: each build an image made by COPY alone, each worker a container that can reach nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import re
import tarfile
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, Any

from docker.errors import APIError, BuildError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Ulimit

from trapline.workers.backends import layout, seccomp
from trapline.workers.backends.base import find_base
from trapline.workers.backends.container import Container
from trapline.workers.backends.engine import Patience, connect
from trapline.workers.backends.owner import Owner
from trapline.workers.interface import BackendUnavailable, Build, BuildDigest, Limits, Rule, Seal, WorkerError
from trapline.workers.worker import SandboxWorker

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
REPOSITORY = "trapline/detection"
BUILD_ATTEMPTS = 3
STALE_SECONDS = 3600
ROOT = "/trapline"
NOBODY = "65534:65534"
DIGEST, DETECTION, SCOPE, OWNER = (f"dev.trapline.{name}" for name in ("digest", "detection", "scope", "owner"))

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


class DockerBackend:
    """Builds are images with our labels. `scope` keeps two homes on one engine apart."""

    name = "docker"

    def __init__(
        self, base_image: str | None = None, *, scope: str, runtime: str | None = None, owner: Owner | None = None
    ) -> None:
        """`base_image` None is the official one, or the local one where only that is on the engine; `runtime` None is
        the engine's own. Without an `owner` nobody's containers are swept but those that ended.

        Raises BackendUnavailable where no engine answers, or the base image or the runtime cannot be used.
        """
        if not _NAME.fullmatch(scope):
            raise ValueError(f"a scope is made of letters, digits, '_', '.' and '-', not {scope!r}")
        self._scope, self._runtime, self._owner = scope, runtime, owner
        self._patience = Patience()
        self._left: set[str] = set()  # containers that the engine did not remove when it should
        self._client = connect()
        weakref.finalize(self, self._client.close)
        try:
            self._check_engine()
            self._base = find_base(self._client, base_image, {**self._hardening(Limits()), "labels": {SCOPE: scope}})
            self._sweep()
        except WorkerError as error:
            raise BackendUnavailable(error.message, remedy=error.remedy) from error

    def describe(self) -> str:
        return (
            f"docker: every detection in a container without network, capabilities or a writable disk, "
            f"on {self._base.name}{f' with the runtime {self._runtime}' if self._runtime else ''}"
        )

    def platform(self) -> str:
        version = ".".join(map(str, self._base.version))
        return f"docker {self._base.id} {version} {self._base.machine} linux runtime:{layout.runtime_digest()}"

    def python(self) -> tuple[str, str]:
        libc = "gnu" if self._base.libc == "glibc" else "musl"
        return "{}.{}".format(*self._base.version), f"{self._base.machine}-unknown-linux-{libc}"

    def built(self) -> dict[BuildDigest, Seal]:
        """Our images, by label, each under its own tag: one that was tagged as another build is not that build."""
        with self._patience.asking("list the builds"):
            images = self._client.api.images(filters={"label": [f"{SCOPE}={self._scope}", DIGEST]})
        labelled = ((BuildDigest(image["Labels"][DIGEST]), image) for image in images)
        return {
            digest: Seal(image["Id"]) for digest, image in labelled if self._tag(digest) in (image["RepoTags"] or [])
        }

    def build(self, build: Build) -> Seal:
        """Makes the build ready, whole or not at all, for its tag is set last; a no-op where it is there already."""
        with tempfile.TemporaryFile() as context, self._patience.asking(f"build detection {build.detection}"):
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
        with self._patience.asking(f"start detection {rule.detection}"):
            container = self._client.containers.create(
                self._tag(digest),
                entrypoint=[self._base.executable, *layout.FLAGS, ROOT],
                command=[],
                labels=self._labels(digest, rule.detection),
                **self._hardening(limits),
            )
            channel = Container(container, self._patience, self._left.add)
        return SandboxWorker(channel, rule, limits, rlimits={"RLIMIT_CORE": 0})

    def remove(self, digests: Iterable[BuildDigest]) -> None:
        """Takes our tags off our images, which the engine then drops. An image that only bears our tag is not ours."""
        for digest in digests:
            with (
                self._patience.asking(f"remove build {digest}"),
                contextlib.suppress(ImageNotFound),
                _image_store(exclusive=True),
            ):
                if self._seal(digest):
                    self._client.images.remove(self._tag(digest), force=True)
        self._sweep()  # what a running worker kept the engine from removing earlier

    def close(self) -> None:
        """Ends the connection to the engine."""
        self._client.close()
        if self._owner:
            self._owner.release()

    def _check_engine(self) -> None:
        """Asks what the engine has. Raises BackendUnavailable where that is not the runtime that is asked for."""
        with self._patience.asking("look for runtimes and processors"):
            info = self._client.info()
        self._cpus, known = float(info["NCPU"]), sorted(info["Runtimes"])
        if self._runtime and self._runtime not in known:
            raise BackendUnavailable(
                f"the Docker engine has no runtime {self._runtime!r}, only {', '.join(known)}",
                remedy="install it and name it in the engine's daemon.json, or name another in sandbox.runtime",
            )

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
        owner = {OWNER: self._owner.id} if self._owner else {}
        return {DIGEST: digest, DETECTION: detection, SCOPE: self._scope, **owner}

    def _tag(self, digest: BuildDigest) -> str:
        # An image that lost its tag to another scope's equal build would look like rubbish to a prune.
        scope = hashlib.sha256(self._scope.encode()).hexdigest()[:12]
        return f"{REPOSITORY}:{digest}-{scope}"

    def _sweep(self) -> None:
        """Removes what a killed controller left: its containers, and images whose tag is gone."""
        ours = f"{SCOPE}={self._scope}"
        # While others remove images the engine may fail to list them. What is left is swept another time.
        with self._patience.asking("sweep"), contextlib.suppress(NotFound):
            for container in self._client.api.containers(all=True, filters={"label": ours}):
                if self._is_left(container):
                    with contextlib.suppress(DockerException):
                        self._client.api.remove_container(container["Id"], v=True, force=True)
            for image in self._client.api.images(filters={"label": ours, "dangling": True}):
                with contextlib.suppress(DockerException), _image_store(exclusive=True):
                    self._client.api.remove_image(image["Id"])

    def _is_left(self, container: dict[str, Any]) -> bool:
        """Whether nobody has a use for a container any more."""
        owner = container["Labels"].get(OWNER)
        if container["Id"] in self._left:
            return True
        if owner is not None:
            return self._owner is not None and not self._owner.alive(owner)
        if container["State"] in ("exited", "dead"):
            return True
        # One that was just created is about to be started, or is a step of a build; one of no build is a probe.
        passing = container["State"] == "created" or DIGEST not in container["Labels"]
        return passing and bool(container["Created"] < time.time() - STALE_SECONDS)

    def _hardening(self, limits: Limits) -> dict[str, Any]:
        """What every worker's container is created with: nothing in it but stdin, stdout and what it needs to think."""
        return {
            "runtime": self._runtime,
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges", f"seccomp={seccomp.for_docker()}"],
            "user": NOBODY,
            "pids_limit": limits.pids,
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,
            "nano_cpus": int(min(limits.cpus, self._cpus) * 1e9),
            "tmpfs": {  # inside the container
                "/tmp": "size=16m,noexec,nosuid,nodev",  # noqa: S108
                "/dev/mqueue": "size=4k,ro,noexec,nosuid,nodev",  # else the engine mounts one to write to
            },
            "working_dir": "/tmp",  # noqa: S108
            "ulimits": [Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=256, hard=256)],
            "log_config": LogConfig(type=LogConfig.types.NONE),
            "ipc_mode": "none",  # nor a /dev/shm, which is writable otherwise
            "stdin_open": True,  # and closed for good when we hang up, by whatever end
        }

    def _dockerfile(self, build: Build) -> str:
        labels = {DIGEST: build.digest, DETECTION: build.detection}
        return _DOCKERFILE.format(
            base=self._base.id, root=ROOT, scope=_quoted({SCOPE: self._scope}), labels=_quoted(labels)
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


def _add(tar: tarfile.TarFile, entry: layout.Entry) -> None:
    content = entry.read()
    info = tarfile.TarInfo(entry.path)
    info.size, info.mode = len(content), entry.mode
    tar.addfile(info, io.BytesIO(content))


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
