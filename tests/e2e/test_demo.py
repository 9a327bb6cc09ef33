"""`trapline demo`, as somebody who just cloned the repository runs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trapline.demo.story import OFFICIAL_PACK

PROJECT = Path(__file__).parents[2]
CLOUDTRAIL = Path(os.environ.get("TRAPLINE_CLOUDTRAIL", PROJECT.parent / "shared/data/cloudtrail"))
pytestmark = pytest.mark.network  # one detection of the pack has a requirement


def essentials(demo: Any) -> list[Any]:
    """What a demo found, without what differs from run to run."""
    return sorted((a["detection"], a["severity"], a["title"], a["dedupe"], a["match_count"]) for a in demo["alerts"])


def test_the_demo_finds_every_planted_attack(trapline: Callable[..., Any]) -> None:
    done = trapline("demo", "--sandbox", "process", "--json")
    assert done.code == 0, done.err
    demo = done.json
    pack = {folder.name for folder in OFFICIAL_PACK.iterdir() if folder.is_dir()}
    assert set(demo["deployed"]) == pack
    assert {alert["detection"] for alert in demo["alerts"]} == pack
    assert len(demo["alerts"]) == len(pack)  # one alert each: what is normal raises none
    assert demo["home"] is None


def test_its_text_shows_deployments_scans_and_alerts(
    trapline: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = tmp_path / "kept"
    done = trapline("demo", "--sandbox", "process", "--keep", home)
    assert done.code == 0, done.err
    for said in ("building root_login_without_mfa", "one scan of aws_cloudtrail for", "NO security boundary"):
        assert said in done.out
    assert "CRITICAL  The root user of 111122223333 logged in without MFA" in done.out
    assert "What to try next" in done.out
    # What it says to try next works.
    status = trapline("status", "--home", home, "--json").json
    assert {row["health"] for row in status["detections"]} == {"healthy"}
    assert set(status["deliveries"]) == {"delivered"}
    again = trapline(
        "controller", "--once", "--home", home, "--repository", home / "repository", "--sandbox", "process"
    )
    assert again.code == 0, again.err
    assert "unchanged" in again.out
    assert trapline("demo", "--keep", home).code == 1  # what is kept is never overwritten
    # And a backtest of what it deployed, over what it read, says the same.
    raised = [
        (one["detection"], one["severity"], one["title"], one["dedupe"], one["match_count"])
        for one in trapline("alerts", "list", "--home", home, "--json").json
    ]
    command = ("backtest", "--since", "4h", "--home", home, "--sandbox", "process", "--json")
    backtest = trapline(*command, cwd=home / "repository").json
    names = ("severity", "title", "dedupe", "match_count")
    would = [
        (one["name"], *(alert[name] for name in names)) for one in backtest["detections"] for alert in one["examples"]
    ]
    assert sorted(would) == sorted(raised)


@pytest.mark.skipif(not CLOUDTRAIL.is_dir(), reason=f"no real CloudTrail events at {CLOUDTRAIL.name}")
def test_real_attacks_raise_alerts(trapline: Callable[..., Any]) -> None:
    done = trapline("demo", "--sandbox", "process", "--cloudtrail", CLOUDTRAIL, "--json")
    assert done.code == 0, done.err
    assert done.json["events"] == 1448
    assert {alert["detection"] for alert in done.json["alerts"]} == {
        "audit_log_tampering",
        "ec2_password_data_burst",
        "leave_organization_attempt",
        "secrets_read_burst",
    }


@pytest.mark.docker
def test_containers_find_the_same_as_processes(trapline: Callable[..., Any], docker_base_image: str) -> None:
    process = trapline("demo", "--sandbox", "process", "--json")
    docker = trapline("demo", "--sandbox", "docker", "--base-image", docker_base_image, "--json")
    assert (process.code, docker.code) == (0, 0), process.err + docker.err
    assert docker.json["sandbox"].startswith("docker")
    assert essentials(docker.json) == essentials(process.json)
    assert len(docker.json["alerts"]) >= 3


def test_a_folder_without_deliveries_is_a_clear_error(trapline: Callable[..., Any], tmp_path: Path) -> None:
    done = trapline("demo", "--sandbox", "process", "--cloudtrail", tmp_path)
    assert done.code == 1
    assert "there are no events" in done.err
