"""The Docker engine: reached with bounds on every wait, and what it answers, or fails to, as our errors."""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Iterator
from time import monotonic
from typing import Any

import docker
from docker.errors import BuildError, DockerException, ImageNotFound
from requests.exceptions import ConnectionError as LostConnection
from requests.exceptions import Timeout

from trapline.workers.interface import BackendUnavailable, WorkerError

SECONDS = 20
"""How long the engine may take for an answer."""
QUIET_SECONDS = 120
"""How long it may say nothing while it builds or pulls."""
REST_SECONDS = 30.0
"""How long one that did not answer is left alone: a tick must not wait for it again with each detection."""

_FULL_DISK = "no space left on device"


def connect() -> docker.DockerClient:
    """A client of the engine that Docker's own settings name. Raises BackendUnavailable where none answers."""
    client = None
    try:
        client = docker.from_env(timeout=SECONDS)
        _bound(client.api)
        client.ping()
    except (DockerException, OSError) as error:
        if client is not None:
            client.close()
        _drop_sockets(error)
        raise BackendUnavailable(
            f"no Docker engine answers: {reason(error)}",
            remedy="start Docker, or use the bubblewrap backend",
        ) from error
    return client


class Patience:
    """Asks the engine, and stops asking for a while once it did not answer in time. Thread-safe."""

    def __init__(self) -> None:
        self._rest_until = 0.0

    @contextlib.contextmanager
    def asking(self, doing: str) -> Iterator[None]:
        """Turns what the engine can answer, or fail to, into a WorkerError."""
        if (left := self._rest_until - monotonic()) > 0:
            raise _unavailable(doing, f"the Docker engine did not answer in time, and is asked again in {left:.0f} s")
        try:
            yield
        except ImageNotFound as error:
            raise WorkerError("unavailable", f"cannot {doing}: it is not built", remedy="reconcile again") from error
        except (BuildError, DockerException, OSError) as error:
            if is_late(error):
                self._rest_until = monotonic() + REST_SECONDS
            raise _unavailable(doing, reason(error)) from error


def is_late(error: BaseException | None) -> bool:
    """Whether an answer did not come in time; where it is streamed, or the first of all, the client wraps that."""
    if error is None or isinstance(error, Timeout):
        return error is not None
    return (isinstance(error, LostConnection) and "timed out" in str(error).lower()) or is_late(error.__cause__)


def reason(error: BaseException) -> str:
    """Why the engine did not do as asked."""
    if is_late(error):
        return "the Docker engine did not answer in time"
    return str(getattr(error, "explanation", None) or error).strip()[:500]


def remedy(why: str) -> str:
    """What a person can do about it."""
    if _FULL_DISK in why.lower():
        return "make room where the engine keeps its data: docker system df shows what takes it"
    return "look whether the Docker engine runs and does what it is asked: docker info"


def _unavailable(doing: str, why: str) -> WorkerError:
    return WorkerError("unavailable", f"cannot {doing}: {why}", remedy=remedy(why))


def _bound(api: Any) -> None:
    """docker-py waits for ever for a pull and a build, whatever its own timeout is."""
    send = api.send
    api.send = lambda request, **options: send(
        request, **{**options, "timeout": options.get("timeout") or QUIET_SECONDS}
    )


def _drop_sockets(error: BaseException | None) -> None:
    """docker-py forgets to close a socket that nobody answers; dropped here, Python does not complain elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__
