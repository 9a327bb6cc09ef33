"""Where an author's versions are built and run: as a controller does it, in a home that is nobody's else."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trapline.author.checkout import Checkout
from trapline.clock import Clock
from trapline.deploy.build import Builder
from trapline.deploy.memory import Memory
from trapline.detection.model import Detection
from trapline.errors import TraplineError
from trapline.fingerprint import fingerprint
from trapline.requirements.lock import Requirements
from trapline.state.database import Database
from trapline.state.logs import Logs
from trapline.workers.choose import choose
from trapline.workers.interface import BuildDigest, Worker


@dataclass(frozen=True, slots=True)
class Workshop:
    """The builder of a checkout, and the sandbox that it builds for, in a sentence."""

    builder: Builder
    sandbox: str

    def build(self, detection: Detection) -> BuildDigest:
        """What a controller would build of it, made where it is not there yet. Raises TraplineError."""
        builder = self.builder
        lock = builder.lock(detection)
        version = builder.version(detection)
        assert version is not None  # its requirements are locked
        if version.build not in builder.backend.built():
            builder.build(detection, version.build, lock, instead=False)
        return version.build

    def start(self, detection: Detection, digest: BuildDigest) -> Worker:
        """A worker of what was built. Raises WorkerError."""
        return self.builder.start(detection, digest)

    def keep(self, digests: Collection[BuildDigest]) -> None:
        """Removes all builds but these."""
        self.builder.backend.remove(sorted(set(self.builder.backend.built()) - set(digests)))


@contextmanager
def workshop(
    checkout: Checkout,
    *,
    sandbox: str | None,
    base_image: str | None,
    now: Clock,
    on_progress: Callable[[str], None],
    cache: Path | None = None,
) -> Iterator[Workshop]:
    """The workshop of a checkout, whose builds and locks are kept in the user's cache; one process at a time has it."""
    settings = checkout.settings
    home = (cache or _cache()) / "trapline" / fingerprint(os.fsencode(checkout.root))[:12]
    with ExitStack() as ends:
        database = Database.in_home(home)
        ends.callback(database.close)
        ends.enter_context(_turn(home, on_progress))
        memory = Memory(database)
        backend, sentence = choose(
            sandbox or settings.sandbox.backend,
            home=home / "builds",
            base_image=base_image or settings.sandbox.base_image,
            scope=memory.scope(),
            runtime=settings.sandbox.runtime,
        )
        ends.enter_context(closing(backend))
        python, platform = backend.python()
        yield Workshop(
            Builder(
                backend=backend,
                platform=backend.platform(),
                requirements=Requirements(home / "requirements", python=python, platform=platform),
                memory=memory,
                logs=Logs(database),
                settings=settings,
                now=now,
                on_progress=on_progress,
            ),
            sentence,
        )


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@contextmanager
def _turn(home: Path, on_progress: Callable[[str], None]) -> Iterator[None]:
    try:
        file = (home / "workshop.lock").open("w")
    except OSError as error:
        remedy = "name a folder that you may write to in XDG_CACHE_HOME"
        raise TraplineError(f"{home} cannot be written: {error.strerror}", remedy=remedy) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("waiting for another command that builds of this checkout")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
