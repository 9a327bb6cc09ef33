"""A repository, and a pack of others that it may use: real git on both sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.playground import MATCH_BAD, Playground
from trapline.cli import cli
from trapline.settings import Settings, parse

LIBRARY = "ACCOUNTS = ()\n"
USES_LIBRARY = "from lib.own import ACCOUNTS\n\n\ndef detect(record):\n    return record.get('user') not in ACCOUNTS\n"
MANIFEST = "name: acme\ntitle: Acme's detections\ndescription: What Acme looks for.\nlicense: Apache-2.0\n"
HEAD = """\
# Ours, with care.
tables:
  logs: {path: lake/logs}   # all of them

destinations:
  terminal: {type: console}
default_destinations: [terminal]
"""


class Both:
    """`own` uses packs, and has a trapline.yml with comments; `theirs` is the pack `acme` with three detections."""

    def __init__(self, root: Path) -> None:
        self.own = Playground(root / "ground")
        self.theirs = Playground(root / "acme")
        self.write(HEAD)
        self.theirs.write("pack.yml", MANIFEST)
        self.theirs.write("lib/own.py", LIBRARY)
        self.theirs.write("trapline.yml", "")
        self.theirs.detection("quiet", tags=["iam"], alert={"severity": "low"})
        self.theirs.detection("loud", tags=["iam", "s3"], alert={"severity": "critical"})
        self.theirs.detection("third", USES_LIBRARY, reports={"attack": ["t1078.004"]})
        self.pin = self.theirs.commit()

    @property
    def source(self) -> str:
        return str(self.theirs.repository)

    @property
    def text(self) -> str:
        return (self.own.repository / "trapline.yml").read_text()

    @property
    def settings(self) -> Settings:
        return parse(self.text.encode())[0]

    def write(self, text: str) -> None:
        """Writes trapline.yml."""
        self.own.write("trapline.yml", text)

    def use(self, *enable: str, more: str = "", revision: str = "") -> None:
        """Writes a trapline.yml in which the pack is used."""
        entry = f"\npacks:\n  acme:\n    source: {self.source}\n    revision: {revision or self.pin}\n"
        listed = "".join(f"      - {one}\n" for one in enable)
        self.write(HEAD + entry + (f"    enable:\n{listed}" if enable else "") + more)

    def run(self, *arguments: str, fails: bool = False) -> Result:
        """`trapline registry` in the repository of the user."""
        done = CliRunner().invoke(
            cli, ["registry", *arguments, "--path", str(self.own.repository)], catch_exceptions=False
        )
        assert done.exit_code == (1 if fails else 0), done.output
        return done

    def json(self, *arguments: str, fails: bool = False) -> Any:
        return json.loads(self.run(*arguments, "--json", fails=fails).stdout)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Both(tmp_path)


@pytest.fixture
def better(both: Both) -> Callable[[], str]:
    """Moves the pack on by one commit: one detection is changed, one is gone, one is new."""

    def commit() -> str:
        code = MATCH_BAD.replace('== "bad"', 'in ("bad", "worse")')
        both.theirs.detection("quiet", f"{code}\n", tags=["iam"], alert={"severity": "high", "threshold": 2})
        both.theirs.remove("detections/third")
        both.theirs.detection("fourth", f"{MATCH_BAD}  # fourth\n", tags=["iam"])
        return both.theirs.commit()

    return commit
