"""The way of somebody who uses packs: found, added, turned on, merged, alerting, moved on. Each step is the command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_controller import once
from tests.playground import MATCH_BAD, Playground
from trapline.deploy.ledger import Ledger
from trapline.detection.model import Severity
from trapline.state.database import Database

Trapline = Callable[..., Any]
MANIFEST = "name: acme\ntitle: Acme's detections\ndescription: What Acme looks for.\nlicense: MIT\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def acme(tmp_path: Path) -> Playground:
    """A pack with two detections."""
    pack = Playground(tmp_path / "acme")
    pack.write("pack.yml", MANIFEST)
    pack.detection("loud", tags=["iam"], alert={"severity": "high"})
    pack.detection("quiet")
    pack.commit()
    return pack


def live(trapline: Trapline, ground: Playground) -> set[str]:
    return {one["name"] for one in trapline("status", "--home", ground.home, "--json").json["detections"]}


def severities(ground: Playground) -> dict[str, Severity]:
    """What is live, with the severity that its alerts have from now on."""
    with closing(Database.in_home(ground.home)) as database:
        return {one.name: one.config.alert.severity for one in Ledger(database).deployments().values()}


def alerted(trapline: Trapline, ground: Playground) -> set[tuple[str, str]]:
    told = trapline("alerts", "list", "--home", ground.home, "--json").json
    return {(one["detection"], one["severity"]) for one in told}


def test_from_an_index_to_an_alert_and_on_to_the_next_version(
    trapline: Trapline, ground: Playground, acme: Playground
) -> None:
    index = ground.repository / "acme.json"
    source = acme.repository
    assert trapline("registry", "index", source, "--source", source, "-o", index).code == 0
    settings = ground.repository / "trapline.yml"
    settings.write_text(settings.read_text() + "\n# Where we look for more.\nregistries: [acme.json]\n")

    found = trapline("registry", "search", "loud", "--json", cwd=ground.repository)
    assert "acme" in found.out
    assert trapline("registry", "add", "acme", cwd=ground.repository).code == 0
    assert trapline("registry", "enable", "acme/loud", cwd=ground.repository).code == 0
    assert trapline("validate", ground.repository).code == 0
    ground.commit()
    ground.records(1)
    assert once(trapline, ground).code == 0
    assert live(trapline, ground) == {"acme/loud"}
    assert alerted(trapline, ground) == {("acme/loud", "high")}

    acme.detection("loud", f"{MATCH_BAD}  # better\n", tags=["iam"], alert={"severity": "critical"})
    acme.remove("detections/quiet")
    acme.commit()
    shown = trapline("registry", "update", cwd=ground.repository)
    assert "alert.severity: high -> critical" in shown.out
    assert "gone, and not used: acme/quiet" in shown.out
    assert "there is nobody to ask" in shown.err
    assert trapline("registry", "update", "--yes", cwd=ground.repository).code == 0
    ground.commit()
    assert once(trapline, ground).code == 0
    assert severities(ground) == {"acme/loud": Severity.CRITICAL}
    assert "# Where we look for more.\n" in settings.read_text()


def test_the_official_pack_in_two_commands(trapline: Trapline, ground: Playground) -> None:
    ground.settings(tables={"aws_cloudtrail": {"path": "lake/logs"}})
    assert trapline("registry", "add", "builtin:aws", cwd=ground.repository).code == 0
    assert trapline("registry", "enable", "aws/root_login_without_mfa", cwd=ground.repository).code == 0
    ground.commit()
    assert once(trapline, ground).code == 0
    assert live(trapline, ground) == {"aws/root_login_without_mfa"}


def test_what_a_person_has_to_know_is_said_without_a_traceback(trapline: Trapline, ground: Playground) -> None:
    wrong = trapline("registry", "add", "https://me:secret@git.example/x", cwd=ground.repository)
    assert (wrong.code, "secret@" in wrong.err) == (1, False)
    assert "error: a secret does not belong into trapline.yml" in wrong.err
    (ground.repository / "trapline.yml").write_text("a: 1\n---\nb: 2\n")
    broken = trapline("registry", "enable", "aws/x", cwd=ground.repository)
    assert (broken.code, "trapline.yml:2" in broken.err) == (1, True)
