"""`trapline registry enable` and `disable`: what runs is what was said, by the fewest words in trapline.yml."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from trapline.cli import cli
from trapline.errors import TraplineError
from trapline.source.tree import SourceError

if TYPE_CHECKING:
    from .conftest import Both

NEXT = "commit trapline.yml and merge it: it is deployed from there\n"
OFF = "    overrides:\n      loud:\n        enabled: false   # too loud\n"


def touched(both: Both, *arguments: str) -> tuple[list[str], str]:
    """The lines of trapline.yml that a command changes, as `-old` and `+new`, and what it prints."""
    before = both.text
    said = both.run(*arguments).output
    lines = difflib.ndiff(before.splitlines(), both.text.splitlines())
    return [line[0] + line[2:] for line in lines if line[0] in "+-"], said


def refused(both: Both, *arguments: str) -> TraplineError:
    before = both.text
    with pytest.raises(TraplineError) as caught:
        both.run(*arguments)
    assert both.text == before
    return caught.value


def test_one_is_turned_on_by_its_name(both: Both) -> None:
    both.use("quiet")
    lines, said = touched(both, "enable", "acme/loud")
    assert (lines, said) == (["+      - loud"], f"turned on: acme/loud\n{NEXT}")


def test_the_first_one_makes_the_list(both: Both) -> None:
    both.use()
    assert touched(both, "enable", "acme/loud")[0] == ["+    enable:", "+      - loud"]


def test_several_at_once_by_names_tags_and_patterns(both: Both) -> None:
    both.use()
    lines, said = touched(both, "enable", "acme", "tag:iam", "thi*")
    assert lines == ["+    enable:", "+      - tag:iam", "+      - thi*"]
    assert said.startswith("turned on: acme/loud, acme/quiet, acme/third\n")
    assert both.settings.packs["acme"].enable == ("tag:iam", "thi*")


def test_what_is_covered_is_not_named_twice(both: Both) -> None:
    both.use("tag:iam")
    assert touched(both, "enable", "acme/loud") == ([], "nothing to change: it is so already\n")


def test_what_was_turned_off_by_itself_is_turned_on_again(both: Both) -> None:
    both.use("tag:iam", more=OFF)
    lines, said = touched(both, "enable", "acme/loud")
    assert lines == [f"-{line}" for line in OFF.splitlines()]
    assert said.startswith("turned on: acme/loud\n")


def test_other_overrides_of_it_stay(both: Both) -> None:
    both.use("tag:iam", more=OFF.replace("enabled: false", "severity: high\n        enabled: false"))
    assert touched(both, "enable", "acme/loud")[0] == ["-        enabled: false   # too loud"]


def test_a_tag_turns_nothing_on_that_is_turned_off_by_itself(both: Both) -> None:
    both.use(more=OFF)
    lines, said = touched(both, "enable", "acme", "tag:iam")
    assert lines == ["+    enable:", "+      - tag:iam"]
    assert "turned on: acme/quiet\n" in said
    assert "still off, as `overrides` says: acme/loud\n" in said


def test_one_is_turned_off_by_its_name(both: Both) -> None:
    both.use("quiet", "loud")
    assert touched(both, "disable", "acme/loud") == (["-      - loud"], f"turned off: acme/loud\n{NEXT}")


def test_the_last_one_takes_the_list_along(both: Both) -> None:
    both.use("loud")
    assert touched(both, "disable", "acme/loud")[0] == ["-    enable:", "-      - loud"]


def test_what_something_else_covers_is_turned_off_by_itself(both: Both) -> None:
    both.use("loud", "tag:iam")
    lines, said = touched(both, "disable", "acme/loud")
    assert lines == ["-      - loud", "+    overrides:", "+      loud:", "+        enabled: false"]
    assert said.startswith("turned off: acme/loud\n")
    assert touched(both, "disable", "acme/loud") == ([], "nothing to change: it is so already\n")


def test_what_an_override_turned_on_is_turned_off(both: Both) -> None:
    both.use(more=OFF.replace("false", "true"))
    assert touched(both, "disable", "acme/loud")[0] == [
        f"-{line}" for line in OFF.replace("false", "true").splitlines()
    ]
    assert both.json("list")[0]["used"] == []


def test_an_entry_is_taken_away_with_what_it_alone_covers(both: Both) -> None:
    both.use("tag:iam", "tag:s3")
    lines, said = touched(both, "disable", "acme", "tag:iam")
    assert lines == ["-      - tag:iam"]
    assert said.startswith("turned off: acme/quiet\n")


def test_all_by_a_pattern(both: Both) -> None:
    both.use("all")
    assert "turned off: acme/loud, acme/quiet, acme/third" in touched(both, "disable", "acme", "*")[1]
    assert both.json("list")[0]["used"] == []


def test_what_the_pack_has_no_longer_can_be_taken_out(both: Both) -> None:
    both.use("quiet", "bygone")
    lines, said = touched(both, "disable", "acme/bygone")
    assert (lines, said) == (["-      - bygone"], "no detection is turned on or off by that, so far\n")


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (("enable", "acme/lod"), "the pack `acme` has no detection `lod`", "did you mean `loud`?"),
        (("enable", "acme", "tag:ima"), "`tag:ima` covers no detection of the pack `acme`", "did you mean `tag:iam`?"),
        (("enable", "acme", "tag:IAM"), "`tag:IAM` covers no detection of the pack `acme`", "did you mean `tag:iam`?"),
        (("enable", "acme", "attack:ta9"), "`attack:ta9` covers no detection of the pack `acme`", "attack:t1078.004"),
        (("enable", "acme/xyz"), "the pack `acme` has no detection `xyz`", "it has: loud, quiet, third"),
        (("enable", "amce/loud"), "trapline.yml has no pack `amce`", "did you mean `acme`?"),
        (("enable", "loud"), "trapline.yml has no pack `loud`", "there are: acme"),
        (("enable", "acme"), "nothing of the pack `acme` is named", "`acme/NAME`"),
        (("disable", "acme/lod"), "the pack `acme` has no detection `lod`", "did you mean `loud`?"),
        (("disable", "acme", "tag:s4"), "`enable` of the pack `acme` has no `tag:s4`", "did you mean `tag:s3`?"),
    ],
)
def test_what_is_not_there_is_refused(both: Both, arguments: tuple[str, ...], message: str, remedy: str) -> None:
    both.use("tag:s3")
    error = refused(both, *arguments)
    assert error.message == message
    assert remedy in error.remedy


@pytest.mark.parametrize("word", ["enable", "disable"])
@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("severity:hgh", "`hgh` is no severity: write one of info, notice, low, medium, high, critical"),
        ("Tag:iam", "`Tag:iam` is neither a name nor one of tag:, attack:, severity: did you mean `tag`?"),
        ("tag:", "it names nothing"),
        ("", "it names nothing"),
    ],
)
def test_what_can_be_no_entry_is_refused(both: Both, word: str, entry: str, why: str) -> None:
    both.use("tag:iam")
    error = refused(both, word, "acme", entry)
    assert error.message == f"nothing of the pack `acme` is named by `{entry}`: {why}"
    assert "after `acme` names, `tag:iam`" in error.remedy


def test_all_or_nothing(both: Both) -> None:
    both.use()
    refused(both, "enable", "acme/loud", "acme/lod")


def test_what_does_not_load_is_not_turned_on(both: Both) -> None:
    both.theirs.detection("half", "def detect(record:\n")
    both.use(revision=both.theirs.commit())
    error = refused(both, "enable", "acme/half")
    assert error.message.startswith("acme/half cannot be loaded: packs/acme/detections/half/detect.py:1")
    assert "trapline registry update acme" in error.remedy


def test_what_would_be_held_back_is_told(both: Both) -> None:
    both.theirs.detection("elsewhere", tables=["other"])
    both.use(revision=both.theirs.commit())
    said = both.run("enable", "acme/elsewhere")
    assert "held back until this is mended" in said.stderr
    assert "other" in said.stderr


@pytest.mark.parametrize("command", ["validate", "backtest"])
def test_where_nothing_of_a_pack_is_turned_on_that_is_told(
    both: Both, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.use()
    monkeypatch.chdir(both.own.repository)
    with pytest.raises(TraplineError, match="there are no detections here") as caught:
        CliRunner().invoke(cli, [command], catch_exceptions=False)
    assert "`trapline registry enable acme all`" in caught.value.remedy


def test_a_pack_that_is_away_is_no_repository_without_detections(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    both.use("all")
    both.theirs.repository.rename(both.theirs.repository.with_name("away"))
    monkeypatch.chdir(both.own.repository)
    said = CliRunner().invoke(cli, ["validate"], catch_exceptions=False)
    assert "there is no git repository at" in said.output
    assert "0 detections" in said.output
    for names in ((), ("acme/loud",)):
        with pytest.raises(TraplineError, match="there is no git repository at"):
            CliRunner().invoke(cli, ["backtest", *names], catch_exceptions=False)


@pytest.mark.parametrize("source", ["", "builtin:aws"])
def test_where_nothing_can_be_kept_that_is_told(both: Both, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (both.own.repository / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(both.own.repository / "file/cache"))
    both.use()
    both.write(both.text.replace(both.source, source or both.source))
    with pytest.raises(SourceError, match="cannot be written") as caught:
        both.run("enable", "acme", "all")
    assert "whether this user may write there" in caught.value.remedy


def test_a_repository_that_only_uses_packs_has_nothing_to_test(both: Both) -> None:
    command = ["test", str(both.own.repository), "--sandbox", "process"]
    both.use()
    with pytest.raises(TraplineError, match="there are no detections here"):
        CliRunner().invoke(cli, command, catch_exceptions=False)
    both.use("all")
    said = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert (said.exit_code, said.stderr) == (
        0,
        "there are none of your own here; those of packs are tested before they are deployed\n",
    )
    assert CliRunner().invoke(cli, [*command, "--json"], catch_exceptions=False).stdout == "[]\n"


def test_a_pack_that_cannot_be_had_changes_nothing(both: Both) -> None:
    both.use(revision="f" * 40)
    with pytest.raises(SourceError, match="has no commit ffffffffffff"):
        both.run("enable", "acme/loud")


def test_nothing_named_is_wrong_usage() -> None:
    assert CliRunner().invoke(cli, ["registry", "enable"]).exit_code == 2
