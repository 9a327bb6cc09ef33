"""Reconciling a real git repository, with real builds in the process backend."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playground import MATCH_BAD, Playground, actions
from trapline.controller import Controller
from trapline.deploy.ledger import Deployment, Status
from trapline.deploy.reconcile import How
from trapline.options import Options
from trapline.settings import SettingsError
from trapline.source.tree import SourceError
from trapline.source.verify import Trust
from trapline.state.schema import detections, events
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import WorkerError


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """Three detections, committed."""
    ground = Playground(tmp_path)
    for name in ("one", "two", "three"):
        ground.detection(name)
    ground.commit()
    return ground


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def live(controller: Controller) -> dict[str, Deployment]:
    return {deployment.name: deployment for deployment in controller.ledger.deployments().values()}


def status(controller: Controller, name: str) -> Status:
    [found] = [status for status in controller.ledger.statuses().values() if status.name == name]
    return found


def builds(ground: Playground) -> dict[str, int]:
    """The build folders, and when each was made."""
    return {folder.name: folder.stat().st_mtime_ns for folder in (ground.home / "builds").iterdir()}


def test_a_merge_deploys_and_a_second_look_builds_nothing(ground: Playground, controller: Controller) -> None:
    assert actions(controller.reconcile()) == {"one": "deployed", "two": "deployed", "three": "deployed"}
    before = builds(ground)
    assert len(before) == 3
    assert actions(controller.reconcile()) == {"one": "unchanged", "two": "unchanged", "three": "unchanged"}
    ground.write("README.md", "no detection")
    ground.commit()
    assert set(actions(controller.reconcile()).values()) == {"unchanged"}
    assert builds(ground) == before


def test_a_changed_detection_is_rebuilt_alone(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    before, old = builds(ground), live(controller)
    ground.detection("two", MATCH_BAD + "  # changed\n")
    revision = ground.commit()
    assert actions(controller.reconcile()) == {"one": "unchanged", "two": "updated", "three": "unchanged"}
    new = live(controller)
    assert new["two"].build_digest != old["two"].build_digest
    assert new["two"].revision == revision
    assert new["one"] == old["one"]
    after = builds(ground)
    assert {digest: made for digest, made in after.items() if digest in before} == before
    assert len(after) == 4  # the earlier build is kept, to go back to


def test_changed_configuration_redeploys_without_a_build(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    before = builds(ground)
    ground.detection("two", alert={"severity": "critical"})
    ground.commit()
    assert actions(controller.reconcile())["two"] == "reconfigured"
    assert live(controller)["two"].config.alert.severity == "critical"
    assert builds(ground) == before


def test_a_renamed_folder_is_the_same_detection(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    before = live(controller)
    ground.move("detections/two", "detections/renamed")
    ground.commit()
    assert set(actions(controller.reconcile()).values()) == {"unchanged"}
    assert live(controller) == before
    assert status(controller, "two").path == "detections/renamed"


def test_an_id_is_the_identity_across_a_change_of_name(ground: Playground, controller: Controller) -> None:
    ground.detection("two", id="stable")
    ground.commit()
    controller.reconcile()
    ground.detection("renamed", f"{MATCH_BAD}  # two\n", folder="two", id="stable")
    ground.commit()
    assert actions(controller.reconcile())["renamed"] == "reconfigured"
    assert controller.ledger.deployments()["stable"].name == "renamed"


def test_what_left_the_repository_is_retired(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    ground.remove("detections/two")
    ground.commit()
    assert actions(controller.reconcile())["two"] == "retired"
    assert set(live(controller)) == {"one", "three"}
    assert status(controller, "two").sync == "retired"
    assert actions(controller.reconcile()) == {"one": "unchanged", "three": "unchanged"}


def test_more_than_the_cap_waits_for_a_person(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    ground.remove("detections/two")
    ground.remove("detections/three")
    ground.commit()
    report = controller.reconcile()
    [problem] = report.problems
    assert problem.code == "prune-cap"
    assert "--confirm-prune" in problem.remedy
    assert set(live(controller)) == {"one", "two", "three"}
    assert actions(controller.reconcile(How(confirm_prune=True))) == {
        "one": "unchanged",
        "two": "retired",
        "three": "retired",
    }
    assert set(live(controller)) == {"one"}


def test_disabled_is_the_default_and_ends_what_runs(ground: Playground, controller: Controller) -> None:
    ground.detection("quiet", enabled=False)
    ground.commit()
    assert actions(controller.reconcile())["quiet"] == "disabled"
    ground.detection("two", enabled=False)
    ground.commit()
    assert actions(controller.reconcile())["two"] == "disabled"
    assert set(live(controller)) == {"one", "three"}
    ground.detection("two")
    ground.commit()
    assert actions(controller.reconcile())["two"] == "deployed"


def test_a_detection_can_be_turned_off_whatever_else_is_wrong_with_it(
    ground: Playground, controller: Controller
) -> None:
    controller.reconcile()
    ground.detection("two", enabled=False, alert={"destinations": ["nonesuch"]})
    ground.write("detections/two/requirements.txt", "-e .\n")
    ground.commit()
    report = controller.reconcile()
    assert actions(report)["two"] == "disabled"
    assert {problem.code for problem in report.problems} >= {"requirement"}
    assert set(live(controller)) == {"one", "three"}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("detect.py", "def detect(record)\n", "detect.py:1"),
        ("detect.py", "def detect(record):\n    return event.outcome\n", "undefined name 'event'"),
        ("detection.yml", "name: two\n  enabled: [true\n", "detection.yml"),
        ("detection.yml", "name: two\nenabled: true\ntables: [logs]\nalert: {threshold: none}\n", "detection.yml:4"),
        ("detection.yml", "name: two\nenabled: true\ntables: [lgs]\n", "logs"),
        ("detection.yml", "name: two\nenabled: true\ntables: [logs]\nalert: {destinations: [terminl]}\n", "terminal"),
        ("requirements.txt", "idna==3.10\n-r /etc/passwd\n", "requirements.txt:2"),
        ("detect.py", "import nonesuch\ndef detect(record):\n    return nonesuch.yes\n", "nonesuch"),
    ],
)
def test_a_broken_one_is_reported_and_keeps_its_last_good_version(
    ground: Playground, controller: Controller, file: str, text: str, said: str
) -> None:
    controller.reconcile()
    good = live(controller)
    ground.write(f"detections/two/{file}", text)
    ground.detection("one", MATCH_BAD + "  # goes on\n")
    ground.commit()
    report = controller.reconcile()
    assert actions(report)["one"] == "updated"
    assert actions(report)["two"] == "stalled"
    [message] = [outcome.message for outcome in report.outcomes if outcome.name == "two"]
    assert said in message
    assert "last good version stays live" in message
    assert live(controller)["two"] == good["two"]
    ground.detection("two", MATCH_BAD + "  # mended\n")
    if file == "requirements.txt":
        ground.remove("detections/two/requirements.txt")
    ground.commit()
    assert actions(controller.reconcile())["two"] == "updated"
    assert (status(controller, "two").sync, status(controller, "two").message) == ("synced", "")


def test_a_broken_one_that_never_ran_leaves_no_trace_once_mended(ground: Playground, controller: Controller) -> None:
    ground.detection("four", "def detect(record:\n")
    ground.commit()
    assert actions(controller.reconcile())["four"] == "stalled"
    ground.detection("four")
    ground.commit()
    assert actions(controller.reconcile())["four"] == "deployed"
    assert status(controller, "four").sync == "synced"


def test_its_own_tests_hold_a_version_back(ground: Playground, controller: Controller) -> None:
    case = {"name": "a bad one", "records": [{"event": {"action": "bad"}}], "match": True}
    ground.detection("two", tests=[case, {**case, "name": "a good one", "match": False}])
    ground.commit()
    [outcome] = [o for o in controller.reconcile().outcomes if o.name == "two"]
    assert outcome.action == "stalled"
    assert "test 'a good one': expected no match, got a match" in outcome.message
    ground.detection("two", tests=[{**case, "expect": {"title": "two", "severity": "info"}}])
    ground.commit()
    assert actions(controller.reconcile())["two"] == "deployed"


def test_its_own_tests_are_about_alerts_and_what_it_calls_too(ground: Playground, controller: Controller) -> None:
    script = "def known(user): raise ConnectionError\ndef detect(record): return known(record['user'])\n"
    case = {"name": "twice", "records": [{"user": "eve"}], "repeat": 2, "mocks": {"known": True}, "alerts": [{}]}
    ground.detection("one", script, tests=[case])
    ground.detection("two", script, tests=[case], alert={"threshold": 3})
    ground.commit()
    report = controller.reconcile()
    assert actions(report) == {"one": "deployed", "two": "stalled", "three": "deployed"}
    [outcome] = [one for one in report.outcomes if one.name == "two"]
    assert "test 'twice': expected an alert, got no alert: 2 matches came" in outcome.message


def test_two_folders_with_one_name_change_nothing(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    good = live(controller)
    ground.detection("two", MATCH_BAD + "  # another\n", folder="copy")
    ground.commit()
    report = controller.reconcile()
    assert actions(report) == {"one": "unchanged", "two": "stalled", "three": "unchanged"}
    assert {problem.path.rpartition("/")[0] for problem in report.problems} == {"detections/two", "detections/copy"}
    assert live(controller) == good


def test_what_failed_is_not_tried_again_before_its_time(ground: Playground, controller: Controller) -> None:
    ground.detection("two", tests=[{"name": "no", "records": [{"a": 1}], "match": True}])
    ground.commit()
    controller.reconcile()
    first = status(controller, "two")
    assert (first.attempts, first.retry_at) == (1, ground.now + (first.retry_at - first.updated_at))  # type: ignore[operator]
    controller.reconcile()
    assert status(controller, "two").attempts == 1
    ground.at(2)
    controller.reconcile()
    assert status(controller, "two").attempts == 2
    ground.commit("Anything")  # another commit changes nothing for this one
    controller.reconcile()
    assert status(controller, "two").attempts == 2
    assert actions(controller.reconcile(How(retry_now=True)))["two"] == "stalled"
    assert status(controller, "two").attempts == 3
    ground.detection("two", tests=[{"name": "still", "records": [{"a": 1}], "match": True}])
    ground.commit()  # a changed one is tried at once
    controller.reconcile()
    assert status(controller, "two").attempts == 1


def test_a_build_removed_by_hand_is_healed(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    digest = live(controller)["two"].build_digest
    shutil.rmtree(ground.home / "builds" / digest)
    assert actions(controller.reconcile()) == {"one": "unchanged", "two": "healed", "three": "unchanged"}
    assert (ground.home / "builds" / digest).is_dir()


def test_a_build_that_was_altered_by_hand_is_healed(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    script = ground.home / "builds" / live(controller)["one"].build_digest / "detection" / "detect.py"
    was = script.read_text()
    script.write_text("def detect(record):\n    return False\n")
    assert actions(controller.reconcile())["one"] == "healed"
    assert script.read_text() == was
    assert actions(controller.reconcile())["one"] == "unchanged"


def test_a_build_that_several_share_is_healed_once(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    names = [f"same_{number}" for number in range(6)]
    for name in names:
        ground.detection(name, MATCH_BAD)
    ground.commit()
    with ground.controller() as controller:
        controller.reconcile()
        [build] = (ground.home / "builds").iterdir()
        for _ in range(3):
            (build / "detection" / "detect.py").write_text("")
            assert actions(controller.reconcile()) == dict.fromkeys(names, "healed")


def test_a_warm_worker_of_an_altered_build_is_not_used_any_more(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    build = ground.home / "builds" / live(controller)["one"].build_digest
    for extra in (build / "detection" / "planted.py", build / "trapline_sandbox" / "planted.py"):
        extra.write_text("")
        ground.records(1)
        ground.at(5)
        controller.tick()  # a worker is warm now
        assert actions(controller.reconcile())["one"] == "healed"
        assert not extra.exists()


def test_while_the_repository_is_away_everything_runs_on_and_is_healed(
    ground: Playground, controller: Controller
) -> None:
    controller.reconcile()
    before = live(controller)
    away = ground.repository.rename(ground.repository.with_name("gone"))
    shutil.rmtree(ground.home / "builds" / before["one"].build_digest)
    report = controller.reconcile()
    [problem] = report.problems
    assert (problem.code, "runs on" in problem.message) == ("not-a-repository", True)
    assert actions(report) == {"one": "healed", "two": "unchanged", "three": "unchanged"}
    assert {name: one.deploy_digest for name, one in live(controller).items()} == {
        name: one.deploy_digest for name, one in before.items()
    }
    source = controller.memory.source()
    assert (source.failing_since, "no git repository" in source.error) == (ground.now, True)
    ground.at(10)
    controller.reconcile()
    assert controller.memory.source().failing_since == source.failing_since  # since when, not when last
    away.rename(ground.repository)
    assert controller.reconcile().problems == ()
    assert controller.memory.source().error == ""


def test_a_repository_that_never_answered_is_an_error(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.commit()
    ground.repository.rename(ground.repository.with_name("gone"))
    with ground.controller() as controller:
        with pytest.raises(SourceError):
            controller.reconcile()
        assert "no git repository" in controller.memory.source().error


def test_what_may_not_be_retired_unasked_says_so_in_its_status(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    ground.remove("detections/two")
    ground.remove("detections/three")
    ground.commit()
    controller.reconcile()
    assert (status(controller, "two").sync, "--confirm-prune" in status(controller, "two").message) == ("stalled", True)
    [problem] = controller.memory.problems()
    assert "more than may be retired unasked" in problem
    controller.reconcile(How(confirm_prune=True))
    assert (status(controller, "two").sync, controller.memory.problems()) == ("retired", [])


def test_a_reconcile_that_finds_nothing_new_writes_nothing(ground: Playground, controller: Controller) -> None:
    ground.detection("two", "def detect(record)\n")  # one that is broken is no news every time
    ground.detection("three", tests=[{"name": "no", "records": [{"a": 1}], "match": True}])
    ground.commit()
    controller.reconcile()
    before = {row["identity"]: row for row in ground.rows(detections)}
    ground.at(0.1)
    told = len(ground.rows(events))
    controller.reconcile()
    assert {row["identity"]: row for row in ground.rows(detections)} == before
    ground.commit("Another commit")
    controller.reconcile()
    since = {row["identity"]: row["updated_at"] for row in ground.rows(detections)}
    assert since == {identity: row["updated_at"] for identity, row in before.items()}
    assert len(ground.rows(events)) == told


def test_one_that_is_well_again_is_an_event(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    was = (ground.repository / "detections/two/detect.py").read_text()
    ground.detection("two", "def detect(record)\n")
    ground.commit()
    controller.reconcile()
    ground.detection("two", was)
    ground.commit()
    controller.reconcile()
    assert [event.kind for event in controller.ledger.history("two")] == ["synced", "stalled", "deployed"]


def test_a_lock_that_is_no_text_holds_up_nobody_but_its_detection(ground: Playground, controller: Controller) -> None:
    for name, enabled in (("two", True), ("three", False)):
        ground.detection(name, enabled=enabled)
        ground.write(f"detections/{name}/requirements.txt", "idna\n")
        (ground.repository / f"detections/{name}/requirements.lock").write_bytes(b"idna==3.10\n\xff\n")
    ground.commit()
    report = controller.reconcile()
    assert actions(report) == {"one": "deployed", "two": "stalled", "three": "disabled"}
    assert "detections/two/requirements.lock:2" in status(controller, "two").message


def test_what_left_without_ever_having_been_live_is_forgotten(ground: Playground, controller: Controller) -> None:
    ground.detection("two", enabled=False)
    ground.commit()
    controller.reconcile()
    ground.remove("detections/two")
    ground.commit()
    controller.reconcile()
    assert "two" not in controller.ledger.statuses()


def test_a_failure_of_the_whole_is_kept_for_the_status(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller.reconcile()
    with monkeypatch.context() as patch:
        patch.setattr(ProcessBackend, "built", _away)
        with pytest.raises(WorkerError):
            controller.reconcile()
    assert controller.memory.problems() == ["the engine is away"]
    controller.reconcile()
    assert controller.memory.problems() == []


def _away(_: object) -> None:
    raise WorkerError("unavailable", "the engine is away")


def test_a_folder_of_the_repository_is_all_there_is(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.detection("outside")
    ground.write("security/rules/trapline.yml", (ground.repository / "trapline.yml").read_text())
    ground.commit()
    ground.move("detections/outside", "security/rules/moved")
    ground.commit()
    (ground.repository / "security/rules/detections").mkdir()
    ground.move("security/rules/moved", "security/rules/detections/inside")
    ground.detection("outside")
    ground.commit()
    options = Options(ground.home, str(ground.repository), root="security/rules", sandbox="process")
    with Controller(options, now=lambda: ground.now) as controller:
        report = controller.reconcile()
        assert [status.path for status in controller.ledger.statuses().values()] == ["detections/inside"]
        assert (report.count("deployed"), report.problems) == (1, ())
        ground.move("security/rules", "security/elsewhere")
        ground.commit()
        [problem] = controller.reconcile().problems
        assert "security/rules" in problem.message
        assert len(live(controller)) == 1  # a folder that is gone retires nothing


def test_an_unverified_commit_is_not_deployed_and_says_so(tmp_path: Path) -> None:
    ground, key, trusted = Playground(tmp_path), tmp_path / "key", tmp_path / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "k", "-f", key], check=True)
    trusted.write_text(f"test@example.com {key.with_suffix('.pub').read_text()}")
    ground.detection("one")
    signed = ground.commit(sign=key)
    trust = Trust("ssh", trusted)
    options = Options(ground.home, str(ground.repository), sandbox="process", trust=trust)
    with Controller(options, now=lambda: ground.now) as controller:
        assert controller.reconcile().count("deployed") == 1
        ground.detection("one", MATCH_BAD + "  # by nobody we know\n")
        ground.detection("two")
        unsigned = ground.commit()
        report = controller.reconcile()
        assert (report.revision, report.count("unchanged"), len(report.outcomes)) == (signed, 1, 1)
        [problem] = report.problems
        assert (problem.code, unsigned[:12] in problem.message) == ("unverified", True)
        assert controller.memory.source().revision == signed
        assert unsigned[:12] in controller.memory.source().error
        ground.commit("Signed again", sign=key)
        report = controller.reconcile()
        assert (report.count("updated"), report.count("deployed"), report.problems) == (1, 1, ())
        assert controller.memory.source().error == ""


def test_an_old_signed_commit_is_not_brought_back_unasked(tmp_path: Path) -> None:
    ground, key, trusted = Playground(tmp_path), tmp_path / "key", tmp_path / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "k", "-f", key], check=True)
    trusted.write_text(f"test@example.com {key.with_suffix('.pub').read_text()}")
    ground.detection("one")
    old = ground.commit(sign=key)
    ground.detection("one", MATCH_BAD + "  # safer\n")
    new = ground.commit(sign=key)
    options = Options(ground.home, str(ground.repository), sandbox="process", trust=Trust("ssh", trusted))
    with Controller(options, now=lambda: ground.now) as controller:
        controller.reconcile()
        subprocess.run(["git", "-C", ground.repository, "reset", "-q", "--hard", old], check=True)
        report = controller.reconcile()
        [problem] = report.problems
        assert (report.revision, problem.code, "--confirm-rewrite" in problem.remedy) == (new, "unverified", True)
        assert controller.reconcile(How(confirm_rewrite=True)).revision == old
        assert controller.reconcile().problems == ()


def test_a_force_push_is_followed(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    ground.detection("two", MATCH_BAD + "  # rewritten\n")
    revision = ground.commit(amend=True)
    report = controller.reconcile()
    assert (report.revision, actions(report)["two"]) == (revision, "updated")
    [event] = controller.ledger.history("")
    assert (event.kind, event.revision, "history was rewritten" in event.message) == ("force-pushed", revision, True)
    ground.commit("An ordinary one")
    controller.reconcile()
    assert len(controller.ledger.history("")) == 1


def test_a_broken_trapline_yml_keeps_the_last_good_one(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    ground.write("trapline.yml", "tables: {logs: {path: [1}\n")
    ground.detection("four")
    ground.commit()
    report = controller.reconcile()
    assert [problem.path for problem in report.problems] == ["trapline.yml"]
    assert actions(report)["four"] == "deployed"


def test_a_repository_that_never_had_usable_settings_is_an_error(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.write("trapline.yml", "tables: 3\n")
    ground.commit()
    with ground.controller() as controller, pytest.raises(SettingsError, match=r"trapline\.yml:1"):
        controller.reconcile()


def test_history_tells_what_happened_newest_first(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    ground.detection("two", "def detect(record:\n")
    ground.commit()
    controller.reconcile()
    controller.reconcile()  # the same trouble again is no news
    kinds = [event.kind for event in controller.ledger.history("two")]
    assert kinds == ["stalled", "deployed"]


def test_a_lost_trapline_yml_is_an_error_and_the_last_one_counts(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    ground.remove("trapline.yml")
    ground.commit()
    report = controller.reconcile()
    assert [(problem.path, problem.severity) for problem in report.problems] == [("trapline.yml", "error")]
    assert set(actions(report).values()) == {"unchanged"}
    assert "logs" in report.settings.tables


def test_a_broken_folder_that_moved_is_still_the_same_detection(ground: Playground, controller: Controller) -> None:
    controller.reconcile()
    good = live(controller)
    ground.move("detections/two", "detections/moved")
    ground.write("detections/moved/detect.py", "def detect(record:\n")
    ground.commit()
    assert actions(controller.reconcile()) == {"one": "unchanged", "two": "stalled", "three": "unchanged"}
    assert live(controller) == good
    assert status(controller, "two").path == "detections/moved"


def test_what_of_a_commit_is_not_read_is_said(ground: Playground, controller: Controller) -> None:
    (ground.repository / "detections" / "two" / "link.py").symlink_to("/etc/hostname")
    ground.write("detections/one/new\nline.txt", "a name to fool a terminal")
    ground.commit()
    report = controller.reconcile()
    assert actions(report)["two"] == "stalled"
    [outcome] = [outcome for outcome in report.outcomes if outcome.name == "two"]
    assert "symbolic link" in outcome.message
    [problem] = [problem for problem in report.problems if problem.code == "not-read"]
    assert "not safe" in problem.message
