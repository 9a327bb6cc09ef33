"""A disk that is full: said clearly, nothing is half-made, what is live stays live, and room is all it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playground import MATCH_BAD, NOON, Playground, column, eventually
from tests.reliability.conftest import KEYED, require, said, serving
from tests.reliability.witness import ProcessWitness
from trapline.errors import TraplineError
from trapline.state.schema import alerts

NAMES = ("one", "two", "three")
KEYS = [f"key {number}" for number in range(30)]
NO_INODES = -1


class Disk:
    """A small disk of its own, and ballast to fill it with."""

    def __init__(self, mounted: Path) -> None:
        self._mounted = mounted
        self._ballast = mounted / "ballast"

    def fill(self, left: int = 0) -> None:
        """Leaves so many KiB; or, with NO_INODES, much room and no further file."""
        self._ballast.mkdir()
        if left == NO_INODES:
            for number in range(os.statvfs(self._mounted).f_favail):
                (self._ballast / str(number)).touch()
            return
        page = os.statvfs(self._mounted).f_frsize
        with (self._ballast / "block").open("wb") as file:
            while (free := os.statvfs(self._mounted).f_bavail - left * 1024 // page) > 0:
                file.write(bytes(free * page))
                file.flush()

    def empty(self) -> None:
        shutil.rmtree(self._ballast)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    require(os.geteuid() == 0, "a small disk needs root")
    home = tmp_path / "home"
    home.mkdir()
    options = ["-t", "tmpfs", "-o", "size=16m,nr_inodes=3000", "tmpfs"]
    mounted = subprocess.run(["mount", *options, str(home)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(home)
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.fixture
def ground(disk: Disk, tmp_path: Path) -> Playground:
    """Three detections, committed, and a home on the small disk."""
    ground = Playground(tmp_path)
    for name in NAMES:
        ground.detection(name)
    ground.commit()
    return ground


def names_the_disk(text: str) -> bool:
    return "disk" in text.lower()


def test_a_home_that_cannot_even_be_begun(ground: Playground, disk: Disk) -> None:
    disk.fill()
    with pytest.raises(TraplineError) as raised, ground.controller():
        pass
    assert names_the_disk(str(raised.value))
    disk.empty()
    with ground.controller() as controller:
        controller.reconcile()
    assert set(ProcessWitness(ground).live()) == set(NAMES)


@pytest.mark.parametrize("left", [0, 16, 64, 256, NO_INODES])
def test_before_the_first_reconcile(ground: Playground, disk: Disk, left: int) -> None:
    witness = ProcessWitness(ground)
    with ground.controller() as controller:
        disk.fill(left)
        told = said(controller.reconcile)
        assert told
        assert all(map(names_the_disk, told)), told
        witness.live()  # fails where something half-made is
        disk.empty()
        ground.at(5)
        assert said(controller.reconcile) == []
    assert set(witness.live()) == set(NAMES)


@pytest.mark.parametrize("left", [0, 16, 64, 256, NO_INODES])
def test_before_an_update(ground: Playground, disk: Disk, left: int) -> None:
    witness = ProcessWitness(ground)
    with ground.controller() as controller:
        controller.reconcile()
        before = witness.live()
        for name in NAMES:
            ground.detection(name, f"{MATCH_BAD}  # {name}, changed\n")
        revision = ground.commit()
        disk.fill(left)
        told = said(controller.reconcile)
        assert told
        assert all(map(names_the_disk, told)), told
        during = witness.live()
        assert {name for name in NAMES if during[name] != before[name]} != set(NAMES)
        disk.empty()
        ground.at(5)
        assert said(controller.reconcile) == []
    assert witness.live() == witness.asked_for(revision)


@pytest.mark.parametrize("left", [0, 64, NO_INODES])
def test_before_a_tick(ground: Playground, disk: Disk, left: int) -> None:
    ground.detection("one", KEYED)
    ground.commit()
    with ground.controller() as controller:
        controller.reconcile()
        for key in KEYS:
            ground.records(1, key=key, filler="x" * 20_000)
        ground.at(5)
        disk.fill(left)
        try:
            told = list(controller.tick().errors.values())
        except TraplineError as error:
            told = [str(error)]
        assert told
        assert all(map(names_the_disk, told)), told
        disk.empty()
        assert not controller.tick().errors
        controller.deliver()
    opened = [row for row in ground.rows(alerts) if row["identity"] == "one"]
    assert sorted(column(opened, "dedupe")) == sorted(KEYS)
    assert set(column(opened, "match_count")) == {1}
    assert len(ground.said) == len(set(ground.said)) == len(ground.rows(alerts)) == len(KEYS) + 2


def test_the_long_running_process_lives_through_it(
    ground: Playground, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    ground.settings(schedule={"start": NOON, "every": "1s", "poll": "1s"})
    ground.detection("one", KEYED)
    ground.commit()
    witness, controller = ProcessWitness(ground), ground.controller()
    with caplog.at_level("WARNING", "trapline"), serving(controller, now=lambda: ground.now):
        eventually(lambda: set(witness.deployed()) == set(NAMES))
        ground.detection("two", f"{MATCH_BAD}  # two, changed\n")
        for key in KEYS:
            ground.records(1 / 60, key=key, filler="x" * 20_000)
        disk.fill()
        revision = ground.commit()
        ground.at(5 / 60)  # within the lease, which cannot be renewed now
        eventually(lambda: {"reconcile", "tick"} <= {text.partition(":")[0] for text in caplog.messages})
        assert all(names_the_disk(text) for text in caplog.messages), caplog.messages
        disk.empty()
        ground.at(10)
        eventually(lambda: controller.memory.source().revision == revision)
        eventually(lambda: witness.deployed() == witness.asked_for(revision))
        witness.live()
        eventually(lambda: len(ground.said) == len(KEYS) + 2)
    assert len(set(ground.said)) == len(KEYS) + 2
