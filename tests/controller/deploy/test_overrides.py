"""Rolling back, suspending and resuming: what people decide by hand, against git, over real builds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.playground import MATCH_BAD, NOON, Playground, actions
from trapline.controller import Controller
from trapline.deploy.ledger import Deployment, Status, find
from trapline.deploy.overrides import Kind, Override
from trapline.deploy.reconcile import How
from trapline.errors import TraplineError

SECOND = MATCH_BAD + "  # second\n"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """One detection in two versions, the second one live, and another one beside it."""
    ground = Playground(tmp_path)
    ground.detection("one")
    ground.detection("other")
    ground.commit()
    return ground


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        controller.reconcile()
        ground.detection("one", SECOND)
        ground.commit()
        controller.reconcile()
        yield controller


def live(controller: Controller) -> Deployment:
    return controller.ledger.deployments()["one"]


def status(controller: Controller) -> Status:
    return controller.ledger.statuses()["one"]


def pin(controller: Controller, back: int = 1) -> str:
    """Pins `one` to the version so many before the newest; returns its digest."""
    version = controller.ledger.versions("one")[back]
    decision = Override(
        "one",
        Kind.PINNED,
        NOON,
        "too noisy",
        revision=version.revision,
        path=version.path,
        deploy_digest=version.deploy_digest,
    )
    controller.overrides.decide(decision)
    return version.deploy_digest


def suspend(controller: Controller) -> None:
    controller.overrides.decide(Override("one", Kind.SUSPENDED, NOON, "why not"))


def resume(controller: Controller, ground: Playground) -> dict[str, str]:
    controller.overrides.release("one", now=ground.now)
    return actions(controller.reconcile(How(fetch=False, only="one")))


def test_an_earlier_version_is_live_without_a_build_until_it_is_released(
    ground: Playground, controller: Controller
) -> None:
    newest, built = live(controller).deploy_digest, len(list((ground.home / "builds").iterdir()))
    wanted = pin(controller)
    assert actions(controller.reconcile(How(fetch=False, only="one"))) == {"one": "updated"}
    assert (live(controller).deploy_digest, status(controller).sync) == (wanted, "pinned")
    for said in ("too noisy", wanted[:12], newest[:12]):
        assert said in status(controller).message
    assert len(list((ground.home / "builds").iterdir())) == built
    assert actions(controller.reconcile()) == {"one": "pinned", "other": "unchanged"}
    assert resume(controller, ground) == {"one": "updated"}
    assert (live(controller).deploy_digest, status(controller).sync, status(controller).message) == (
        newest,
        "synced",
        "",
    )
    kinds = [event.kind for event in controller.ledger.history("one")]
    assert kinds == ["updated", "resumed", "updated", "pinned", "updated", "deployed"]


def test_a_pin_holds_against_new_commits_and_broken_ones_and_says_what_git_has(
    ground: Playground, controller: Controller
) -> None:
    wanted = pin(controller)
    controller.reconcile()
    ground.detection("one", MATCH_BAD + "  # third\n")
    ground.commit()
    controller.reconcile()
    assert (live(controller).deploy_digest, status(controller).sync) == (wanted, "pinned")
    ground.detection("one", "def detect(record)\n")
    ground.commit()
    report = controller.reconcile()
    assert (live(controller).deploy_digest, actions(report)["one"]) == (wanted, "pinned")
    assert any(problem.path == "detections/one/detect.py" for problem in report.problems)
    assert "git has another version" in status(controller).message
    ground.detection("one")
    ground.commit()
    controller.reconcile()
    assert "git has the same version now" in status(controller).message


def test_a_pinned_build_that_is_gone_is_built_again_from_its_own_commit(
    ground: Playground, controller: Controller
) -> None:
    wanted = pin(controller)
    controller.reconcile()
    shutil.rmtree(ground.home / "builds" / live(controller).build_digest)
    assert actions(controller.reconcile())["one"] == "healed"
    assert live(controller).deploy_digest == wanted


def test_a_pin_whose_commit_is_gone_keeps_what_runs(ground: Playground, controller: Controller) -> None:
    wanted = pin(controller)
    controller.reconcile()
    ground.rewrite()
    shutil.rmtree(ground.home / "mirror.git")
    with ground.controller() as fresh:
        fresh.reconcile()
        assert (live(fresh).deploy_digest, status(fresh).sync) == (wanted, "pinned")
        assert "the commit that it is pinned to is gone" in status(fresh).message
        assert resume(fresh, ground) == {"one": "updated"}


def test_pinned_and_gone_from_git_is_retired_and_forgotten(ground: Playground, controller: Controller) -> None:
    pin(controller)
    controller.reconcile()
    ground.remove("detections/one")
    ground.commit()
    assert actions(controller.reconcile())["one"] == "retired"
    assert controller.overrides.all(Kind.PINNED) == {}


def test_what_is_suspended_neither_runs_nor_changes_and_misses_nothing(
    ground: Playground, controller: Controller
) -> None:
    ground.at(1)
    controller.tick()
    before = live(controller)
    suspend(controller)
    assert (status(controller).sync, "why not" in status(controller).message) == ("suspended", True)
    ground.detection("one", MATCH_BAD + "  # third\n")
    ground.commit()
    assert actions(controller.reconcile())["one"] == "suspended"
    assert live(controller) == before
    ground.records(2)
    ground.at(10)
    assert controller.tick().ran == {"other"}
    assert resume(controller, ground) == {"one": "updated"}
    report = controller.tick()
    assert (report.ran, report.matches) == ({"one"}, 1)  # the one that came meanwhile


def test_a_suspended_one_that_breaks_in_git_stays_suspended(ground: Playground, controller: Controller) -> None:
    suspend(controller)
    ground.detection("one", "def detect(record)\n")
    ground.commit()
    assert actions(controller.reconcile())["one"] == "suspended"
    assert resume(controller, ground) == {"one": "stalled"}


@pytest.mark.parametrize("decide", [suspend, pin])
def test_turning_it_off_in_git_ends_what_was_decided_by_hand(
    ground: Playground, controller: Controller, decide: Callable[[Controller], object]
) -> None:
    decide(controller)
    controller.reconcile()
    ground.detection("one", enabled=False)
    ground.commit()
    assert actions(controller.reconcile())["one"] == "disabled"
    assert "one" not in controller.ledger.deployments()
    assert (controller.overrides.all(Kind.SUSPENDED), controller.overrides.all(Kind.PINNED)) == ({}, {})


def test_only_the_builds_of_rollbacks_are_kept(ground: Playground, controller: Controller) -> None:
    ground.settings(prune={"rollbacks": 1})
    for number in range(4):
        ground.detection("one", f"{MATCH_BAD}  # {number}\n")
        ground.commit()
        controller.reconcile()
    kept = {path.name for path in (ground.home / "builds").iterdir()}
    versions = controller.ledger.versions("one")
    assert [version.build_digest in kept for version in versions] == [True, True, False, False, False, False]
    assert set(controller.memory.seals()) == kept
    oldest = pin(controller, back=-1)  # older than what is kept: built again from its commit
    controller.reconcile()
    assert live(controller).deploy_digest == oldest


def test_a_detection_is_found_by_name_id_and_folder_and_a_wrong_name_gets_a_suggestion(
    ground: Playground, controller: Controller
) -> None:
    ground.detection("named", folder="somewhere", id="stable-id")
    ground.commit()
    controller.reconcile()
    for name in ("named", "stable-id", "somewhere", "detections/somewhere"):
        assert find(controller.ledger, name).identity == "stable-id"
    with pytest.raises(TraplineError) as caught:
        find(controller.ledger, "ohter")
    assert "other" in caught.value.remedy


def test_what_had_failed_before_it_was_suspended_is_not_said_to_be_tried_again(
    ground: Playground, controller: Controller
) -> None:
    ground.detection("one", tests=[{"name": "no", "records": [{"a": 1}], "match": True}])
    ground.commit()
    controller.reconcile()
    assert status(controller).retry_at
    suspend(controller)
    controller.reconcile()
    assert (status(controller).retry_at, status(controller).attempts) == (None, 0)


def test_a_merge_elsewhere_is_no_news_of_a_pin(ground: Playground, controller: Controller) -> None:
    pin(controller)
    controller.reconcile()
    told = len(controller.ledger.history("one"))
    for number in range(2):
        ground.detection("other", f"{MATCH_BAD}  # {number}\n")
        ground.commit()
        controller.reconcile()
    assert len(controller.ledger.history("one")) == told
