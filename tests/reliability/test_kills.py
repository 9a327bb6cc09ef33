"""The reconcile killed with SIGKILL, wherever it is: what is live stays whole, and the next start converges."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.playground import MATCH_BAD, Playground
from tests.reliability.conftest import Drive
from tests.reliability.driver import STEPS
from tests.reliability.witness import DockerWitness, ProcessWitness, Witness
from trapline.deploy.digest import Version
from trapline.state.schema import events

CASE = {"name": "a bad one", "records": [{"event": {"action": "bad"}}], "match": True}


@dataclass
class Piece:
    """One detection as it is to be in git; `trouble` is why it cannot be deployed."""

    name: str
    folder: str
    version: int = 0
    severity: str = "low"
    enabled: bool = True
    trouble: str = ""


class Pack:
    """A repository of detections that changes at random."""

    def __init__(self, ground: Playground, chance: Random, size: int) -> None:
        self._ground, self._chance = ground, chance
        self._size = range(size - size // 4, size + size // 4 + 1)
        self._count = 0
        self.revision = ""
        self.pieces: dict[str, Piece] = {}
        ground.settings(prune={"max_share": 1.0, "max_count": size})
        for _ in range(size):
            self.add()
        self.revision = ground.commit()

    def change(self) -> None:
        """One or two changes, committed."""
        kinds = [self.code, self.code, self.configuration, self.enabling, self.moving, self.breaking, self.mending]
        for change in self._chance.sample([*kinds, self.add, self.remove], self._chance.randint(1, 2)):
            change()
        self.revision = self._ground.commit()

    def code(self) -> None:
        piece = self._any()
        piece.version = (piece.version + self._chance.randint(1, 3)) % 6  # some come back
        self._write(piece)

    def configuration(self) -> None:
        piece = self._any()
        piece.severity = self._chance.choice(["low", "medium", "high"])
        self._write(piece)

    def enabling(self) -> None:
        piece = self._any()
        piece.enabled = not piece.enabled or bool(piece.trouble)
        self._write(piece)

    def moving(self) -> None:
        piece = self._any()
        shutil.rmtree(self._path(piece))
        piece.folder = f"{piece.name}_{self._chance.randrange(1000)}"
        self._write(piece)

    def breaking(self) -> None:
        piece = self._any()
        piece.trouble, piece.enabled = self._chance.choice(["syntax", "config", "test"]), True
        self._write(piece)

    def mending(self) -> None:
        for piece in self.pieces.values():
            if piece.trouble:
                piece.trouble = ""
                self._write(piece)

    def add(self) -> None:
        if len(self.pieces) < self._size[-1]:
            self._count += 1
            name = f"detection_{self._count}"
            self.pieces[name] = Piece(name, name)
            self._write(self.pieces[name])

    def remove(self) -> None:
        if len(self.pieces) > self._size[0]:
            shutil.rmtree(self._path(self.pieces.pop(self._any().name)))

    def _any(self) -> Piece:
        return self._chance.choice(list(self.pieces.values()))

    def _path(self, piece: Piece) -> Path:
        return self._ground.repository / "detections" / piece.folder

    def _write(self, piece: Piece) -> None:
        code = f"{MATCH_BAD}  # {piece.name}, version {piece.version}\n"
        case = CASE | {"match": piece.trouble != "test"}
        settings = {"enabled": piece.enabled, "alert": {"severity": piece.severity}, "tests": [case]}
        self._ground.detection(piece.name, code, folder=piece.folder, **settings)
        if piece.trouble == "syntax":
            self._ground.write(f"detections/{piece.folder}/detect.py", f"{code}def broken(:\n")
        if piece.trouble == "config":
            self._ground.write(f"detections/{piece.folder}/detection.yml", f"name: {piece.name}\n  enabled: [true\n")


def somewhere(chance: Random, whole: float) -> dict[str, Any]:
    """Where to kill: at any moment of a whole reconcile, at the edge of one of its steps, or between transactions."""
    match chance.choice(["moment", "moment", "edge", "transaction"]):
        case "edge":
            return {"at": chance.choice(["", "after "]) + chance.choice(list(STEPS)), "nth": chance.choice([1, 1, 2])}
        case "transaction":
            return {"at": "transaction", "nth": chance.randint(1, 8)}
    return {"after": chance.uniform(0, whole), "family": chance.random() < 0.5}


def leftovers(home: Path) -> list[Path]:
    """What killed builds, removals, clones and fetches left."""
    places = {home / "builds": ".tmp-*", home: "mirror.git.tmp-*", home / "mirror.git": "**/tmp_*"}
    return [path for folder, pattern in places.items() for path in folder.glob(pattern)]


def killed_at_random(reconcile: Drive, pack: Pack, witness: Witness, chance: Random, *, kills: int) -> set[str]:
    """Kills so many attempts, and proves after each that nothing is half-made, and after each other that it converged.

    Returns the steps that the kills hit.
    """
    hit, live = Counter[str](), witness.live()
    whole, finished, attempts = 4.0, 0, 0
    while hit.total() < kills:
        attempts += 1
        answer = reconcile(**(somewhere(chance, whole) if attempts - finished <= 5 else {}))
        before, live = live, witness.live()
        if answer.killed:
            hit[answer.step or "open"] += 1
        else:
            whole, finished = (whole + answer.seconds) / 2, attempts
            assert (answer.error, live) == ("", asked(pack, witness, before))
        pack.change()
    print(f"{attempts} attempts, killed at {dict(hit)}")
    return {step.removeprefix("after ") for step in hit}


def asked(pack: Pack, witness: Witness, before: Mapping[str, Version]) -> Mapping[str, Version]:
    """What is to be live by now: what git has, and the last good version of what is broken there."""
    broken = {name for name, piece in pack.pieces.items() if piece.trouble}
    wanted = {name: version for name, version in witness.asked_for(pack.revision).items() if name not in broken}
    assert set(wanted) == {name for name, piece in pack.pieces.items() if piece.enabled} - broken
    return wanted | {name: version for name, version in before.items() if name in broken}


def builds(ground: Playground) -> dict[str, int]:
    """The builds, and when each was made."""
    return {folder.name: folder.stat().st_mtime_ns for folder in (ground.home / "builds").iterdir()}


def test_killed_anywhere_it_converges_at_the_next_start(
    ground: Playground, driving: Callable[..., Drive], chance: Random, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    reconcile = driving("driver", ground.home, ground.repository, "process", "", TMPDIR=str(tmp_path / "tmp"))
    witness = ProcessWitness(ground)
    hit = killed_at_random(reconcile, Pack(ground, chance, size=8), witness, chance, kills=100)
    assert len(hit & {"fetch", "read", "build", "smoke", "promote", "collect"}) >= 4

    assert not reconcile().error  # or what the last kill left is moved away before anything is built
    ground.detection("one_more")
    ground.commit()
    assert reconcile(at="rename").killed  # a build that is made, and not in its place yet
    assert leftovers(ground.home)
    for path in leftovers(ground.home):
        os.utime(path, (0, 0))
    assert not reconcile().error
    assert leftovers(ground.home) == []

    told, built = ground.rows(events), builds(ground)
    assert not reconcile().error
    assert (ground.rows(events), builds(ground)) == (told, built)  # there was nothing left to do


@pytest.fixture
def engine(ground: Playground, docker_base_image: str) -> Iterator[DockerWitness]:
    with closing(DockerWitness(ground, docker_base_image)) as engine:
        yield engine


@pytest.mark.docker
def test_killed_anywhere_with_docker_no_half_made_image_is_taken_and_nothing_is_left(
    ground: Playground,
    driving: Callable[..., Drive],
    chance: Random,
    docker_base_image: str,
    engine: DockerWitness,
) -> None:
    reconcile = driving("driver", ground.home, ground.repository, "docker", docker_base_image)
    killed_at_random(reconcile, Pack(ground, chance, size=4), engine, chance, kills=10)
    assert not reconcile().error
    assert engine.containers("running", "paused", "restarting") == []
    assert not reconcile().error
    assert engine.containers("exited", "dead") == []
    assert engine.untagged() == []
