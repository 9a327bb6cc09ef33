"""Drift on a real Docker engine: images that were removed or altered by hand are found, and made again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playground import MATCH_BAD, Playground, actions
from trapline.controller import Controller

pytestmark = pytest.mark.docker


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    for name in ("one", "two"):
        ground.detection(name)
    ground.commit()
    return ground


@pytest.fixture
def controller(ground: Playground, docker_base_image: str) -> Iterator[Controller]:
    with ground.controller(sandbox="docker", base_image=docker_base_image) as controller:
        try:
            controller.reconcile()
            yield controller
        finally:
            controller.remove_builds()


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def image_of(controller: Controller, name: str) -> str:
    """The image that a detection runs in, by its tag."""
    digest = controller.ledger.deployments()[name].build_digest
    [tag] = [
        line
        for line in docker("images", "--format", "{{.Repository}}:{{.Tag}}", "trapline/detection").splitlines()
        if digest in line
    ]
    return tag


def test_an_image_that_was_removed_is_made_again(ground: Playground, controller: Controller) -> None:
    docker("rmi", "--force", image_of(controller, "one"))
    assert actions(controller.reconcile()) == {"one": "healed", "two": "unchanged"}
    assert actions(controller.reconcile()) == {"one": "unchanged", "two": "unchanged"}
    ground.records(1)
    ground.at(5)
    assert controller.tick().errors == {}


def test_an_image_in_place_of_another_is_not_run(ground: Playground, controller: Controller) -> None:
    docker("tag", image_of(controller, "two"), image_of(controller, "one"))
    assert actions(controller.reconcile()) == {"one": "healed", "two": "unchanged"}


def test_an_image_that_was_altered_is_made_again_and_its_warm_worker_ends(
    ground: Playground, controller: Controller
) -> None:
    ground.records(1)
    ground.at(5)
    assert controller.tick().matches == 2
    image = image_of(controller, "one")
    changed = "def detect(record):\n    return False\n"
    container = docker("create", image)
    (ground.home / "detect.py").write_text(changed)
    docker("cp", str(ground.home / "detect.py"), f"{container}:/trapline/detection/detect.py")
    docker("commit", container, image)  # keeps our labels and our tag
    docker("rm", container)
    assert actions(controller.reconcile()) == {"one": "healed", "two": "unchanged"}
    ground.records(6)
    ground.at(10)
    assert controller.tick().matches == 2


def test_builds_of_others_and_images_in_use_stay(ground: Playground, controller: Controller) -> None:
    docker("tag", image_of(controller, "two"), "somebody/else:mine")
    try:
        for number in range(4):
            ground.detection("one", f"{MATCH_BAD}  # {number}\n")
            ground.commit()
            controller.reconcile()
        kept = {version.build_digest for version in controller.ledger.versions("one")[:3]}
        backend_has = set(controller.memory.seals())
        assert kept < backend_has
        assert len(backend_has) == 4  # three of `one`, and `two`
        assert docker("images", "-q", "somebody/else:mine")
    finally:
        docker("rmi", "somebody/else:mine")
