"""A plugin by a stranger, examples/trapline-teams: built, installed beside trapline, found, and delivered through."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.playground import Playground
from tests.stranger import Workplace
from trapline_plugins.fake_server import Answer, serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "trapline-teams"


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workplace where the example is installed, as pip makes it: not as the folder that it is here."""
    place = Workplace(tmp_path / "stranger")
    shutil.copytree(EXAMPLE, place.folder / "trapline-teams")
    place.run("pip install --no-deps ./trapline-teams")
    return place


def test_an_alert_arrives_through_a_plugin_by_a_stranger(place: Workplace, ground: Playground) -> None:
    [plugin] = [one for one in json.loads(place.run("trapline plugins list --json")) if one["name"] == "teams"]
    assert (plugin["distribution"], plugin["version"], plugin["kinds"]) == ("trapline-teams", "0.1.0", ["teams"])
    with serving(lambda _: Answer(202)) as workflow:
        ground.settings(
            destinations={"soc": {"type": "teams", "url": "${env:TEAMS_URL}"}}, default_destinations=["soc"]
        )
        ground.detection("one", display_name="Something <at>bad</at> [x](https://evil.example)", runbook="Look at it.")
        ground.commit()
        ground.records(1, 2)
        once = f"trapline controller --once --home {ground.home} --repository {ground.repository} --sandbox process"
        said = place.run(once, TEAMS_URL=f"{workflow.url}workflows/1?sig=s3cr3t-sig")
    [request] = workflow.requests
    assert (request.method, request.path) == ("POST", "/workflows/1?sig=s3cr3t-sig")
    [attachment] = json.loads(request.body)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    shown = json.dumps(attachment["content"])
    for text in ("Something <at>bad</at> [x](hxxps[:]//evil[.]example)", "Look at it.", "trapline alerts replay"):
        assert text in shown
    assert "1 delivered" in said
    assert "s3cr3t-sig" not in said
    assert not any(b"s3cr3t-sig" in file.read_bytes() for file in ground.home.glob("trapline.db*"))


def test_its_own_tests_pass_where_it_is_installed(place: Workplace) -> None:
    assert " passed" in place.run("pytest -q trapline-teams")


def test_it_uses_nothing_but_the_public_api() -> None:
    """What it imports of us is what docs/reference/plugin-api.md calls public."""
    page = (EXAMPLE.parents[1] / "docs/reference/plugin-api.md").read_text()
    for file in EXAMPLE.rglob("*.py"):
        for line in file.read_text().splitlines():
            if line.startswith("from trapline") and not line.startswith("from trapline_teams"):
                module = line.split()[1]
                assert f"| `{module}` |" in page, f"{file.name}: {line}"


def test_it_is_typed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "src", "tests"]
    done = subprocess.run(command, cwd=EXAMPLE, env={"MYPYPATH": "src"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
