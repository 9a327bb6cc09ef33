"""The way of a pack: from a git server to alerts, updated, without its server, and gone again."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controller.source.test_https import Forge, serving
from tests.e2e.conftest import TRAPLINE, environment
from tests.e2e.test_controller import Receiver
from tests.e2e.test_gitops import live
from tests.packed import Both
from tests.playground import MATCH_BAD, NOON, Playground, eventually

Trapline = Callable[..., Any]
ALL = {"mine", "acme/quiet", "acme/loud", "acme/third"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def both(tmp_path: Path, receiver: Receiver) -> Both:
    """A repository that does not use the pack yet, and looks at itself each second."""
    both = Both(tmp_path)
    both.own.settings(
        destinations={"soc": {"type": "webhook", "url": receiver.url}},
        default_destinations=["soc"],
        schedule={"every": "1s", "poll": "1s", "start": datetime.now(UTC)},
        tables={"logs": {"path": "lake/logs", "lag": "0s"}},
    )
    both.own.commit()
    return both


@contextmanager
def controller(ground: Playground, log: Path, *more: str) -> Iterator[None]:
    """The long-running process, which is killed at the end, as a machine that fails would."""
    arguments = ["--home", ground.home, "--repository", ground.repository, *more]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*TRAPLINE, "controller", *map(str, arguments)], stderr=file, stdout=file, env=environment()
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def happen(ground: Playground) -> None:
    """Something bad is seen now."""
    ground.records((datetime.now(UTC) - NOON) / timedelta(minutes=1))


def told(receiver: Receiver) -> list[Any]:
    return [json.loads(body) for _, body in receiver.got]


def titles(receiver: Receiver) -> set[str]:
    return {message["data"]["title"] for message in told(receiver)}


@pytest.mark.parametrize("sandbox", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_from_a_server_to_its_alerts(
    trapline: Trapline, both: Both, receiver: Receiver, tmp_path: Path, sandbox: str, request: pytest.FixtureRequest
) -> None:
    results = tmp_path / "results"
    more = ["--sandbox", sandbox]
    if sandbox == "docker":
        more += ["--base-image", request.getfixturevalue("docker_base_image")]
    log, checkout = tmp_path / "log", both.own.repository

    def author(*arguments: object) -> str:
        done = trapline(*arguments, "--path", checkout)
        assert done.code == 0, done.err
        return str(done.out)

    with serving(Forge(both.theirs.repository.parent)) as forge:
        url = forge.url.replace("/origin/", "/repository/")
        with controller(both.own, log, *more, "--on-deploy", f"tee -a {shlex.quote(str(results))}"):
            eventually(lambda: set(live(both.own)) == {"mine"}, why=log.read_text)
            author("registry", "add", url, "--name", "acme")
            author("registry", "enable", "acme/quiet", "acme/loud", "acme/third")
            assert set(live(both.own)) == {"mine"}  # nothing runs that is not merged
            both.own.commit("Use acme")
            eventually(lambda: set(live(both.own)) == ALL, why=log.read_text)
            happen(both.own)
            eventually(lambda: titles(receiver) == ALL, why=log.read_text)

            script = "def detect(record):\n    return True\n\n\ndef title(record):\n    return 'Louder'\n"
            both.theirs.detection("loud", script, alert={"severity": "critical"}, tags=["tag-loud"])
            pin = both.theirs.commit()
            shown = author("registry", "update", "acme", "--diff", "--yes")
            assert "+    return 'Louder'" in shown
            revision = both.own.commit("Update acme")
            eventually(lambda: live(both.own)["acme/loud"] == revision, why=log.read_text)
            assert live(both.own)["acme/quiet"] != revision
            eventually(lambda: f'"revision":"{revision}"' in results.read_text(), why=log.read_text)
            assert '"acme/loud"' in results.read_text()
            happen(both.own)
            eventually(lambda: "Louder" in titles(receiver), why=log.read_text)
        assert pin in checkout.joinpath("trapline.yml").read_text()
    receiver.got.clear()
    with controller(both.own, log, *more):  # its server is away
        both.own.detection("more")
        both.own.commit("Something else")
        eventually(lambda: set(live(both.own)) == {*ALL, "more"}, why=log.read_text)
        happen(both.own)
        eventually(lambda: "more" in titles(receiver), why=log.read_text)
        assert trapline("status", "--home", both.own.home, "--json").json["problems"] == []
        author("registry", "disable", "acme/third")
        both.own.commit("Less of acme")
        eventually(lambda: set(live(both.own)) == {*ALL, "more"} - {"acme/third"}, why=log.read_text)
        both.own.settings()
        both.own.commit("No acme")
        eventually(lambda: "more than may be retired unasked" in log.read_text(), why=log.read_text)
        synced = trapline("sync", "--home", both.own.home, "--confirm-prune", *more)
        assert synced.code == 0, synced.out + synced.err
        assert set(live(both.own)) == {"mine", "more"}


PRINTS = (
    "def detect(record):\n"
    "    print('seen')\n"
    "    if record.get('odd'):\n"
    "        raise ValueError('odd')\n"
    "    return record.deepget('event.action') == 'bad'\n"
)


def test_its_name_will_do_for_every_command(trapline: Trapline, both: Both) -> None:
    """Whoever uses a detection of a pack has the same commands as for one of their own."""
    both.own.settings()
    both.theirs.detection("loud", PRINTS)
    entry = {"owner": "me", "reason": "a drill", "expires": "2030-01-01"}
    quiet = {"detection": "acme/*", "fields": {"user": "tester"}, **entry}
    both.own.write("suppressions.yml", json.dumps({"suppressions": [quiet]}))
    both.use("loud", revision=both.theirs.commit())
    both.own.records(1, user="eve")
    both.own.records(2, user="tester")
    both.own.records(3, user="eve", odd=1)
    name, home = "acme/loud", ("--home", both.own.home)
    where = (*home, "--repository", both.own.repository, "--sandbox", "process")
    past = (*home, "--sandbox", "process", "--since", "2026-01-01", "--until", "2026-01-02")

    def run(*arguments: object, code: int = 0) -> Any:
        done = trapline(*arguments, cwd=both.own.repository)
        assert done.code == code, done.out + done.err
        return done

    run("controller", "--once", *where, code=1)  # it fails on one of the records
    [standing] = run("status", name, *home, "--json").json["detections"]
    assert (standing["name"], standing["matches"], standing["alerts"], standing["failures"]) == (name, 2, 1, 1)
    [alert] = run("alerts", "list", "--detection", name, *home, "--json").json
    assert (alert["detection"], alert["match_count"]) == (name, 1)
    assert len(run("matches", "list", name, *home, "--json").json) == 2
    assert "a drill" in run("suppressions", "list", *home).out
    assert run("alerts", "replay", alert["id"], *home, "--sandbox", "process", "--json").json["missing"] == []
    assert "seen" in run("logs", name, *home).out
    assert "ValueError: odd" in run("failures", "list", name, *home).out
    assert "ValueError: odd" in run("failures", "show", name, *home).out
    assert f"{name} got through 0 of 1 failure" in run("failures", "replay", name, *where, code=1).out
    assert name in run("costs", "--days", "3660", *home).out
    assert name in run("explain", name, *home).out
    page = both.own.repository.parent / "page.html"
    run("backtest", name, *past, "--format", "html", "--output", page, code=1)
    assert f">{name}<" in page.read_text()

    both.theirs.detection("loud", PRINTS.replace("seen", "seen again"))
    both.use("loud", revision=both.theirs.commit())
    assert f"rebuild     {name}" in run("plan", *home, code=3).out
    assert name in run("diff", "--base", "HEAD~1", *past, code=1).out
    run("sync", *where)
    assert f"{name} is pinned to" in run("rollback", name, *where).out
    history = run("history", name, *home, "--json").json
    assert [one["kind"] for one in history] == ["updated", "pinned", "updated", "deployed"]
    run("resume", name, *where)
    assert "is suspended" in run("suspend", name, *home).out
    run("resume", name, *where)
    [standing] = run("status", name, *home, "--json").json["detections"]
    assert standing["sync"] == "synced"


def test_no_word_of_a_pack_commands_a_terminal(trapline: Trapline, both: Both) -> None:
    escape, shown = "\x1b[2J\x1b]0;owned\x07", '"\\e[2J\\e]0;owned\\a"'
    texts = [f"{key}: {shown}\n" for key in ("display_name", "description", "runbook")]
    config = "".join(["name: loud\ntables: [logs]\n", *texts, f"tags: [{shown}]\nreferences: [{shown}]\n"])

    def write(word: str) -> None:
        both.theirs.write("detections/loud/detection.yml", config)
        both.theirs.write("detections/loud/detect.py", f"{MATCH_BAD}  # {escape}{word}\n")
        both.theirs.write("pack.yml", f"name: evil\ntitle: {shown}\ndescription: {shown}\nlicense: MIT\n")
        both.theirs.write("lib/own.py", f"WORD = '{word}{escape}'\n")
        both.theirs.write("detections/broken/detection.yml", f"name: {shown}\n{shown}: 1\n")
        both.theirs.commit(f"Nothing {escape} to see")

    def run(*arguments: object) -> str:
        done = trapline(*arguments, cwd=both.own.repository)
        assert not {"\x1b", "\x07"} & {*done.out, *done.err}
        return str(done.out + done.err)

    both.own.settings()
    both.own.records(1)
    home = ("--home", both.own.home)
    write("before")
    assert "added acme" in run("registry", "add", both.theirs.repository, "--name", "acme", "--enable", "all")
    both.own.commit()
    run("validate")
    run("controller", "--once", *home, "--repository", both.own.repository, "--sandbox", "process")
    write("after")
    assert "before" in run("registry", "update", "acme", "--diff", "--yes")
    both.own.commit()
    for command in ("sync", "status", "history", "alerts list", "matches list"):
        assert "acme/loud" in run(*command.split(), *home) or command == "sync"
    assert "acme/loud" in run("plan", *home, "--base", "HEAD~1", ".")
    for command in ("registry list", "registry search loud", "explain acme/loud", "coverage"):
        run(*command.split())
