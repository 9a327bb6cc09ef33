"""Which backend to use: what the user said, else Docker where it works, else processes, said aloud."""

from __future__ import annotations

from pathlib import Path

from trapline.errors import TraplineError
from trapline.workers.backends.docker import DockerBackend
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Backend, BackendUnavailable

BACKENDS = ("auto", "docker", "process")


def choose(backend: str, *, home: Path, base_image: str | None, scope: str) -> tuple[Backend, str]:
    """The backend, and a sentence for the user that says which it is and why.

    `scope` keeps several homes apart on one Docker engine; `base_image` None is the default image. Raises
    BackendUnavailable where the backend that was asked for cannot work.
    """
    if backend not in BACKENDS:
        raise TraplineError(f"there is no backend {backend!r}", remedy=f"use one of {', '.join(BACKENDS)}")
    if backend != "process":
        try:
            chosen = DockerBackend(base_image, scope=scope)
            return chosen, chosen.describe()
        except BackendUnavailable as error:
            if backend == "docker":
                raise
            reason = f"; chosen because {error.message}"
    else:
        reason = ""
    process = ProcessBackend(home)
    return process, process.describe() + reason
