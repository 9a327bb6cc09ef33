"""suppressions.yml on its way: from a commit to matches that raise no alert, and told when it is wrong or over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.playground import NOON, Playground, deploy
from trapline.cli import cli
from trapline.controller import Controller
from trapline.state.schema import alerts, deliveries, matches

QUIET = """\
suppressions:
  - detection: one
    fields: {user: ci-*}
    owner: carol
    reason: the build server does this
    expires: 2026-01-02
"""


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    ground.detection("one")
    ground.write("suppressions.yml", QUIET)
    return ground


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def found(ground: Playground, controller: Controller, minute: float, user: str) -> list[bool]:
    """Whether each match so far was suppressed, after a record of this user."""
    ground.records(minute, user=user)
    ground.at(minute + 1)
    controller.tick()
    return [row["suppressed_by"] is not None for row in ground.rows(matches, "event_at")]


def test_what_is_committed_holds(ground: Playground, controller: Controller) -> None:
    deploy(ground, controller)
    assert found(ground, controller, 1, "ci-7") == [True]
    assert found(ground, controller, 2, "root") == [True, False]
    assert len(ground.rows(alerts)) == 1


def test_what_is_removed_holds_no_more(ground: Playground, controller: Controller) -> None:
    deploy(ground, controller)
    ground.remove("suppressions.yml")
    deploy(ground, controller)
    assert found(ground, controller, 1, "ci-7") == [False]


def test_a_mistake_in_it_leaves_what_held_before(ground: Playground, controller: Controller) -> None:
    deploy(ground, controller)
    ground.write("suppressions.yml", QUIET + "  - detection: one\n")
    ground.commit()
    report = controller.reconcile()
    lines = [str(problem).splitlines()[0] for problem in report.problems if problem.path == "suppressions.yml"]
    assert "suppressions.yml:7:5: error: `suppressions[1].owner` is missing [missing-key]" in lines
    assert any("is missing" in problem for problem in controller.memory.problems())
    assert found(ground, controller, 1, "ci-7") == [True]


def test_a_mistake_in_the_first_one_suppresses_nothing(ground: Playground, controller: Controller) -> None:
    ground.write("suppressions.yml", QUIET.replace("owner", "ouner"))
    deploy(ground, controller)
    assert found(ground, controller, 1, "ci-7") == [False]


def test_one_that_is_over_is_told_until_it_is_cleared_up(ground: Playground, controller: Controller) -> None:
    ground.settings(operations=["terminal"])
    deploy(ground, controller)
    assert ground.rows(alerts) == []
    ground.now = NOON + timedelta(hours=12)
    controller.reconcile()
    controller.reconcile()
    [alarm] = ground.rows(alerts)
    assert (alarm["detection"], alarm["title"], alarm["match_count"]) == (
        "trapline",
        "A suppression of carol has ended",
        1,
    )
    assert alarm["description"].startswith("the suppression of carol ended on 2026-01-02: the build server does this.")
    ground.write("suppressions.yml", QUIET.replace("2026-01-02", "2026-02-02"))
    deploy(ground, controller)
    [alarm] = ground.rows(alerts)
    assert alarm["status"] == "resolved"
    assert [row["kind"] for row in ground.rows(deliveries, "sequence")] == ["opened", "resolved"]


def test_validate_tells_of_mistakes_and_of_what_is_over(ground: Playground) -> None:
    ground.write("suppressions.yml", QUIET.replace("detection: one", "detection: onne"))
    said = CliRunner().invoke(cli, ["validate", str(ground.repository)])
    assert "suppressions.yml:2: warning: the suppression of carol ended on 2026-01-02" in said.output
    assert "there is no detection `onne`" in said.output
    assert said.exit_code == 0
    ground.write("suppressions.yml", QUIET.replace("owner", "ouner"))
    said = CliRunner().invoke(cli, ["validate", str(ground.repository)])
    assert "suppressions.yml:4:5: error: unknown key `suppressions[0].ouner`" in said.output
    assert said.exit_code == 1


def test_what_holds_is_listed(ground: Playground, controller: Controller) -> None:
    deploy(ground, controller)
    found(ground, controller, 1, "ci-7")
    home = ["--home", str(ground.home)]
    header, row = CliRunner().invoke(cli, ["suppressions", "list", *home], catch_exceptions=False).output.splitlines()
    assert header.split() == ["SUPPRESSION", "OF", "OWNER", "REASON", "EXPIRES", "MATCHES"]
    assert "detection one, user ci-*" in row
    assert row.split()[-3:] == ["2026-01-02:", "over", "1"]
    listed = CliRunner().invoke(cli, ["matches", "list", "--suppressed", *home], catch_exceptions=False).output
    assert listed.splitlines()[1].rstrip().endswith(f"suppressed by {row.split()[0]}")
