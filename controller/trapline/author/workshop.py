"""Where an author's versions are built and run: as a controller does it, in a home that is nobody's else."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trapline.author.cache import user_cache
from trapline.author.checkout import Checkout
from trapline.author.shelf import Shelf
from trapline.clock import Clock
from trapline.deploy.build import Builder
from trapline.detection.model import Detection
from trapline.errors import TraplineError
from trapline.fingerprint import fingerprint
from trapline.requirements.lock import Requirements
from trapline.workers.choose import choose
from trapline.workers.interface import BuildDigest, Worker


@dataclass(frozen=True, slots=True)
class Workshop:
    """The builder of a checkout, and the sandbox that it builds for, in a sentence. `home` is kept between commands."""

    builder: Builder
    sandbox: str
    home: Path
    built: set[BuildDigest]

    def build(self, detection: Detection) -> BuildDigest:
        """What a controller would build of it, made where it is not there yet. Raises TraplineError."""
        builder = self.builder
        lock = builder.lock(detection)
        version = builder.version(detection)
        assert version is not None  # its requirements are locked
        if version.build not in self.built:
            builder.build(detection, version.build, lock, instead=False)
            self.built.add(version.build)
        return version.build

    def start(self, detection: Detection, digest: BuildDigest, *, coverage: bool = False) -> Worker:
        """A worker of what was built. Raises WorkerError."""
        return self.builder.start(detection, digest, coverage=coverage)

    def keep(self, digests: Collection[BuildDigest]) -> None:
        """Removes all builds but these."""
        others = self.built - set(digests)
        self.builder.backend.remove(sorted(others))
        self.built.difference_update(others)


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
    home = cached(checkout, cache)
    with ExitStack() as ends:
        shelf = Shelf(home / "shelf")
        ends.enter_context(_turn(home, on_progress))
        backend, sentence = choose(
            sandbox or settings.sandbox.backend,
            home=home / "builds",
            base_image=base_image or settings.sandbox.base_image,
            scope=shelf.scope(),
            runtime=settings.sandbox.runtime,
        )
        ends.enter_context(closing(backend))
        python, platform = backend.python()
        yield Workshop(
            Builder(
                backend=backend,
                platform=backend.platform(),
                requirements=Requirements(home / "requirements", python=python, platform=platform),
                memory=shelf,
                logs=shelf,
                settings=settings,
                now=now,
                on_progress=on_progress,
            ),
            sentence,
            home,
            set(backend.built()),
        )


def cached(checkout: Checkout, cache: Path | None = None) -> Path:
    """The folder in the user's cache of what was made of a checkout."""
    return (cache or user_cache()) / "trapline" / fingerprint(os.fsencode(checkout.root))[:12]


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
