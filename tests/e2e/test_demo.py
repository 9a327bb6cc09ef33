"""`trapline demo`, as somebody who just cloned the repository runs it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from trapline.demo.attacks import plant
from trapline.packs.builtin import builtin_folder

PROJECT = Path(__file__).parents[2]
CLOUDTRAIL = Path(os.environ.get("TRAPLINE_CLOUDTRAIL", PROJECT.parent / "shared/data/cloudtrail"))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REAL_ALERTS = {
    "account_authorization_details_read": 1,
    "attack_tool_user_agent": 5,  # one for each principal that used the tool
    "audit_log_group_deleted": 1,
    "audit_log_tampering": 1,
    "bucket_lifecycle_shortened": 1,
    "ec2_password_data_burst": 1,
    "instance_credentials_used_elsewhere": 1,
    "leave_organization_attempt": 1,
    "parameters_read_burst": 1,
    "secrets_read_burst": 1,
    "ssm_command_sent": 1,
    "unusual_instances_launched": 1,
}
"""How many alerts the pack opens on the real events: bursts are one alert, and ordinary work is none."""

pytestmark = pytest.mark.network  # some detections of the pack have requirements

OFFICIAL_PACK = builtin_folder() / "detections"


def essentials(demo: Any) -> list[Any]:
    """What a demo found, without what differs from run to run."""
    return sorted((a["detection"], a["severity"], a["title"], a["dedupe"], a["match_count"]) for a in demo["alerts"])


def planted() -> list[str]:
    """The detections that have something to find in what the demo makes up."""
    attacks, _ = plant(Random(7), NOW - timedelta(hours=2), NOW)
    return sorted(name for attack in attacks for name in attack.detections)


def test_it_finds_every_planted_attack_and_its_text_shows_deployments_scans_and_alerts(
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
    official = {folder.name for folder in OFFICIAL_PACK.iterdir() if folder.is_dir()}
    assert {row["name"]: row["health"] for row in status["detections"]} == dict.fromkeys(official, "healthy")
    assert set(status["deliveries"]) == {"delivered"}
    again = trapline(
        "controller", "--once", "--home", home, "--repository", home / "repository", "--sandbox", "process"
    )
    assert again.code == 0, again.err
    assert "unchanged" in again.out
    assert trapline("demo", "--keep", home).code == 1  # what is kept is never overwritten
    raised = [
        (one["detection"], one["severity"], one["title"], one["dedupe"], one["match_count"])
        for one in trapline("alerts", "list", "--home", home, "--json").json
    ]
    # One alert for each detection that an attack was planted for: what is normal raises none.
    assert sorted(detection for detection, *_ in raised) == planted()
    # And a backtest of what it deployed, over what it read, says the same.
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
    assert Counter(alert["detection"] for alert in done.json["alerts"]) == REAL_ALERTS


def test_what_lands_is_an_alert_with_the_time_it_took(trapline: Callable[..., Any], tmp_path: Path) -> None:
    done = trapline("demo", "--realtime", "--sandbox", "process")
    assert done.code == 0, done.err
    for said in ("Bucket example-invoices was opened", "used StopLogging", " s from the delivery to the alert above"):
        assert said in done.out
    demo = trapline("demo", "--realtime", "--sandbox", "process", "--json").json
    assert set(demo["deployed"]) == set(planted())
    assert [one["detection"] for one in demo["landed"]] == ["public_s3_bucket_policy", "audit_log_tampering"]
    assert all(one["seconds"] > 0 for one in demo["landed"])
    assert trapline("demo", "--realtime", "--cloudtrail", tmp_path).code == 2


@pytest.mark.docker
def test_containers_find_the_same_as_processes(
    trapline: Callable[..., Any], docker_base_image: str, tmp_path: Path
) -> None:
    for name in planted():  # an image for each of all the others would take minutes
        shutil.copytree(OFFICIAL_PACK / name, tmp_path / "detections" / name, dirs_exist_ok=True)
    shutil.copytree(OFFICIAL_PACK.parent / "lib", tmp_path / "lib")
    command = ("demo", "--detections", tmp_path / "detections", "--json")
    process = trapline(*command, "--sandbox", "process")
    docker = trapline(*command, "--sandbox", "docker", "--base-image", docker_base_image)
    assert (process.code, docker.code) == (0, 0), process.err + docker.err
    assert docker.json["sandbox"].startswith("docker")
    assert essentials(docker.json) == essentials(process.json)
    assert set(process.json["deployed"]) == set(planted())
    assert sorted(alert["detection"] for alert in process.json["alerts"]) == planted()
    assert process.json["home"] is None


def test_a_folder_without_deliveries_is_a_clear_error(trapline: Callable[..., Any], tmp_path: Path) -> None:
    done = trapline("demo", "--sandbox", "process", "--cloudtrail", tmp_path)
    assert done.code == 1
    assert "there are no events" in done.err
