"""Merging to main is all that a user does, and the commands for the days on which it is not."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import TRAPLINE, environment
from tests.e2e.test_controller import ended, once
from tests.playground import MATCH_BAD, Playground, eventually
from trapline.deploy.ledger import Ledger
from trapline.state.database import Database

Trapline = Callable[..., Any]
SECRET = "what the forge shows"


@pytest.fixture
def deployed(trapline: Trapline, ground: Playground) -> Playground:
    """Three detections, live."""
    for name in ("one", "two", "three"):
        ground.detection(name)
    ground.commit()
    assert once(trapline, ground).code == 0
    return ground


@contextmanager
def listening(ground: Playground, log: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A controller with an HTTP side, and its address."""
    arguments = ["--home", ground.home, "--repository", ground.repository, "--sandbox", "process"]
    command = [*TRAPLINE, "controller", *map(str, arguments), "--listen", "127.0.0.1:0", *more]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stderr=file, stdout=file, env=environment() | {"TRAPLINE_HOOK_SECRET": SECRET}
        )
    try:
        said = eventually(lambda: re.search(r"listening on (http://\S+)", log.read_text()))
        yield process, said[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def live(ground: Playground) -> dict[str, str]:
    """What is live, by name, with the revision it is from."""
    database = Database.in_home(ground.home)
    found = {one.name: one.revision for one in Ledger(database).deployments().values()}
    database.close()
    return found


def test_a_merge_is_live_by_its_webhook_and_the_result_is_told(ground: Playground, tmp_path: Path) -> None:
    told, log = tmp_path / "told", tmp_path / "log"
    ground.settings(schedule={"every": "1h", "poll": "1h"})
    ground.detection("one")
    ground.commit()
    with listening(ground, log, "--on-deploy", f"tee -a {shlex.quote(str(told))}") as (process, url):
        eventually(lambda: "one" in live(ground))
        ground.detection("one", f"{MATCH_BAD}  # better\n")
        revision = ground.commit()
        body = json.dumps({"ref": "refs/heads/main", "after": revision}).encode()
        signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        answer = httpx.post(f"{url}/hooks/github", content=body, headers={"X-Hub-Signature-256": signature})
        assert answer.status_code == 202
        eventually(lambda: live(ground)["one"] == revision)
        eventually(lambda: told.exists() and f'"revision":"{revision}"' in told.read_text())
        assert httpx.get(f"{url}/healthz").json()["role"] == "leading"
        assert httpx.get(f"{url}/readyz").json()["revision"] == revision
        process.terminate()
        assert ended(process, log) == 0
    assert SECRET not in log.read_text()


def test_a_plan_says_what_a_merge_would_change_and_changes_nothing(trapline: Trapline, deployed: Playground) -> None:
    home = ("--home", deployed.home)
    assert trapline("plan", *home).code == 0
    deployed.detection("one", f"{MATCH_BAD}  # changed\n")
    deployed.detection("two", alert={"severity": "high"})
    deployed.detection("four")
    deployed.remove("detections/three")
    planned = trapline("plan", deployed.repository, *home)  # nothing is committed yet
    assert planned.code == 3
    for line in (
        r"~ rebuild +one: changed: detect.py",
        r"~ reconfigure +two: only its configuration changed",
        r"\+ create +four",
        r"- retire +three: no longer in the repository",
        r"1 to create, 1 to rebuild, 1 to reconfigure, 1 to retire; 0 unchanged",
    ):
        assert re.search(line, planned.out), planned.out
    deployed.commit()
    as_json = trapline("plan", *home, "--json")
    assert (as_json.code, {c["name"]: c["action"] for c in as_json.json["changes"]}) == (
        3,
        {"one": "rebuild", "two": "reconfigure", "four": "create", "three": "retire"},
    )
    assert set(live(deployed)) == {"one", "two", "three"}
    deployed.detection("four", "def detect(record)\n")
    held = trapline("plan", deployed.repository, *home)
    assert (held.code, "detections/four/detect.py:1" in held.err) == (1, True)
    assert trapline("sync", *home).code == 0
    assert trapline("plan", *home).code == 0
    wrong = trapline("plan", deployed.repository / "detections", *home)
    assert (wrong.code, "has no trapline.yml" in wrong.err) == (1, True)
    nowhere = trapline("plan", "--home", deployed.home.with_name("nowhere"))
    assert (nowhere.code, "--home" in nowhere.err) == (1, True)


def test_sync_tries_again_at_once_and_prunes_what_is_confirmed(trapline: Trapline, deployed: Playground) -> None:
    home = ("--home", deployed.home)
    for name in ("two", "three"):
        deployed.remove(f"detections/{name}")
    deployed.detection("one", tests=[{"name": "never", "records": [{"a": 1}], "match": True}])
    deployed.commit()
    refused = trapline("sync", *home)
    assert refused.code == 1
    assert "--confirm-prune" in refused.err
    assert "test 'never': expected a match, got no match" in refused.err
    assert set(live(deployed)) == {"one", "two", "three"}
    assert trapline("sync", *home, "--confirm-prune").code == 1
    assert set(live(deployed)) == {"one"}
    [row] = trapline("status", "one", *home, "--json").json["detections"]
    conditions = {condition["type"]: condition for condition in row["conditions"]}
    assert (conditions["Synced"]["holds"], conditions["Live"]["holds"], conditions["Healthy"]["holds"]) == (
        False,
        True,
        True,
    )
    assert "tried 2 times" in conditions["Retrying"]["message"]


def test_rolling_back_works_without_the_repository_and_shows_until_it_is_taken_back(
    trapline: Trapline, deployed: Playground
) -> None:
    home = ("--home", deployed.home)
    first = live(deployed)["one"]
    deployed.detection("one", f"{MATCH_BAD}  # worse\n")
    second = deployed.commit()
    assert trapline("sync", *home).code == 0
    away = deployed.repository.rename(deployed.repository.with_name("away"))
    back = trapline("rollback", "one", "--reason", "pages everybody", *home)
    assert (back.code, live(deployed)["one"]) == (0, first)
    assert trapline("suspend", "two", *home).code == 0
    shown = trapline("status", *home).out
    for said in ("pinned", "pages everybody", "suspended"):
        assert said in shown
    away.rename(deployed.repository)
    assert trapline("sync", *home).code == 0
    assert live(deployed)["one"] == first  # still
    assert trapline("resume", "one", *home).code == 0
    assert live(deployed)["one"] == second
    assert "no longer suspended" in trapline("resume", "two", *home).out
    versions = [line.split()[-1] for line in trapline("history", "one", *home).out.splitlines() if " updated " in line]
    assert trapline("rollback", "one", "--to", versions[-1][:8], *home).code == 0  # the newest, which is live
    unknown = trapline("rollback", "one", "--to", "f00", *home)
    assert (unknown.code, "has no version f00" in unknown.err, versions[0] in unknown.err) == (1, True, True)
    none = trapline("rollback", "three", *home)
    assert (none.code, "no earlier version" in none.err) == (1, True)
    nobody = trapline("suspend", "tow", *home)
    assert (nobody.code, "two" in nobody.err) == (1, True)
    everything = trapline("history", *home)
    assert "pages everybody" in everything.out
