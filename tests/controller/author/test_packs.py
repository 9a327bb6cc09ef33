"""Packs as an author sees them before a merge: checked, compared and explained from a checkout, without a home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.playground import MATCH_BAD, NOON, Playground
from trapline.author.backtest.run import choose
from trapline.author.change.base import base_of
from trapline.author.change.differing import differing
from trapline.author.change.sides import sides
from trapline.author.checkout import Checkout
from trapline.author.validation.validate import Validated, validate
from trapline.cli import cli


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def theirs(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path / "theirs")
    for name in ("quiet", "loud"):
        ground.detection(name)
    return ground


@pytest.fixture
def own(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    ground.detection("mine")
    return ground


def use(own: Playground, theirs: Playground, revision: str, *enable: str, **pack: Any) -> None:
    entry = {"source": str(theirs.repository), "revision": revision, "enable": list(enable), **pack}
    own.settings(packs={"acme": entry})


def found(own: Playground) -> Validated:
    return validate(Checkout.around(own.repository), home=None, env={}, now=lambda: NOON)


def changes(own: Playground, base: str) -> dict[str, str]:
    checkout = Checkout.around(own.repository)
    return {one.name: one.what for one in differing(sides(checkout, base_of(checkout, base)))}


def test_names_that_the_pack_does_not_have_are_told_at_their_line(own: Playground, theirs: Playground) -> None:
    use(own, theirs, theirs.commit(), "quite", "tag:none", "loud", overrides={"lout": {"severity": "low"}})
    problems = found(own).problems
    lines = (own.repository / "trapline.yml").read_text().splitlines()
    at = {lines[problem.line - 1].strip(): problem for problem in problems}
    assert at.keys() == {"- quite", "- tag:none", "lout:"}
    assert "did you mean `quiet`?" in at["- quite"].remedy
    assert {problem.severity for problem in problems} == {"error"}


def test_a_detection_that_asks_for_an_unknown_table_names_the_way_out(own: Playground, theirs: Playground) -> None:
    theirs.detection("other", tables=["their_logs"])
    pin = theirs.commit()
    use(own, theirs, pin, "other")
    [problem] = found(own).problems
    assert problem.path == "packs/acme/detections/other/detection.yml"
    assert "packs.acme.tables" in problem.remedy
    use(own, theirs, pin, "other", tables={"their_logs": "logs"})
    assert not found(own).problems


def test_a_pack_that_does_not_answer_is_a_warning_and_a_pin_that_is_not_there_an_error(
    own: Playground, theirs: Playground
) -> None:
    theirs.commit()
    use(own, theirs, "a" * 40, "quiet")
    [problem] = found(own).problems
    assert (problem.severity, problem.code) == ("error", "pack-not-read")
    theirs.repository.rename(theirs.repository.with_name("away"))
    own.settings(packs={"acme": {"source": "http://127.0.0.1:9/acme.git", "revision": "a" * 40}})
    [problem] = found(own).problems
    assert (problem.severity, problem.code) == ("warning", "pack-not-read")


def test_what_was_fetched_once_is_read_without_its_source(own: Playground, theirs: Playground) -> None:
    use(own, theirs, theirs.commit(), "quiet")
    assert not found(own).problems
    theirs.repository.rename(theirs.repository.with_name("away"))
    assert not found(own).problems


def test_a_changed_pin_is_a_change_of_the_detections_that_differ(own: Playground, theirs: Playground) -> None:
    use(own, theirs, theirs.commit(), "all")
    base = own.commit()
    theirs.detection("quiet", f"{MATCH_BAD}  # better\n")
    theirs.detection("new")
    use(own, theirs, theirs.commit(), "all", overrides={"loud": {"threshold": 3}})
    assert changes(own, base) == {
        "acme/loud": "changed: trapline.yml",
        "acme/new": "new",
        "acme/quiet": "changed: detect.py",
    }


def test_a_pack_that_one_side_cannot_read_has_not_changed(own: Playground, theirs: Playground) -> None:
    use(own, theirs, theirs.commit(), "all")
    base = own.commit()
    use(own, theirs, "a" * 40, "all")
    assert changes(own, base) == {}


def test_what_is_not_used_yet_can_be_tried_by_its_name(own: Playground, theirs: Playground) -> None:
    use(own, theirs, theirs.commit(), "quiet")
    checkout = Checkout.around(own.repository)
    assert [str(one.name) for one in choose(checkout, ["acme/loud"]).detections] == ["acme/loud"]
    assert {str(one.name) for one in choose(checkout, []).detections} == {"mine", "acme/quiet"}
    path = str(own.repository)
    command = ["explain", "acme/loud", "--path", path, "--home", str(own.home)]
    said = CliRunner().invoke(cli, command, catch_exceptions=False, terminal_width=200)
    assert 'event.action == "bad"' in said.stdout
