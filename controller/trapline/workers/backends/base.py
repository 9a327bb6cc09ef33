"""The base image that detections are built on: found or pulled, and asked what its Python is."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import LogConfig

from trapline.workers.backends import layout
from trapline.workers.backends.engine import is_late, reason, remedy
from trapline.workers.interface import BackendUnavailable

# What sandbox/image/debian.sh makes, on machines that reach no image registry.
LOCAL_BASE_IMAGE = "trapline-base:bookworm"
BASE_IMAGE = "python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
PROBE_SECONDS = 20.0
_ANOTHER = "name an image with Python 3.11 or newer"
_PROBE = (
    "import json, platform, sys; print(json.dumps({"
    "'version': sys.version_info[:3], 'executable': sys.executable, "
    "'machine': platform.machine(), 'libc': platform.libc_ver()[0]}))"
)


@dataclass(frozen=True, slots=True)
class Base:
    """A base image, and what its Python says about itself."""

    name: str
    id: str
    executable: str
    version: tuple[int, ...]
    machine: str
    libc: str


def find_base(client: docker.DockerClient, name: str | None, options: dict[str, Any]) -> Base:
    """The base image `name`; None is the official one, or the local one where only that is on the engine.

    Its Python is run once, in a container made with `options`. Raises BackendUnavailable where it cannot be used.
    """
    try:
        name = name or _default(client)
        base = _probe(client, name, _find(client, name), options)
    except (DockerException, OSError) as error:
        why = reason(error)
        raise BackendUnavailable(f"the base image {name} cannot be used: {why}", remedy=remedy(why)) from error
    if base.version[:2] < layout.MIN_PYTHON:
        version = ".".join(map(str, base.version))
        raise BackendUnavailable(f"the base image {name} has Python {version}", remedy=_ANOTHER)
    return base


def _default(client: docker.DockerClient) -> str:
    return next((name for name in (BASE_IMAGE, LOCAL_BASE_IMAGE) if _has(client, name)), BASE_IMAGE)


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _find(client: docker.DockerClient, name: str) -> str:
    """The id of the base image, which is pulled where it is absent."""
    with contextlib.suppress(ImageNotFound):
        return str(client.images.get(name).id)
    try:
        return str(client.images.pull(name).id)
    except (DockerException, OSError) as error:
        raise BackendUnavailable(
            f"the base image {name} is not on this engine and cannot be pulled: {reason(error)}",
            remedy=f"{_ANOTHER} that this engine has or can pull; sandbox/image/debian.sh makes one from Debian's "
            "packages",
        ) from error


def _probe(client: docker.DockerClient, name: str, image: str, options: dict[str, Any]) -> Base:
    """What the image's Python says about itself."""
    log = LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m"})
    options = options | {"entrypoint": ["python3", "-I", "-c", _PROBE], "command": [], "log_config": log}
    container = client.containers.create(image, **options)
    try:
        container.start()
        code = container.wait(timeout=PROBE_SECONDS)["StatusCode"]
        said = container.logs(stdout=True, stderr=code != 0)
        answer = json.loads(said) if code == 0 else {}
        return Base(name, image, answer["executable"], tuple(answer["version"]), answer["machine"], answer["libc"])
    except (ValueError, TypeError, KeyError):
        words = said.decode("utf-8", "replace").strip()[-500:] or "nothing"
        why = f"it ended with exit code {code} and said {words}"
    except (DockerException, OSError) as error:
        why = f"it did not end within {PROBE_SECONDS:g} s" if is_late(error) else reason(error)
    finally:
        with contextlib.suppress(DockerException, OSError):
            container.remove(force=True, v=True)
    raise BackendUnavailable(f"the base image {name} cannot run python3: {why}", remedy=_ANOTHER)
