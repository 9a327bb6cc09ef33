"""The baseline of the Docker benchmarks: the same files made into an image and imported once, with Docker's command."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from tests.bench.ground import BASE_IMAGE
from tests.bench.measure import Skipped
from trapline.workers.backends import layout
from trapline.workers.backends.docker import SCOPE

_DOCKERFILE = """\
FROM {base}
LABEL {label}
COPY runtime/ /trapline/
COPY requirements/ /trapline/requirements/
COPY detection/ /trapline/detection/
"""
_IMPORT = "import sys; sys.path[:0] = [f'/trapline/{name}' for name in ('detection', 'requirements')]; import detect"


@dataclass(frozen=True, slots=True)
class ByHand:
    """A build context, and what a person would do with it."""

    context: Path
    label: str

    @property
    def requirements(self) -> Path:
        return self.context / "requirements"

    def write(self, path: str, text: str) -> None:
        """Writes a file of the context, so that its layer is built anew."""
        (self.context / path).write_text(text)

    def build_and_run(self) -> None:
        image = _docker("build", "--quiet", "--network", "none", str(self.context))
        _docker("run", "--rm", "--network", "none", image, "python3", *layout.FLAGS, "-c", _IMPORT)


@contextmanager
def by_hand() -> Iterator[ByHand]:
    """A context with the runtime in it; the images go at the end. Raises Skipped where there is no `docker` command."""
    if shutil.which("docker") is None:
        raise Skipped("there is no docker command to compare with")
    label = f"{SCOPE}=bench-{uuid.uuid4().hex[:12]}"
    with TemporaryDirectory(prefix="trapline-bench-") as name:
        made = ByHand(Path(name), label)
        for entry in layout.runtime():
            target = made.context / "runtime" / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(entry.read())
        for folder in ("requirements", "detection"):
            (made.context / folder).mkdir()
        made.write("detection/detect.py", "")
        (made.context / "Dockerfile").write_text(_DOCKERFILE.format(base=BASE_IMAGE, label=label))
        try:
            yield made
        finally:
            _remove_images(label)


def _docker(*arguments: str) -> str:
    """The builder that every engine has, so that the same work is done by the same program."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _remove_images(label: str) -> None:
    client = docker.from_env()
    try:
        for image in client.api.images(filters={"label": label}):
            client.api.remove_image(image["Id"], force=True)
    finally:
        client.close()
