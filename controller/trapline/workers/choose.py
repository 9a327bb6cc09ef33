"""Which backend to use: what the user said, else the strongest that works here, and why no stronger one, said aloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from trapline.errors import TraplineError
from trapline.workers.backends.owner import Owner
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Backend, BackendUnavailable

STRENGTH = ("docker", "bubblewrap", "process")
"""The backends, the strongest first."""
BACKENDS = ("auto", *STRENGTH)
_BECAUSE = "; chosen because "


def choose(
    backend: str, *, home: Path, base_image: str | None, scope: str, runtime: str | None = None
) -> tuple[Backend, str]:
    """The backend, and a sentence for the user that says which it is and why. `home` is where builds are.

    `scope` keeps several homes apart on one Docker engine; `base_image` None is the default image, `runtime` None the
    engine's own, and any other is Docker's alone. Raises BackendUnavailable where what was asked for cannot work.
    """
    if backend not in BACKENDS:
        raise TraplineError(f"there is no backend {backend!r}", remedy=f"use one of {', '.join(BACKENDS)}")
    owner = Owner(home.parent / "run")
    ways: dict[str, Callable[[], Backend]] = {
        "docker": lambda: _docker(base_image, scope=scope, runtime=runtime, owner=owner),
        "bubblewrap": lambda: _bubblewrap(home, owner),
        "process": lambda: ProcessBackend(home, owner),
    }
    asked = "docker" if backend == "auto" and runtime else backend
    try:
        chosen, reasons = _strongest(ways) if asked == "auto" else (ways[asked](), ())
    except BaseException:
        owner.release()
        raise
    return chosen, chosen.describe() + (_BECAUSE + ", and ".join(reasons) if reasons else "")


# What one of them needs takes long to load, and nobody uses all of them.


def _docker(base_image: str | None, *, scope: str, runtime: str | None, owner: Owner) -> Backend:
    from trapline.workers.backends.docker import DockerBackend

    return DockerBackend(base_image, scope=scope, runtime=runtime, owner=owner)


def _bubblewrap(home: Path, owner: Owner) -> Backend:
    from trapline.workers.backends.bubblewrap import BubblewrapBackend

    return BubblewrapBackend(home, owner)


def _strongest(ways: Mapping[str, Callable[[], Backend]]) -> tuple[Backend, tuple[str, ...]]:
    """The strongest that works, and why the stronger ones do not."""
    reasons: tuple[str, ...] = ()
    for name in STRENGTH[:-1]:
        try:
            return ways[name](), reasons
        except BackendUnavailable as error:
            reasons += (error.message,)
    return ways[STRENGTH[-1]](), reasons


def why_not_stronger(why: str) -> str:
    """The part of the sentence that says why no stronger backend was chosen."""
    return why.partition(_BECAUSE)[2]
