"""What a home remembers of how it was run, so that no later command needs to be told again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.playground import NOON, Playground
from trapline.config import aws_secrets
from trapline.config.aws_secrets import PATIENCE_SECONDS, AwsSecrets
from trapline.controller import Controller
from trapline.deploy.reconcile import How
from trapline.errors import TraplineError
from trapline.options import Options
from trapline.source.access import Access
from trapline.source.tree import SourceError
from trapline.source.verify import Trust
from trapline.workers.interface import BackendUnavailable
from trapline_plugins.fake_server import Answer, serving


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    ground.detection("one")
    ground.commit()
    return ground


def options_of(options: Options) -> Options:
    """The options as a controller takes them."""
    with Controller(options, now=lambda: NOON) as controller:
        return controller.options


def test_what_is_not_said_is_as_the_home_was_last_run(ground: Playground, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.touch()
    said = Options(
        ground.home,
        str(ground.repository),
        "main",
        "",
        "process",
        None,
        Access(ssh_key=tmp_path / "key", known_hosts=tmp_path / "hosts", token_file=tmp_path / "token"),
        Trust("ssh", keys),
    )
    with (
        Controller(said, now=lambda: NOON, remember=True) as controller,
        pytest.raises(SourceError),
    ):  # nothing is signed
        controller.reconcile()
    remembered = options_of(Options(ground.home))
    assert remembered == said
    assert options_of(Options(ground.home, ref="v1", sandbox="docker")) == replace(said, ref="v1", sandbox="docker")
    assert options_of(Options(ground.home, verify_off=True)).trust is None
    other = options_of(Options(ground.home, access=Access(token="secret")))
    assert (other.access.token, other.access.token_file) == ("secret", None)  # the one that is given now


def test_options_that_led_nowhere_are_not_remembered(ground: Playground, tmp_path: Path) -> None:
    options = Options(ground.home, str(ground.repository), sandbox="process")
    with Controller(options, now=lambda: NOON, remember=True) as controller:
        controller.reconcile()
    for wrong in (Options(ground.home, ref="mian"), Options(ground.home, trust=Trust("ssh", tmp_path / "no keys"))):
        with Controller(wrong, now=lambda: NOON, remember=True) as controller, suppress(SourceError):
            assert controller.reconcile().trouble
    remembered = options_of(Options(ground.home))
    assert (remembered.ref, remembered.trust) == ("main", None)


def test_a_single_command_changes_nothing_for_the_next(ground: Playground, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.touch()
    said = Options(ground.home, str(ground.repository), sandbox="process", trust=Trust("ssh", keys))
    with Controller(said, now=lambda: NOON, remember=True) as controller, pytest.raises(SourceError):
        controller.reconcile()
    with Controller(Options(ground.home, verify_off=True), now=lambda: NOON) as controller:
        controller.reconcile()
    assert options_of(Options(ground.home)).trust == said.trust


def test_another_repository_retires_nothing_unasked(ground: Playground, tmp_path: Path) -> None:
    other = Playground(tmp_path / "other")
    other.detection("theirs")
    other.commit()
    with Controller(Options(ground.home, str(ground.repository), sandbox="process"), now=lambda: NOON) as controller:
        controller.reconcile()
    with Controller(Options(ground.home, str(other.repository), sandbox="process"), now=lambda: NOON) as controller:
        for _ in range(2):  # also when it is looked at again
            report = controller.reconcile()
            assert [problem.code for problem in report.problems] == ["prune-elsewhere"]
            assert {one.name for one in controller.ledger.deployments().values()} == {"one", "theirs"}
        assert controller.reconcile(How(confirm_prune=True)).count("retired") == 1
        other.detection("more")
        other.commit()
        controller.reconcile()
        other.remove("detections/more")
        other.commit()
        assert controller.reconcile().count("retired") == 1  # it is the repository that the home follows now


@pytest.mark.parametrize("user", ["token:", "user:token", "token"])
def test_no_secret_is_remembered(tmp_path: Path, user: str) -> None:
    home = tmp_path / "home"
    options = Options(home, f"http://{user}@127.0.0.1:9/r.git", access=Access(token="t0ken"), git_seconds=5)
    with Controller(options, now=lambda: NOON, remember=True) as controller, pytest.raises(SourceError):
        controller.reconcile()
    for file in home.glob("trapline.db*"):
        assert b"token" not in file.read_bytes()
        assert b"t0ken" not in file.read_bytes()
    with Controller(Options(home)) as controller, pytest.raises(TraplineError, match="which repository"):
        controller.reconcile()


@pytest.mark.parametrize("known", ["docker", "bubblewrap"])
def test_auto_never_puts_a_home_behind_weaker_walls(
    ground: Playground, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    with Controller(Options(ground.home, str(ground.repository), sandbox="auto"), now=lambda: NOON) as controller:
        controller.memory.keep_backend(known)  # so it was, when it was first run
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
        monkeypatch.setattr("shutil.which", lambda _: None)
        with pytest.raises(BackendUnavailable, match=f"runs on {known}, which does not answer") as caught:
            controller.reconcile()
        assert "bubblewrap is not installed" in caught.value.message
        assert "--sandbox process" in caught.value.remedy
    said = Options(ground.home, str(ground.repository), sandbox="process")
    with Controller(said, now=lambda: NOON) as controller:
        assert controller.reconcile().count("deployed") == 1  # said is said


def test_no_commit_takes_the_walls_away(ground: Playground) -> None:
    options = Options(ground.home, str(ground.repository))
    with Controller(options, now=lambda: NOON) as controller:
        controller.memory.keep_backend("docker")
        ground.settings(sandbox={"backend": "process"})
        ground.commit()
        with pytest.raises(BackendUnavailable, match=r"runs on docker, and trapline\.yml asks for process"):
            controller.reconcile()
        assert controller.settings() is None  # what it says is not in force


def test_what_waits_for_a_secret_is_delivered_once_aws_answers(
    ground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Answer(None)]
    seconds = [0.0]
    secrets = AwsSecrets(now=lambda: seconds[0], aside=lambda work: work())
    monkeypatch.setattr(aws_secrets, "shared", lambda: secrets)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    with serving(lambda _: answers[0]) as aws, serving(lambda _: Answer(200)) as soc:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        headers = {"authorization": "Bearer ${secretsmanager:prod/soc?region=eu-west-1#token}"}
        ground.settings(
            destinations={"soc": {"type": "webhook", "url": soc.url, "headers": headers}}, default_destinations=["soc"]
        )
        ground.commit()
        ground.records(1)
        ground.at(10)
        with ground.controller() as controller:
            controller.reconcile()
            controller.tick()
            report, [problem] = controller.deliver()
            assert (report.delivered, report.retrying, report.dead) == (0, 1, 0)
            assert "and AWS does not answer" in problem.message
            assert problem.line
            answers[0] = Answer(200, b'{"SecretString": "{\\"token\\": \\"from-aws\\"}"}')
            assert len(controller.deliver()[1]) == 1  # it is asked again after a while
            seconds[0] += PATIENCE_SECONDS
            report, problems = controller.deliver()
            assert (report.delivered, problems) == (1, [])
    [request] = soc.requests
    assert request.headers["authorization"] == "Bearer from-aws"
