"""`trapline controller` and the commands that look at what it did: real git, real workers, a real HTTP server."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.e2e.conftest import TRAPLINE, environment
from tests.playground import NOON, Playground, eventually
from trapline.state.schema import alerts, deliveries

SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM="


class Receiver:
    """A webhook's other side on a real socket; keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@contextmanager
def running(ground: Playground, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The long-running controller."""
    arguments = ["--home", ground.home, "--repository", ground.repository, "--sandbox", "process"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*TRAPLINE, "controller", *map(str, arguments)],
            stderr=file,
            stdout=file,
            env=environment() | {"PYTHONFAULTHANDLER": "1"},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ended(process: subprocess.Popen[bytes], log: Path) -> int:
    """The exit code of a process that was told to stop; where it does not, the report shows what its threads do."""
    try:
        return process.wait(timeout=90)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.wait()
        pytest.fail(f"it did not stop:\n{log.read_text()}")


def once(trapline: Callable[..., Any], ground: Playground, *more: str) -> Any:
    return trapline(
        "controller", "--once", "--home", ground.home, "--repository", ground.repository, "--sandbox", "process", *more
    )


def test_from_a_merge_to_a_signed_webhook(trapline: Callable[..., Any], ground: Playground, receiver: Receiver) -> None:
    ground.write("../secret", SECRET)
    secret = "${file:" + str(ground.repository.parent / "secret") + "}"
    ground.settings(
        destinations={"soc": {"type": "webhook", "url": receiver.url, "secret": secret}}, default_destinations=["soc"]
    )
    ground.detection("one", display_name="Something bad", alert={"severity": "high"}, runbook="Look at it.")
    revision = ground.commit()
    ground.records(1, 2, 3)
    done = once(trapline, ground, "--json")
    assert done.code == 0, done.err
    assert done.json["detections"] == [{"name": "one", "action": "deployed", "message": ""}]
    assert (done.json["matches"], done.json["alerts_opened"], done.json["delivered"]) == (3, 1, 1)
    [(headers, body)] = receiver.got
    payload = Webhook(SECRET).verify(body, headers)
    assert "Something bad" in json.dumps(payload)
    assert revision in json.dumps(payload)
    [alert] = trapline("alerts", "list", "--home", ground.home, "--json").json
    assert (alert["title"], alert["severity"], alert["match_count"]) == ("Something bad", "high", 3)
    shown = trapline("alerts", "show", alert["id"][:8], "--home", ground.home)
    for said in ("Something bad", "Look at it.", revision, "trapline alerts replay", "delivered"):
        assert said in shown.out
    replayed = trapline("alerts", "replay", alert["id"], "--home", ground.home, "--sandbox", "process", "--json")
    assert (replayed.code, len(replayed.json["found"]), replayed.json["missing"]) == (0, 3, [])
    assert SECRET not in done.out + done.err + shown.out


def test_what_cannot_be_done_is_said_and_the_rest_is_done(trapline: Callable[..., Any], ground: Playground) -> None:
    ground.settings(
        destinations={"terminal": {"type": "console"}, "odd": {"type": "webbhook"}},
        tables={"logs": {"path": "lake/logs"}, "gone": {"path": "lake/gone"}},
    )
    ground.detection("good")
    ground.detection("syntax", "def detect(record)\n    return True\n")
    ground.detection("missing_table", tables=["gone"])
    ground.detection("no_such_table", tables=["lggs"])
    ground.detection("no_such_destination", alert={"destinations": ["sloc"]})
    ground.detection("options", "def detect(record):\n    return True\n")
    ground.write("detections/options/requirements.txt", "--index-url http://127.0.0.1:9/\n")
    ground.commit()
    ground.records(1)
    done = once(trapline, ground)
    assert done.code == 1
    assert "1 alert opened" in done.out
    for said in (
        "detections/syntax/detect.py:1",
        "detections/no_such_table/detection.yml:4",
        "detections/no_such_destination/detection.yml:",
        "detections/options/requirements.txt:1",
        "trapline.yml:",
        "webhook",  # what `webbhook` may have meant
        "lake/gone does not exist",
    ):
        assert said in done.err, said
    states = {
        row["name"]: (row["sync"], row["health"])
        for row in trapline("status", "--home", ground.home, "--json").json["detections"]
    }
    assert states == {
        "good": ("synced", "healthy"),
        "syntax": ("stalled", "-"),
        "missing_table": ("synced", "failing"),
        "no_such_table": ("stalled", "-"),
        "no_such_destination": ("stalled", "-"),
        "options": ("stalled", "-"),
    }


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_loop_deploys_what_is_merged_and_stops_cleanly(
    ground: Playground, tmp_path: Path, stop: signal.Signals
) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    ground.settings(schedule={"start": start, "every": "1s", "poll": "1s"})
    ground.detection("one")
    ground.commit()
    log = tmp_path / "log"
    with running(ground, log) as process:
        eventually(lambda: b"deployed one" in log.read_bytes())
        minutes = (datetime.now(UTC) - NOON).total_seconds() / 60
        ground.records(minutes)
        eventually(lambda: ground.rows(alerts))
        ground.detection("two")
        ground.commit()
        eventually(lambda: b"deployed two" in log.read_bytes())
        eventually(lambda: [row["state"] for row in ground.rows(deliveries)] == ["delivered"])
        process.send_signal(stop)
        assert ended(process, log) == 0
    text = log.read_text()
    assert "Traceback" not in text
    assert "NO security boundary" in text
    children = subprocess.run(["pgrep", "-f", str(ground.home / "builds")], capture_output=True, text=True)
    assert children.stdout == ""  # no worker outlives it


def test_killed_at_any_moment_it_goes_on_without_loss_or_double(
    trapline: Callable[..., Any], ground: Playground, tmp_path: Path
) -> None:
    schedule = {"start": NOON, "every": "1s", "poll": "1s", "longest_window": "30d"}
    ground.settings(schedule=schedule, alerts={"storm": 1_000})  # each alert is told by itself
    ground.detection("one", "def detect(record):\n    return True\ndef dedupe(record):\n    return record['key']\n")
    ground.commit()
    keys = 40
    for number in range(keys):
        ground.records(number, key=f"k{number}")
    for moment in (0.5, 0.9, 1.2, 1.5, 1.8):
        with running(ground, tmp_path / "log") as process:
            time.sleep(moment)
            process.kill()
            process.wait()
    once(trapline, ground)
    rows = ground.rows(alerts)
    assert sorted(row["dedupe"] for row in rows) == sorted(f"k{number}" for number in range(keys))
    assert {row["match_count"] for row in rows} == {1}
    # What was being sent at a kill is looked at again after a minute, in case its sender still lives.
    states = [row["state"] for row in ground.rows(deliveries)]
    assert len(states) == keys
    assert set(states) <= {"delivered", "unknown"}
    assert states.count("unknown") <= 5


def test_no_repository_no_branch_no_home(trapline: Callable[..., Any], ground: Playground, tmp_path: Path) -> None:
    ground.commit()
    missing = trapline("controller", "--once", "--home", tmp_path / "h", "--repository", tmp_path / "nope")
    assert (missing.code, "no git repository" in missing.err) == (1, True)
    branch = once(trapline, ground, "--ref", "mian")
    assert (branch.code, "mian" in branch.err, "main" in branch.err) == (1, True, True)
    home = trapline("status", "--home", tmp_path / "empty")
    assert (home.code, "--home" in home.err) == (1, True)
    assert trapline("alerts", "show", "nope", "--home", ground.home).code == 1
    nobody = trapline("controller", "--home", tmp_path / "new")
    assert (nobody.code, "--repository" in nobody.err) == (1, True)


def test_paths_may_be_relative(trapline: Callable[..., Any], ground: Playground) -> None:
    ground.detection("one")
    ground.commit()
    ground.records(1)
    root = ground.repository.parent
    done = trapline(
        *("controller", "--once", "--home", "home", "--repository", "repository", "--sandbox", "process"), cwd=root
    )
    assert (done.code, "1 alert opened" in done.out) == (0, True), done.err
    assert trapline("status", "--home", "./home", cwd=root).code == 0
    assert trapline("validate", "repository/detections/one", cwd=root).code == 0


def test_a_home_that_cannot_be_is_a_clear_error(trapline: Callable[..., Any], ground: Playground) -> None:
    ground.commit()
    ground.write("file", "")
    for command in (["controller", "--once", "--repository", ground.repository, "--home"], ["demo", "--keep"]):
        done = trapline(*command, ground.repository / "file" / "home")
        assert (done.code, "cannot be made" in done.err) == (1, True), done.err


def test_validate_asks_for_no_secrets_and_sees_past_a_broken_trapline_yml(
    trapline: Callable[..., Any], ground: Playground
) -> None:
    ground.detection("one")
    ground.settings(destinations={"soc": {"type": "webhook", "url": "${env:NOT_SET_HERE}"}}, default_destinations=[])
    done = trapline("validate", ground.repository, "--json")
    assert done.code == 0
    assert [problem["code"] for problem in done.json["problems"]] == ["secret-not-set"]
    ground.write("trapline.yml", "tables: 3\n")
    ground.detection("two", "def detect(record:\n")
    paths = {problem["path"] for problem in trapline("validate", ground.repository, "--json").json["problems"]}
    assert paths == {"trapline.yml", "detections/two/detect.py"}


def test_validate_reports_everything_at_once(trapline: Callable[..., Any], ground: Playground) -> None:
    ground.detection("one")
    assert trapline("validate", ground.repository).code == 0
    ground.detection("two", "def detect(record):\n    return event.outcome\n", tables=["lgs"], severty="high")
    done = trapline("validate", ground.repository, "--json")
    assert done.code == 1
    assert done.json["detections"] == 2
    found = {(p["path"].rsplit("/", 1)[-1], p["line"], p["severity"]) for p in done.json["problems"]}
    assert ("detect.py", 2, "error") in found
    assert ("detection.yml", 5, "warning") in found
    assert all(problem["remedy"] for problem in done.json["problems"])
    text = trapline("validate", ground.repository / "detections" / "two")
    assert "undefined name 'event'" in text.err
    assert "1 detection," in text.out
    assert trapline("validate", ground.repository / "detections" / "one").code == 0


def test_importing_tables(trapline: Callable[..., Any], tmp_path: Path) -> None:
    source = tmp_path / "deliveries"
    source.mkdir()
    event = {"eventID": "1", "eventTime": "2026-01-01T12:00:00Z", "eventName": "A", "eventSource": "s.amazonaws.com"}
    (source / "good.json").write_text(json.dumps({"Records": [event]}))
    (source / "broken.json").write_text('{"Records": [')
    done = trapline("tables", "import", "cloudtrail", source, "--to", tmp_path / "lake", "--json")
    assert (done.code, done.json["events"], done.json["days"]) == (1, 1, ["2026-01-01"])
    assert "broken.json" in done.json["problems"][0]
    (source / "broken.json").unlink()
    assert trapline("tables", "import", "cloudtrail", source, "--to", tmp_path / "lake").code == 0
    assert len(list((tmp_path / "lake").rglob("*.parquet"))) == 1


def test_plugins_are_listed(trapline: Callable[..., Any]) -> None:
    done = trapline("plugins", "list", "--json")
    assert (done.code, done.json[0]["name"]) == (0, "builtin")
    assert {"console", "file", "webhook"} <= set(done.json[0]["kinds"])


@pytest.mark.network
def test_requirements_reach_the_rule_and_what_cannot_be_resolved_holds_up_nobody(
    trapline: Callable[..., Any], ground: Playground
) -> None:
    ground.detection("needs", "import idna\n\ndef detect(record):\n    return idna.encode('x') == b'x'\n")
    ground.write("detections/needs/requirements.txt", "idna==3.10\n")
    ground.detection("cannot")
    ground.write("detections/cannot/requirements.txt", "# what for?\nidna==0.0.999\n")
    ground.commit()
    ground.records(1)
    done = once(trapline, ground)
    assert done.code == 1
    assert "deployed     needs" in done.out
    assert "1 match, 1 alert opened" in done.out
    assert "detections/cannot/requirements.txt:2" in done.err
    assert "idna==0.0.999" in done.err


def test_what_an_attacker_writes_into_a_log_does_not_speak_to_the_terminal(
    trapline: Callable[..., Any], ground: Playground
) -> None:
    ground.detection("one", "def detect(record):\n    return True\n\n\ndef title(record):\n    return record['said']\n")
    ground.commit()
    ground.records(1, said="\x1b]0;owned\x07\x1b[31mred[/x] [bold]you\x9b2J")
    assert once(trapline, ground).code == 0
    [alert] = trapline("alerts", "list", "--home", ground.home, "--json").json
    for command in (["alerts", "list"], ["alerts", "show", alert["id"]], ["status"]):
        shown = trapline(*command, "--home", ground.home)
        assert shown.code == 0
        assert not set("\x1b\x9b\x07") & set(shown.out)
    assert "red[/x] [bold]you" in trapline("alerts", "show", alert["id"], "--home", ground.home).out
    assert "[/x]" in trapline("alerts", "show", "[/x]", "--home", ground.home).err


def test_the_log_shows_no_addresses_of_destinations(ground: Playground, receiver: Receiver, tmp_path: Path) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    url = f"{receiver.url}/SECRETTOKEN"
    ground.settings(
        destinations={"soc": {"type": "webhook", "url": url}},
        default_destinations=["soc"],
        schedule={"start": start, "every": "1s", "poll": "1s"},
    )
    ground.detection("one")
    ground.commit()
    ground.records((start - NOON).total_seconds() / 60)
    with running(ground, tmp_path / "log") as process:
        eventually(lambda: receiver.got)
        process.terminate()
        process.wait(timeout=30)
    log = (tmp_path / "log").read_text()
    assert "alert opened" in log or "alerts opened" in log
    assert "SECRETTOKEN" not in log
