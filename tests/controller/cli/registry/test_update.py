"""`trapline registry update`: what another commit changes is shown before the pin moves, and moves alone."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tests.playground import MATCH_BAD, NOON
from trapline.cli import cli
from trapline.errors import TraplineError
from trapline.source.tree import SourceError

if TYPE_CHECKING:
    from .conftest import Both


def pinned(both: Both) -> str:
    return both.settings.packs["acme"].revision


def shown(both: Both, *arguments: str, fails: bool = False) -> Any:
    """What is said of `acme` as JSON."""
    [found] = both.json("update", *arguments, fails=fails)
    return found


def test_nothing_is_newer(both: Both) -> None:
    both.use("quiet")
    assert both.run("update").stdout == "nothing is newer than what is pinned\n"


def test_without_packs_nothing_is_pinned(both: Both) -> None:
    assert both.run("update").stdout == "trapline.yml names no packs; add one with `trapline registry add`\n"


def test_the_pin_moves_and_nothing_else(both: Both, better: Callable[[], str]) -> None:
    both.use("quiet")
    tip, before = better(), both.text
    said = both.run("update", "acme", "--yes").stdout
    assert said.endswith("commit trapline.yml and merge it: it is deployed from there\n")
    lines = difflib.ndiff(before.splitlines(), both.text.splitlines())
    assert [line for line in lines if line[0] in "+-"] == [f"-     revision: {both.pin}", f"+     revision: {tip}"]


def test_what_changes_for_what_is_used_is_said(both: Both, better: Callable[[], str]) -> None:
    both.use("quiet")
    tip = better()
    said = both.run("update", "acme").stdout
    assert said == (
        f"acme  {both.pin[:12]} -> {tip[:12]}, 1 commit on\n"
        "  acme/quiet  changed: detect.py, detection.yml\n"
        "    alert.severity: low -> high\n"
        "    alert.threshold: 1 -> 2\n"
        '    can match where: event.action == "bad"\n'
        '                now: event.action in ("bad", "worse")\n'
        "    detect.py: +1 -1\n"
        "    detection.yml: +2 -1\n"
        "  new, and not used: acme/fourth\n"
        "  gone, and not used: acme/third\n"
    )
    assert pinned(both) == both.pin


def test_without_a_terminal_nothing_is_written_unasked(both: Both, better: Callable[[], str]) -> None:
    both.use("quiet")
    better()
    assert "not written: there is nobody to ask; add --yes" in both.run("update").stderr
    assert pinned(both) == both.pin


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_somebody_is_asked(
    both: Both, better: Callable[[], str], answer: str, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.use("quiet")
    tip = better()
    monkeypatch.setattr("trapline.cli.registry.update.is_interactive", lambda: True)
    command = ["registry", "update", "--path", str(both.own.repository)]
    said = CliRunner().invoke(cli, command, input=f"{answer}\n", catch_exceptions=False)
    assert "write it? [y/N]" in said.stdout
    assert pinned(both) == (tip if written else both.pin)


def test_programs_are_told_whether_it_was_written(both: Both, better: Callable[[], str]) -> None:
    both.use("quiet", "third")
    tip = better()
    assert [shown(both, "--yes", fails=True)["written"], shown(both, "--force")["written"]] == [False, False]
    assert pinned(both) == both.pin
    assert shown(both, "--yes", "--force")["written"]
    assert pinned(both) == tip


def test_every_line_is_shown_where_that_is_asked_for(both: Both, better: Callable[[], str]) -> None:
    both.use("quiet")
    better()
    said = both.run("update", "--diff").stdout
    assert '      -    return record.deepget("event.action") == "bad"  # quiet\n' in said
    assert '      +    return record.deepget("event.action") in ("bad", "worse")\n' in said


def test_what_is_overridden_here_is_no_change(both: Both) -> None:
    both.use("quiet", more="    overrides:\n      quiet: {severity: medium}\n")
    both.theirs.detection("quiet", tags=["iam"], alert={"severity": "high"})
    both.theirs.commit()
    assert shown(both)["changed"] == []


def test_what_would_start_to_run_is_named(both: Both, better: Callable[[], str]) -> None:
    both.use("tag:iam")
    better()
    assert shown(both)["starts"] == ["acme/fourth"]
    assert "  would run here as well: acme/fourth\n" in both.run("update").stdout


def test_what_would_no_longer_run_is_only_written_by_force(both: Both, better: Callable[[], str]) -> None:
    both.use("quiet", "third")
    tip = better()
    said = both.run("update", "--yes", fails=True)
    assert "acme/third runs here, and would no longer: the pack has it no longer" in said.stderr
    assert "not written: something would run no longer; if that is right, add --force" in said.stderr
    assert pinned(both) == both.pin
    both.run("update", "--yes", "--force")
    assert pinned(both) == tip


def test_why_it_would_no_longer_run(both: Both) -> None:
    both.use("quiet", "tag:s3", "third")
    both.theirs.detection("quiet", "def detect(record:\n")
    both.theirs.detection("loud", alert={"severity": "critical"})
    both.theirs.detection("third", "def detect(record):\n    return True\n", tables=["other"])
    both.theirs.commit()
    lost = {one["name"]: one["reason"] for one in shown(both, fails=True)["lost"]}
    assert lost["acme/quiet"].startswith("it cannot be used there: packs/acme/detections/quiet/detect.py:1")
    assert lost["acme/loud"].startswith("its tags, techniques or severity are others there")
    assert "there is no table `other`" in lost["acme/third"]


def test_one_with_an_id_that_is_renamed_says_so(both: Both) -> None:
    both.theirs.detection("one", id="a-1", tags=["x"])
    both.use("one", revision=both.theirs.commit())
    both.theirs.remove("detections/one")
    both.theirs.detection("other", id="a-1", folder="two")
    both.theirs.commit()
    assert shown(both, fails=True)["lost"] == [
        {"name": "acme/one", "reason": "it is called acme/other there, which nothing in `enable` covers"}
    ]


def test_a_shared_file_is_shown_once_with_those_who_use_it(both: Both) -> None:
    code = (both.theirs.repository / "detections/third/detect.py").read_text()
    both.theirs.detection("again", code)
    both.use("third", "again", revision=both.theirs.commit())
    both.theirs.write("lib/own.py", "ACCOUNTS = ('x',)\n")
    both.theirs.commit()
    found = shown(both)
    assert [(one["path"], one["users"]) for one in found["shared"]] == [("lib/own.py", ["acme/again", "acme/third"])]
    assert [one["files"] for one in found["changed"]] == [[], []]
    assert "  lib/own.py  changed, and used by acme/again, acme/third\n" in both.run("update").stdout


def test_a_file_that_somebody_replaced_is_told_when_theirs_changes(both: Both) -> None:
    both.own.write("mine/own.py", "ACCOUNTS = ('me',)\n")
    both.use("third", more="    replace:\n      lib/own.py: mine/own.py\n")
    both.theirs.write("lib/own.py", "ACCOUNTS = ()\nREGIONS = ()\n")
    both.theirs.commit()
    assert "lib/own.py has changed, which you have a file of your own for" in both.run("update").stdout
    assert shown(both)["changed"] == []


def test_another_licence_is_told(both: Both) -> None:
    both.use("quiet")
    both.theirs.write("pack.yml", "name: acme\ntitle: Acme\ndescription: x\nlicense: LicenseRef-Ours\n")
    both.theirs.write("LICENSE", "All rights reserved.\n")
    both.theirs.commit()
    assert shown(both)["notes"] == [
        "its licence: Apache-2.0 -> LicenseRef-Ours",
        "the text of its licence has changed: LICENSE",
    ]


def test_requirements_are_among_what_changes(both: Both) -> None:
    both.use("quiet")
    both.theirs.write("detections/quiet/requirements.txt", "six==1.17.0\n")
    both.theirs.commit()
    [file] = shown(both)["changed"][0]["files"]
    assert (file["path"], file["added"]) == ("requirements.txt", 1)
    assert "+six==1.17.0" in file["diff"]


def test_a_very_long_file_is_told_by_numbers(both: Both) -> None:
    words = [f"word {n % 99}" for n in range(20_000)]
    both.theirs.write("detections/quiet/words.txt", "\n".join(words))
    both.use("quiet", revision=both.theirs.commit())
    both.theirs.write("detections/quiet/words.txt", "\n".join([*reversed(words[:-2]), "a", "b", "c"]))
    both.theirs.commit()
    [file] = shown(both)["changed"][0]["files"]
    assert file == {"path": "words.txt", "added": 3, "removed": 2, "diff": ""}
    assert "words.txt: +3 -2\n      too long to be shown line by line\n" in both.run("update", "--diff").stdout


def test_tests_are_counted(both: Both) -> None:
    both.use("quiet")
    case = {"name": "a", "match": True, "records": [{"event": {"action": "bad"}}]}
    both.theirs.detection("quiet", tags=["iam"], alert={"severity": "low"}, tests=[case])
    both.theirs.commit()
    assert shown(both)["changed"][0]["tests"] == {"before": 0, "now": 1}
    assert "    tests: 0 -> 1\n" in both.run("update").stdout


def test_a_rewritten_history_is_only_followed_by_force(both: Both) -> None:
    both.use("quiet")
    both.run("list", "--check")
    both.theirs.write("README.md", "new")
    tip = both.theirs.rewrite()
    said = both.run("update", "--yes", fails=True)
    assert "that commit does not follow the pinned one: the history was rewritten" in said.stderr
    assert "not written: its history does not go on from the pinned commit; if that is right" in said.stderr
    assert shown(both, fails=True)["follows"] is False
    assert pinned(both) == both.pin
    both.run("update", "--yes", "--force")
    assert pinned(both) == tip


def test_back_to_an_earlier_commit(both: Both) -> None:
    both.theirs.detection("quiet", f"{MATCH_BAD} # worse\n", tags=["iam"], alert={"severity": "low"})
    both.use("quiet", revision=both.theirs.commit())
    assert ", 1 commit back\n" in both.run("update", "acme", "--to", both.pin, "--yes").stdout
    assert pinned(both) == both.pin


def test_a_commit_that_is_not_there_is_refused(both: Both) -> None:
    both.use("quiet")
    with pytest.raises(SourceError, match="has no commit ffffffffffff"):
        both.run("update", "acme", "--to", "f" * 40)
    with pytest.raises(TraplineError, match="full id of a commit"):
        both.run("update", "acme", "--to", "main")


def test_only_what_is_signed_is_moved_to(both: Both, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a@example.com", "-f", key], check=True)
    good = both.theirs.commit(sign=key)
    signers = f"a@example.com {key.with_suffix('.pub').read_text().strip()}"
    both.use("quiet", revision=good, more=f"    verify: {{ssh: '{signers}'}}\n")
    both.theirs.detection("quiet", f"{MATCH_BAD} # worse\n")
    both.theirs.commit()
    with pytest.raises(SourceError, match="it has no signature"):
        both.run("update", "acme", "--yes", "--force")
    assert pinned(both) == good


def test_one_that_is_away_holds_up_no_other(both: Both, better: Callable[[], str]) -> None:
    both.use("quiet")
    tip = better()
    both.write(both.text + "  aaa:\n    source: /nowhere/at/all\n    revision: " + "f" * 40 + "\n")
    said = both.run("update", "--yes", fails=True)
    assert "/nowhere/at/all" in said.stderr
    assert pinned(both) == tip


def test_a_pin_that_is_gone_is_only_moved_on_by_force(both: Both) -> None:
    both.use("quiet", revision="f" * 40)
    said = both.run("update", "--yes", fails=True)
    assert "what is pinned now cannot be compared with" in said.stderr
    assert "not written: whether it follows the pinned commit cannot be told" in said.stderr
    assert pinned(both) == "f" * 40
    said = both.run("update", "--yes", "--force")
    assert "would run here as well: acme/quiet" in said.stdout
    assert pinned(both) == both.pin


def test_what_a_pack_says_moves_no_cursor(both: Both) -> None:
    both.use("quiet")
    both.theirs.detection("quiet", f"{MATCH_BAD}  # \x1b[2J\n", tags=["iam"], display_name="\x1b[31mred")
    both.theirs.commit()
    said = both.run("update", "--diff")
    assert "\x1b" not in said.output
    assert "display_name: nothing -> " in said.stdout


def test_both_versions_are_run_over_the_past(
    both: Both, better: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trapline.cli.registry.update.system_clock", lambda: NOON + timedelta(hours=1))
    both.use("quiet")
    both.own.records(1, 2, user="alice")
    both.own.records(3, user="bob", event={"action": "worse"})
    better()
    past = ["--backtest", "1d", "--home", str(both.own.home), "--sandbox", "process"]
    told = shown(both, *past)["backtest"]["detections"]
    assert [(one["name"], one["before"]["matches"], one["now"]["matches"]) for one in told] == [("acme/quiet", 2, 3)]
    said = both.run("update", *past).stdout
    assert "2 matches before, " in said
    assert "severity: low -> high" in said


def test_the_official_pack_moves_on_with_trapline(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trapline.packs.builtin.builtin_folder", lambda: both.theirs.repository)
    both.run("add", "builtin:aws", "--enable", "quiet")
    both.theirs.detection("quiet", f"{MATCH_BAD}  # better\n", tags=["iam"], alert={"severity": "low"})
    found = shown(both, "aws")
    assert [one["name"] for one in found["changed"]] == ["aws/quiet"]
    assert (found["follows"], found["commits"]) == (True, None)
    both.run("update", "aws", "--yes")
    assert both.settings.packs["aws"].revision == found["to"]
    assert both.run("update").stdout == "nothing is newer than what is pinned\n"


def test_the_official_pack_of_another_version_is_not_there_to_compare(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trapline.packs.builtin.builtin_folder", lambda: both.theirs.repository)
    both.use("quiet", revision="f" * 40)
    both.write(both.text.replace(both.source, "builtin:aws"))
    said = both.run("list", fails=True).stderr
    assert "this version of Trapline comes with another builtin:aws than ffffffffffff" in said
    assert "trapline registry update" in said
    said = both.run("update", "--yes").stderr
    assert "cannot be compared with: this version of Trapline comes with another builtin:aws" in said
    assert pinned(both) != "f" * 40


def test_what_was_written_while_somebody_thought_about_it_stays(
    both: Both, better: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both.use("quiet")
    better()
    later = both.text + "# more\n"
    monkeypatch.setattr("trapline.cli.registry.update.is_interactive", lambda: both.write(later) is None)
    command = ["registry", "update", "--path", str(both.own.repository)]
    with pytest.raises(TraplineError, match="was changed meanwhile"):
        CliRunner().invoke(cli, command, input="y\n", catch_exceptions=False)
    assert both.text == later


def test_to_is_about_one_pack() -> None:
    assert CliRunner().invoke(cli, ["registry", "update", "--to", "f" * 40]).exit_code == 2
