"""`trapline plugins new`: what it writes is a plugin that works at once, and it overwrites nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from tests.stranger import Workplace
from trapline.delivery.skeleton import _api, write_skeleton
from trapline.errors import TraplineError

ROOT = Path(__file__).parents[3]


def test_a_new_plugin_is_installed_tested_and_found(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    said = place.run("trapline plugins new acme-chat")
    for line in (line.partition(": ")[2].strip() for line in said.splitlines()[1:]):  # the commands that it names
        shown = place.run(line)
    [plugin] = [one for one in json.loads(place.run("trapline plugins list --json")) if one["name"] == "acme-chat"]
    assert (plugin["distribution"], plugin["kinds"], plugin["ok"]) == ("trapline-acme-chat", ["acme-chat"], True)
    assert "acme-chat" in shown
    again = place.run("trapline plugins new acme-chat --into elsewhere", code=1)
    assert "there is a destination of the kind 'acme-chat' already" in again


def test_what_is_written_is_typed_and_in_style(tmp_path: Path) -> None:
    root = write_skeleton("chat2", tmp_path)
    for command in (
        ["mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "src"],
        ["ruff", "format", "--check", "--line-length", "120", "."],
        [
            "ruff",
            "check",
            "--isolated",
            "--select",
            "E,F,W,I,B,UP,S",
            "--ignore",
            "S101,S105,S106",
            "--line-length",
            "120",
            ".",
        ],
    ):
        done = subprocess.run([sys.executable, "-m", *command], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "trapline-chat").mkdir()
    with pytest.raises(TraplineError, match="trapline-chat is there already") as caught:
        write_skeleton("chat", tmp_path)
    assert "--into" in caught.value.remedy
    assert list((tmp_path / "trapline-chat").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "Chat", "chat_room", "2chat", "-chat", "chat-", "a--b", "../chat", "cañon", "a" * 41]
)
def test_a_bad_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TraplineError, match="is no name for a plugin") as caught:
        write_skeleton(name, tmp_path)
    assert "small letters" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraplineError, match="of the kind 'slack' already"):
        write_skeleton("slack", tmp_path, taken={"slack"})


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TraplineError, match="file"):
        write_skeleton("chat", tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("installed", "asked"), [("0.1.0", ">=0.1,<0.2"), ("0.12.3", ">=0.12,<0.13"), ("1.4.2", ">=1.4,<2")]
)
def test_it_asks_for_the_api_that_it_was_written_for(installed: str, asked: str) -> None:
    assert _api(Version(installed)) == asked
