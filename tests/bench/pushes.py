"""From a push to a live detection, as a user has it: a controller in its own process, git over a socket, a webhook."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count

import httpx
import sqlalchemy as sa
import uv

from tests.bench.by_hand import ByHand, by_hand
from tests.bench.detections import make_files
from tests.bench.ground import Ground, ground, need_docker, remove_builds, service, until
from tests.bench.measure import Result, Skipped, Way, timed
from trapline.config.files import File
from trapline.requirements.index import find_settings
from trapline.state.database import Database
from trapline.state.schema import deployments

PUSHES = 30
DETECTIONS = 10
_SECRET = "the secret of the benchmarks"
_NAME = "detection_0"  # the one that is changed
_FOLDER = f"detections/{_NAME}"
_PINS = ("six==1.16.0", "six==1.17.0")


def measure_code(*, quick: bool) -> Result:
    """Each push changes the code of one rule of ten."""
    need_docker()
    numbers = count()
    with by_hand() as hand, _site(quick=quick) as site:
        return _measured(
            "Push to live through the webhook, Docker: another line of code",
            site,
            lambda: site.ground.append(f"{_FOLDER}/detect.py", f"# {next(numbers)}\n"),
            by_hand="docker build of the same files, docker run of their import",
            prepare=lambda: hand.write("detection/detect.py", f"NUMBER = {next(numbers)}\n"),
            work=hand.build_and_run,
            quick=quick,
        )


def measure_requirement(*, quick: bool) -> Result:
    """Each push pins another version of a requirement; its wheel is in uv's cache, and nothing else is there yet."""
    need_docker()
    numbers = count()
    with by_hand() as hand, _site(quick=quick) as site:
        for pin in _PINS:
            _install(pin, hand)
        site.ground.append(f"{_FOLDER}/detect.py", "import six\n\nSIX = six.__version__\n")

        def pin_another() -> None:
            number = next(numbers)  # in the file, so that it is locked anew each time
            text = f"{_PINS[number % 2]}  # {number}\n"
            site.ground.write({f"{_FOLDER}/requirements.txt": File(content=text.encode())})
            shutil.rmtree(site.ground.home / "requirements", ignore_errors=True)

        def install_build_and_run() -> None:
            _install(_PINS[next(numbers) % 2], hand)
            hand.build_and_run()

        return _measured(
            "Push to live through the webhook, Docker: another pinned requirement",
            site,
            pin_another,
            by_hand="uv pip install, docker build and docker run of the same",
            prepare=lambda: hand.write("requirements/number", str(next(numbers))),
            work=install_build_and_run,
            quick=quick,
        )


@dataclass(frozen=True, slots=True)
class _Site:
    """A running controller, and what it takes to push to it and to see what is live."""

    ground: Ground
    http: httpx.Client
    database: Database

    def push(self, revision: str) -> None:
        """From the start of the push until that revision is live."""
        self.ground.push()
        self.http.post("/hooks/generic").raise_for_status()
        until(lambda: self.live() == revision)

    def live(self) -> str:
        with self.database.reading() as connection:
            query = sa.select(deployments.c.revision).where(deployments.c.name == _NAME)
            return str(connection.execute(query).scalar())


def _measured(
    title: str,
    site: _Site,
    change: Callable[[], None],
    *,
    by_hand: str,
    prepare: Callable[[], None],
    work: Callable[[], None],
    quick: bool,
) -> Result:
    pushes = 1 if quick else PUSHES
    revision = ""

    def commit() -> None:
        nonlocal revision
        change()
        revision = site.ground.commit()

    ways = [
        Way(what=by_hand, work=work, before=prepare, letter="A", runs=max(pushes // 3, 1)),
        Way(what="push to live", work=lambda: site.push(revision), before=commit, against="A"),
    ]
    note = "From the start of `git push` to the row in the database that makes it live."
    return Result(title, "", timed(ways, runs=pushes), note)


@contextmanager
def _site(*, quick: bool) -> Iterator[_Site]:
    """A controller that has deployed the detections and waits for a hint."""
    with ground() as made, ExitStack() as ends:
        made.write(make_files(2 if quick else DETECTIONS))
        revision = made.commit()
        made.push()
        ends.callback(remove_builds, made, sandbox="docker")
        url = ends.enter_context(service(made, sandbox="docker", env={"TRAPLINE_HOOK_SECRET": _SECRET}))
        http = ends.enter_context(httpx.Client(base_url=url, headers={"Authorization": f"Bearer {_SECRET}"}))
        database = ends.enter_context(closing(Database.in_home(made.home)))
        site = _Site(made, http, database)
        until(lambda: site.live() == revision)
        yield site


def _install(pin: str, hand: ByHand) -> None:
    """Raises Skipped where no package index answers."""
    shutil.rmtree(hand.requirements)
    hand.requirements.mkdir()
    settings = find_settings(os.environ)
    done = subprocess.run(
        [uv.find_uv_bin(), "pip", "install", "--quiet", *settings.flags, "--target", str(hand.requirements), pin],
        env={**os.environ, **settings.env},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Skipped(f"no package index gives {pin}: {' '.join(done.stderr.split())[:300]}")
