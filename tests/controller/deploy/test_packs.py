"""Packs deployed beside the repository's own detections: real repositories, real builds in the process backend."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packed import Both, live, said
from tests.playground import MATCH_BAD, NOON, actions, deploy
from trapline.controller import Controller
from trapline.deploy.ledger import find
from trapline.deploy.overrides import Kind, Override
from trapline.deploy.reconcile import How
from trapline.state.schema import alerts, detections, matches

LIBRARY = "ACCOUNTS = ()\n"
USES_LIBRARY = (
    "from lib.own import ACCOUNTS\n\n\ndef detect(record):\n    return record.get('account') not in ACCOUNTS\n"
)


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


@pytest.fixture
def controller(both: Both) -> Iterator[Controller]:
    with both.own.controller() as controller:
        yield controller


def test_what_is_enabled_is_deployed_beside_what_is_ones_own(both: Both, controller: Controller) -> None:
    both.use("quiet", "tag:tag-loud")
    report = controller.reconcile()
    assert actions(report) == {"mine": "deployed", "acme/quiet": "deployed", "acme/loud": "deployed"}
    assert not report.problems
    assert set(actions(controller.reconcile()).values()) == {"unchanged"}


def test_its_alerts_are_as_those_of_ones_own(both: Both, controller: Controller) -> None:
    both.use("loud")
    controller.reconcile()
    both.own.records(1, 2)
    both.own.at(10)
    controller.tick()
    found = {row["detection"]: row["severity"] for row in both.own.rows(alerts)}
    assert found == {"mine": "info", "acme/loud": "critical"}


def test_the_same_name_in_a_pack_and_here_are_two_detections(both: Both, controller: Controller) -> None:
    both.own.detection("loud", alert={"severity": "low"})
    both.use("loud")
    assert actions(controller.reconcile()) == {"mine": "deployed", "loud": "deployed", "acme/loud": "deployed"}


def test_a_folder_of_a_pack_is_in_nobodys_way(both: Both, controller: Controller) -> None:
    both.own.detection("mine", id="4711")
    both.theirs.detection("shadow", folder="mine")
    both.theirs.detection("louder", folder="elsewhere")
    both.pin = both.theirs.commit()
    both.use("louder", "shadow")
    controller.reconcile()
    assert find(controller.ledger, "mine").identity == "4711"
    assert find(controller.ledger, "elsewhere").identity == "acme/louder"


def test_two_of_a_pack_with_one_name_are_both_held(both: Both, controller: Controller) -> None:
    both.theirs.detection("loud", "def detect(record):\n    return True\n", folder="again")
    both.pin = both.theirs.commit()
    both.use("loud", "quiet")
    report = controller.reconcile()
    assert live(controller) == {"mine", "acme/quiet"}
    assert "the name `loud` is also that of" in said(report)


def test_an_update_of_the_pin_rebuilds_what_changed_alone(both: Both, controller: Controller) -> None:
    both.use("all")
    controller.reconcile()
    both.theirs.detection("quiet", f"{MATCH_BAD}  # better\n")
    both.use("all", revision=both.theirs.commit())
    assert actions(controller.reconcile()) == {
        "mine": "unchanged",
        "acme/loud": "unchanged",
        "acme/quiet": "updated",
        "acme/third": "unchanged",
    }


def test_what_is_no_longer_enabled_ends_at_once_however_much_it_is(both: Both, controller: Controller) -> None:
    both.use("all")
    controller.reconcile()
    both.use("quiet")
    report = controller.reconcile()
    assert live(controller) == {"mine", "acme/quiet"}
    assert actions(report)["acme/loud"] == "disabled"
    assert not report.problems
    assert "acme/loud" not in actions(controller.reconcile())


def test_an_override_switches_one_off_that_a_selector_covers(both: Both, controller: Controller) -> None:
    both.use("all", overrides={"third": {"enabled": False}})
    controller.reconcile()
    assert live(controller) == {"mine", "acme/quiet", "acme/loud"}


def test_a_pack_that_leaves_waits_for_a_person_above_the_caps(both: Both, controller: Controller) -> None:
    both.use("all")
    controller.reconcile()
    both.own.settings()
    both.own.commit()
    assert "more than may be retired unasked" in said(controller.reconcile())
    assert len(live(controller)) == 4
    controller.reconcile(How(confirm_prune=True))
    assert live(controller) == {"mine"}


def test_overrides_decide_without_a_build(both: Both, controller: Controller) -> None:
    both.theirs.detection("loud", f"{MATCH_BAD}\n\n\ndef severity(record):\n    return 'critical'\n")
    both.pin = both.theirs.commit()
    both.use("loud")
    controller.reconcile()
    override = {"severity": "low", "threshold": 2, "window": "2h", "where": "user = 'eve'", "exclude": "host = 'ci'"}
    both.use("loud", overrides={"loud": override})
    assert actions(controller.reconcile())["acme/loud"] == "reconfigured"
    both.own.records(1, user="eve", host="ci")
    both.own.records(2, 3, user="eve", host=None)
    both.own.records(4, user="bob", host="a")
    both.own.at(10)
    controller.tick()
    [alert] = [row for row in both.own.rows(alerts) if row["detection"] == "acme/loud"]
    assert (alert["severity"], alert["match_count"]) == ("low", 2)
    assert len([row for row in both.own.rows(matches) if row["identity"] == "acme/loud"]) == 2


def test_its_own_tests_are_about_what_its_author_wrote(both: Both, controller: Controller) -> None:
    case = {
        "name": "opens",
        "records": [{"event": {"action": "bad"}}],
        "match": True,
        "expect": {"severity": "critical"},
    }
    both.theirs.detection("loud", alert={"severity": "critical"}, tests=[case])
    both.pin = both.theirs.commit()
    both.use("loud", overrides={"loud": {"severity": "low"}})
    assert actions(controller.reconcile())["acme/loud"] == "deployed"


def test_a_file_of_ones_own_takes_the_place_of_one_of_the_pack(both: Both, controller: Controller) -> None:
    both.theirs.write("lib/own.py", LIBRARY)
    both.theirs.detection("stranger", USES_LIBRARY)
    both.pin = both.theirs.commit()
    both.own.write("ours/accounts.py", "ACCOUNTS = ('1',)\n")
    both.use("stranger", replace={"lib/own.py": "ours/accounts.py"})
    assert actions(controller.reconcile())["acme/stranger"] == "deployed"
    both.own.records(1, account="1")
    both.own.records(2, account="2")
    both.own.at(10)
    controller.tick()
    [alert] = [row for row in both.own.rows(alerts) if row["detection"] == "acme/stranger"]
    assert alert["match_count"] == 1
    both.own.write("ours/accounts.py", "ACCOUNTS = ('1', '2')\n")
    both.own.commit()
    assert actions(controller.reconcile())["acme/stranger"] == "updated"


def test_a_file_that_is_not_there_holds_what_needs_it_and_nothing_else(both: Both, controller: Controller) -> None:
    both.theirs.write("lib/own.py", LIBRARY)
    both.theirs.detection("stranger", USES_LIBRARY)
    both.pin = both.theirs.commit()
    both.use("stranger", "quiet", replace={"lib/own.py": "ours/acounts.py"})
    report = controller.reconcile()
    assert live(controller) == {"mine", "acme/quiet"}
    assert "there is no file `ours/acounts.py`" in said(report)
    assert "trapline.yml:" in said(report)


def test_a_pack_imports_nothing_of_the_repository_that_uses_it(both: Both, controller: Controller) -> None:
    both.own.write("lib/own.py", "ACCOUNTS = ('secret',)\n")
    both.theirs.detection("stranger", USES_LIBRARY)
    both.pin = both.theirs.commit()
    both.use("stranger")
    report = controller.reconcile()
    assert live(controller) == {"mine"}
    assert "there is no lib/own.py in the repository" in said(report)


def test_a_pack_that_is_away_keeps_its_last_good_version_and_holds_up_nothing(
    both: Both, controller: Controller
) -> None:
    both.use("all")
    controller.reconcile()
    both.theirs.detection("quiet", f"{MATCH_BAD}  # better\n")
    later = both.theirs.commit()
    gone = both.theirs.repository.rename(both.theirs.repository.with_name("away"))
    both.own.detection("more")
    both.use("quiet", "loud", revision=later)
    report = controller.reconcile()
    assert actions(report)["more"] == "deployed"
    assert actions(report)["acme/third"] == "disabled"  # what is enabled is one's own affair
    assert live(controller) == {"mine", "more", "acme/quiet", "acme/loud"}
    [problem] = report.problems
    assert f"it stays at {both.pin[:12]}" in problem.message
    assert (
        problem.line
        == both.own.repository.joinpath("trapline.yml").read_text().splitlines().index(f"    revision: {later}") + 1
    )
    gone.rename(both.theirs.repository)
    controller.reconcile()  # not yet: it is not asked again and again
    assert actions(controller.reconcile(How(retry_now=True)))["acme/quiet"] == "updated"


def test_it_is_asked_again_by_itself_after_a_while(both: Both, controller: Controller) -> None:
    away = both.theirs.repository.rename(both.theirs.repository.with_name("away"))
    both.use("quiet")
    assert "pack-not-read" in said(controller.reconcile())
    away.rename(both.theirs.repository)
    controller.reconcile()
    assert live(controller) == {"mine"}
    both.own.at(1)
    controller.reconcile()
    assert live(controller) == {"mine", "acme/quiet"}


def test_a_pack_that_was_lost_with_its_mirror_runs_on(both: Both) -> None:
    both.use("all")
    with both.own.controller() as controller:
        controller.reconcile()
    shutil.rmtree(both.own.home / "packs")
    shutil.rmtree(both.theirs.repository)
    with both.own.controller() as controller:
        report = controller.reconcile()
        assert len(live(controller)) == 4
        assert "what is live of it runs on" in said(report)
        assert {row["name"] for row in both.own.rows(detections)} == {"mine", "acme/quiet", "acme/loud", "acme/third"}


def test_what_is_called_as_a_pack_that_is_away_may_leave(both: Both, controller: Controller) -> None:
    both.own.detection("acme")
    both.own.settings()
    both.own.commit()
    controller.reconcile()
    both.own.remove("detections/acme")
    shutil.rmtree(both.theirs.repository)
    both.use("quiet")
    assert actions(controller.reconcile())["acme"] == "retired"


def test_what_breaks_with_an_update_stays_at_its_last_good_version(both: Both, controller: Controller) -> None:
    both.use("all")
    controller.reconcile()
    both.theirs.detection("loud", "def detect(record:\n")
    both.theirs.detection("quiet", f"{MATCH_BAD}  # better\n")
    both.use("all", revision=both.theirs.commit())
    report = actions(controller.reconcile())
    assert (report["acme/loud"], report["acme/quiet"]) == ("stalled", "updated")
    assert "acme/loud" in live(controller)


def test_what_is_broken_in_a_pack_and_nobody_asked_for_is_no_news(both: Both, controller: Controller) -> None:
    both.theirs.detection("broken", "def detect(record:\n")
    both.pin = both.theirs.commit()
    both.use("quiet")
    report = controller.reconcile()
    assert not report.problems
    assert actions(report) == {"mine": "deployed", "acme/quiet": "deployed"}


def test_only_a_signed_pin_is_used_where_that_is_asked_for(both: Both, controller: Controller, tmp_path: Path) -> None:
    for name in ("good", "other"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.com", "-f", tmp_path / name]
        subprocess.run(command, check=True)
    signers = f"good@example.com {(tmp_path / 'good.pub').read_text()}"
    both.pin = both.theirs.commit(sign=tmp_path / "good")
    both.use("quiet", verify={"ssh": signers})
    assert actions(controller.reconcile())["acme/quiet"] == "deployed"
    both.theirs.detection("quiet", f"{MATCH_BAD}  # worse\n")
    both.use("quiet", revision=both.theirs.commit(sign=tmp_path / "other"), verify={"ssh": signers})
    report = controller.reconcile()
    assert actions(report)["acme/quiet"] == "unchanged"
    assert "is not in `verify` of the pack" in said(report)


def test_a_rollback_brings_back_the_pin_of_then(both: Both, controller: Controller) -> None:
    first = both.use("quiet", overrides={"quiet": {"severity": "high"}})
    controller.reconcile()
    before = controller.ledger.deployments()["acme/quiet"]
    both.theirs.detection("quiet", f"{MATCH_BAD}  # worse\n")
    both.use("quiet", revision=both.theirs.commit())
    controller.reconcile()
    pin = Override("acme/quiet", Kind.PINNED, NOON, "", first, "packs/acme/detections/quiet", before.deploy_digest)
    controller.overrides.decide(pin)
    controller.reconcile()
    assert controller.ledger.deployments()["acme/quiet"].deploy_digest == before.deploy_digest


def test_the_pack_that_comes_with_trapline(both: Both, controller: Controller) -> None:
    from trapline.packs.store import PackStore
    from trapline.settings import PackSettings

    store = PackStore(both.own.home / "packs")
    tip = store.tip(PackSettings(source="builtin:aws", revision="0" * 40), env={})
    entry = {
        "source": "builtin:aws",
        "revision": tip,
        "enable": ["root_user_activity"],
        "tables": {"aws_cloudtrail": "logs"},
    }
    both.own.settings(packs={"aws": entry})
    both.own.commit()
    deploy(both.own, controller)
    assert "aws/root_user_activity" in live(controller)
