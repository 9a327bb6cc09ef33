"""The page of the threat model names exactly those attacks that the process backend does not stop."""

from __future__ import annotations

import re
from pathlib import Path

from tests.sandbox.attacks.catalogue import MATCH, NOT_STOPPED, NOTHING, attacks

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/explanation/threat-model.md"
LIMITS = ROOT / "docs/reference/limits.md"


def test_the_page_lists_what_the_process_backend_does_not_stop() -> None:
    listed = re.findall(r"^\| `(\w+/\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert listed == [(one.name, one.says.splitlines()[0]) for one in attacks() if one.process == NOT_STOPPED]


def test_the_page_says_how_many_there_are() -> None:
    assert "more than a hundred attacks" in PAGE.read_text()
    assert len(attacks()) > 100


def test_every_attack_says_what_it_tries_in_a_sentence() -> None:
    assert [one.name for one in attacks() if not one.says.splitlines()[0].endswith(".")] == []


def test_every_outcome_is_one_that_users_can_look_up() -> None:
    known = set(re.findall(r"`(\w+)`", LIMITS.read_text())) | {NOTHING, MATCH}
    assert {one.expected(backend) for one in attacks() for backend in ("docker", "bubblewrap", "process")} - known == {
        NOT_STOPPED
    }
