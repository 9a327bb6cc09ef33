"""`trapline streams`, and what `status`, `matches` and `alerts` say of what lands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from tests.playground import NOON, Playground, deploy, eventually
from trapline.cli import cli
from trapline.cli.output import age, moment
from trapline.cli.streams import lag_text, stream_line, stream_rows
from trapline.clock import system_clock
from trapline.controller import Controller
from trapline.errors import TraplineError
from trapline.run import listen
from trapline.state.database import Database
from trapline.state.schema import alerts, landed, matches, spoiled
from trapline.state.streams import SetAside, StreamState, keep_stream, set_parcels_aside
from trapline.streams import directory
from trapline.workers.interface import WorkerError
from trapline.workers.pool import Pool

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """A home whose clock is the wall's, with a detection in real time and one that is not."""
    ground = Playground(tmp_path)
    ground.now = datetime.now(UTC)
    settings(ground)
    ground.records(0, event={"action": "good"})
    ground.detection("one", realtime=True)
    ground.detection("slow")
    return ground


def settings(ground: Playground, **stream: Any) -> None:
    stream = {"type": "directory", "pause": 0.01, **stream}
    ground.settings(tables={"logs": {"path": "lake/logs", "stream": stream}})


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    """It has begun to listen."""
    with ground.controller() as controller:
        deploy(ground, controller)
        controller.tick()
        controller.streams()
        controller.listen("logs")
        yield controller


def listen_until(controller: Controller, done: Callable[[], Any]) -> None:
    def listened() -> Any:
        controller.streams()
        controller.listen("logs")
        return done()

    eventually(listened)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut off is not waited for as long as somebody might still be writing it."""
    monkeypatch.setattr(directory, "UNFINISHED_SECONDS", 1.0)


def spoil(ground: Playground, name: str = "broken") -> bytes:
    """Puts a file into the table's folder that is cut off, and returns what it should be: one record that matches."""
    whole = ground.lake / "whole.parquet"
    pq.write_table(pa.table({"ts": [NOON + timedelta(minutes=1)], "event": [{"id": name, "action": "bad"}]}), whole)
    content = whole.read_bytes()
    (ground.lake / "logs" / f"{name}.parquet").write_bytes(content[:-20])
    return content


def run(ground: Playground, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--home", str(ground.home)], catch_exceptions=False)


def told(ground: Playground, *arguments: str) -> Any:
    return json.loads(run(ground, *arguments, "--json").output)


def test_a_stream_is_listed_with_how_it_gets_on(ground: Playground, controller: Controller) -> None:
    ground.records(1, 2)
    known = len(ground.rows(landed))
    listen_until(controller, lambda: len(ground.rows(landed)) > known)
    listen_until(controller, lambda: told(ground, "streams", "list")[0]["records"] >= 2)  # it tells every few seconds
    [row] = told(ground, "streams", "list")
    assert (row["table"], row["kind"], row["state"], row["missed"], row["waiting"]) == ("logs", "directory", "ok", 0, 0)
    assert row["lag_seconds"] is not None
    text = run(ground, "streams", "list").output
    assert text.split("\n")[1].split()[:3] == ["logs", "directory", "ok"]
    assert max(map(len, text.splitlines())) <= 80
    lines = run(ground, "status").output.splitlines()
    [line] = [line for line in lines if line.startswith("stream logs: ok, lag ")]
    assert len(line) <= 80
    assert [line.split()[6:8] for line in lines if line.startswith("one ")] == [["real", "time"]]
    status = told(ground, "status")
    assert {row["name"]: row["realtime"] for row in status["detections"]} == {"one": True, "slow": False}
    assert [row["table"] for row in status["streams"]] == ["logs"]
    assert "in real time; swept up to 2" in run(ground, "status", "one").output
    assert "in real time" not in run(ground, "status", "slow").output


def test_lag_throughput_and_the_oldest_that_waits(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.records(*range(1, 31))
    [file] = [one for one in (ground.lake / "logs").iterdir() if len(pq.read_table(one)) == 30]
    landed_at = datetime.fromtimestamp(file.stat().st_ctime, UTC)
    monkeypatch.setattr(listen, "_TELL_SECONDS", 0.0)

    def away(*_: Any) -> Any:
        raise WorkerError("unavailable", "no engine answers")

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "worker", away)
        with pytest.raises(TraplineError, match="no engine answers"):
            listen_until(controller, lambda: False)
    [row] = told(ground, "streams", "list")
    assert (row["waiting"], datetime.fromisoformat(row["oldest"])) == (1, landed_at)
    ground.now += timedelta(seconds=100)
    before = row["records"]
    listen_until(controller, lambda: told(ground, "streams", "list")[0]["records"] == before + 30)
    [row] = told(ground, "streams", "list")
    assert (row["waiting"], row["oldest"]) == (0, None)
    assert row["lag_seconds"] == (ground.now - landed_at).total_seconds()
    assert row["per_second"] == row["records"] / 60


def test_a_home_without_streams_says_so(ground: Playground) -> None:
    ground.commit()
    with ground.controller() as controller:
        controller.reconcile()
    assert "`realtime: true`" in run(ground, "streams", "list").output
    assert told(ground, "streams", "list") == []
    assert "stream logs" not in run(ground, "status").output
    assert run(ground, "streams", "spoiled").output == "nothing is set aside\n"


def test_a_table_without_a_stream_holds_nothing_back_and_is_not_listened_to(ground: Playground) -> None:
    table = {"iceberg": {"catalog": "lake", "table": "security.logs"}}
    ground.settings(tables={"logs": table}, catalogs={"lake": {"type": "sql", "uri": "sqlite:///catalog.db"}})
    with ground.controller() as controller:
        deploy(ground, controller)
        assert controller.streams() == []
    status = {row["name"]: row for row in told(ground, "status")["detections"]}
    assert (status["one"]["sync"], status["one"]["realtime"]) == ("synced", False)
    said = CliRunner().invoke(cli, ["validate", str(ground.repository)])
    assert said.exit_code == 0
    assert "detections/one/detection.yml:5:1: warning: nobody hears of what lands in `logs`" in said.stderr


def test_trouble_and_silence_are_the_state(tmp_path: Path) -> None:
    database = Database.in_home(tmp_path)
    with database.transaction() as connection:
        gone = StreamState("a", "sqs", NOW, NOW, trouble="the queue is gone", waiting=7, oldest=NOON)
        keep_stream(connection, gone)
        keep_stream(connection, StreamState("b", "sqs", NOW, NOW, per_second=3.0))
    assert [row["state"] for row in stream_rows(database, now=NOW)] == ["the queue is gone", "ok"]
    later = stream_rows(database, now=NOW + timedelta(minutes=5))
    assert [row["state"] for row in later] == ["the queue is gone", "nobody has listened for 5m"]
    assert "positions" not in later[0]
    assert [stream_line(row) for row in later] == [
        f"stream a: down since {moment(NOW)} UTC: the queue is gone, waiting 7, {age(system_clock() - NOON)}",
        f"stream b: down since {moment(NOW)} UTC: nobody has listened for 5m",
    ]
    assert [(row["down_since"], row["per_second"]) for row in later] == [(NOW, 0.0), (NOW, 0.0)]
    database.close()
    listed = CliRunner().invoke(cli, ["streams", "list", "--home", str(tmp_path)])
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [["a", "sqs", "down"], ["b", "sqs", "down"]]
    since = f"down since {moment(NOW)} UTC"
    assert listed.stderr.startswith(f"a: {since}: the queue is gone\nb: {since}: nobody has listened for ")


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (-0.2, "0.0s"), (0.44, "0.4s"), (75.0, "1m")])
def test_a_lag_in_words(seconds: float | None, text: str) -> None:
    assert lag_text(seconds) == text


def test_what_a_sweep_found_is_counted_and_marked(ground: Playground, controller: Controller) -> None:
    later = (ground.now - NOON) / timedelta(minutes=1) + 10
    controller.listen_no_more("logs")  # nobody listens while it comes
    ground.records(later)
    ground.now += timedelta(hours=2)
    controller.tick()
    rows = {row["identity"]: row for row in ground.rows(matches)}
    assert told(ground, "streams", "list")[0]["missed"] == 1
    assert ", stream missed 1\n" in run(ground, "status").output + run(ground, "status").stderr
    for listing in (run(ground, "matches", "list", "one").output, shown_alert(ground, "one")):
        assert "late: found by a sweep" in listing
    for listing in (run(ground, "matches", "list", "slow").output, shown_alert(ground, "slow")):
        assert "late" not in listing
    assert (rows["one"]["late"], rows["slow"]["late"]) == (True, None)


def shown_alert(ground: Playground, name: str) -> str:
    [alert] = [row for row in ground.rows(alerts) if row["identity"] == name]
    return run(ground, "alerts", "show", alert["id"]).output


@pytest.mark.usefixtures("impatient")
def test_what_is_set_aside_is_listed_and_tried_again(ground: Playground, controller: Controller) -> None:
    content = spoil(ground)
    listen_until(controller, lambda: ground.rows(spoiled))
    [aside] = told(ground, "streams", "spoiled", "logs")
    assert (aside["table"], aside["origin"]) == ("logs", "broken.parquet")
    text = run(ground, "streams", "spoiled").output
    assert "cut off" in text
    assert f"\n  {aside['key']}\n" in text
    assert told(ground, "streams", "spoiled", "other") == []
    controller.close()

    result = run(ground, "streams", "replay", "--sandbox", "process")
    assert result.exit_code == 1
    assert result.output.startswith("settled 0 of 1 set aside: 0 matches, 0 alerts opened, 0 updated\n")
    assert "cut off" in result.output

    (ground.lake / "logs" / "broken.parquet").write_bytes(content)
    result = run(ground, "streams", "replay", "logs", "--key", aside["key"], "--sandbox", "process", "--json")
    said = json.loads(result.output)
    assert (result.exit_code, said["tried"], said["settled"], said["matches"], said["opened"]) == (0, 1, 1, 1, 1)
    assert told(ground, "streams", "spoiled") == []
    assert [row["identity"] for row in ground.rows(matches)] == ["one"]
    result = run(ground, "streams", "replay", "--sandbox", "process")
    assert (result.exit_code, result.output.split(":")[0]) == (0, "settled 0 of 0 set aside")


@pytest.mark.usefixtures("impatient")
def test_the_reason_is_that_of_now(ground: Playground, controller: Controller) -> None:
    spoil(ground)
    listen_until(controller, lambda: ground.rows(spoiled))
    (ground.lake / "logs" / "broken.parquet").unlink()
    result = controller.replay_set_aside()
    assert [one.reason for one in result.left] == ["it is gone"]
    assert [row["reason"] for row in ground.rows(spoiled)] == ["it is gone"]


def test_what_is_too_large_is_left_to_the_sweep_and_says_so(ground: Playground, controller: Controller) -> None:
    settings(ground, largest=10)
    deploy(ground, controller)
    ground.records(1)
    listen_until(controller, lambda: ground.rows(spoiled))
    assert "left to the sweep" in run(ground, "streams", "spoiled").output
    settings(ground)
    deploy(ground, controller)
    result = controller.replay_set_aside("logs")
    assert (result.left, result.errors) == ([], {})
    assert "one" in {row["identity"] for row in ground.rows(matches)}


@pytest.mark.usefixtures("impatient")
def test_a_table_that_cannot_be_asked_says_why_and_keeps_what_it_has(
    ground: Playground, controller: Controller
) -> None:
    spoil(ground)
    listen_until(controller, lambda: ground.rows(spoiled))
    ground.detection("one")
    deploy(ground, controller)
    controller.close()
    result = run(ground, "streams", "replay", "--sandbox", "process")
    assert result.exit_code == 1
    assert "logs: no detection that runs sees what lands in logs; it stays set aside" in result.output
    assert len(told(ground, "streams", "spoiled")) == 1


@pytest.mark.usefixtures("impatient")
def test_a_table_that_is_gone_keeps_what_it_has(ground: Playground, controller: Controller) -> None:
    spoil(ground)
    listen_until(controller, lambda: ground.rows(spoiled))
    ground.settings(tables={"other": {"path": "lake/other"}})  # the detections are held, and run on as they were
    ground.commit()
    controller.reconcile()
    result = controller.replay_set_aside()
    assert (result.settled, len(result.left)) == (0, 1)
    assert result.errors["logs"].startswith("there is no table logs any more")


def test_what_nothing_was_kept_of_stays_set_aside(ground: Playground, controller: Controller) -> None:
    database = Database.in_home(ground.home)
    with database.transaction() as connection:
        set_parcels_aside(connection, [SetAside("logs", "a.parquet#1-2", NOW, "it failed in Trapline", "", NOW)])
    database.close()
    result = controller.replay_set_aside()
    assert [(one.key, one.reason) for one in result.left] == [("a.parquet#1-2", "it failed in Trapline")]


def test_a_key_under_which_nothing_is(ground: Playground, controller: Controller) -> None:
    with pytest.raises(Exception, match="nothing is set aside under the key x"):
        controller.replay_set_aside("logs", "x")
