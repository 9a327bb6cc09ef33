"""`trapline registry list`: what is used of what, at which pin, and what is newer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Both


def rows(both: Both, *arguments: str, fails: bool = False) -> list[list[str]]:
    lines = both.run("list", *arguments, fails=fails).stdout.splitlines()
    return [re.split(r"  +", line.strip()) for line in lines]


def test_without_packs_it_is_said_how_to_add_one(both: Both) -> None:
    assert both.run("list").stdout == "trapline.yml names no packs; add one with `trapline registry add`\n"


def test_how_much_is_used_of_each(both: Both) -> None:
    both.use("tag:iam")
    both.run("enable", "acme/third")
    assert rows(both) == [
        ["PACK", "SOURCE", "PINNED TO", "RUN", "LICENCE"],
        ["acme", both.source, both.pin[:12], "3 of 3", "Apache-2.0"],
    ]


def test_what_was_never_fetched_is_read_only_where_its_source_may_be_asked(both: Both) -> None:
    both.use("loud")
    assert rows(both, fails=True)[1][3] == "not read"
    said = both.run("list", fails=True).stderr
    assert "was not fetched yet (`trapline registry list --check` fetches it" in said
    assert rows(both, "--check")[1][3] == "1 of 3"
    assert rows(both)[1][3] == "1 of 3"


def test_how_far_it_has_moved_on(both: Both, better: Callable[[], str]) -> None:
    both.use("loud")
    assert rows(both, "--check")[1][-1] == "no"
    better()
    tip = both.theirs.commit()
    assert rows(both, "--check")[1][-1] == f"{tip[:12]}, 2 commits"
    assert (both.json("list", "--check")[0]["behind"], both.json("list")[0]["tip"]) == (2, None)


def test_a_rewritten_history_is_told(both: Both) -> None:
    both.use("loud")
    rows(both, "--check")
    tip = both.theirs.rewrite()
    assert rows(both, "--check")[1][-1] == f"{tip[:12]}, which does not follow the pin"


def test_one_that_is_away_hides_no_other(both: Both) -> None:
    both.use("loud")
    both.run("list", "--check")
    both.run("add", "builtin:aws")
    both.write(both.text.replace(both.source, "/nowhere/at/all"))
    found = {one["name"]: one for one in both.json("list", "--check", fails=True)}
    assert found["aws"]["problem"] is None
    assert found["aws"]["detections"] > 100
    assert "/nowhere/at/all" in found["acme"]["problem"]


def test_of_one_that_is_away_is_said_what_is_known(both: Both) -> None:
    both.use("loud")
    both.run("list", "--check")
    both.theirs.repository.rename(both.theirs.repository.with_name("away"))
    said = both.run("list", "--check", fails=True)
    assert re.split(r"  +", said.stdout.splitlines()[1].strip())[3:] == ["1 of 3", "Apache-2.0", "-"]
    assert "acme: there is no git repository at" in said.stderr
    assert both.json("list", "--check", fails=True)[0]["used"] == ["acme/loud"]


def test_what_is_broken_in_a_pack_is_counted(both: Both) -> None:
    both.theirs.detection("half", "def detect(record:\n")
    both.use("loud", revision=both.theirs.commit())
    assert rows(both, "--check")[1][3] == "1 of 3, 1 broken"
    assert both.json("list")[0]["broken"] == 1
