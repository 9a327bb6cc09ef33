"""Which tables are listened to, and how: listeners that are made, cannot be made, and are made anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.aws import Aws
from tests.controller.run.landing import keys, landing, listen_until, ready, settings
from tests.playground import Playground, column, deploy
from trapline.controller import Controller
from trapline.errors import TraplineError
from trapline.run import listeners
from trapline.state.schema import matches, streams
from trapline.streams.directory import Directory
from trapline.streams.source import SourceDown
from trapline.workers.interface import WorkerError
from trapline.workers.pool import Pool


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return landing(tmp_path)


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def test_a_stream_that_cannot_be_made_says_why_and_since_when_until_it_can(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    settings(ground, {"type": "sqs", "queue": "http://localhost/1/landed"})
    ground.detection("one", realtime=True)
    deploy(ground, controller)
    began = ground.now
    for _ in range(2):
        assert controller.streams() == ["logs"]
        with pytest.raises(SourceDown, match="no region is set"):
            controller.listen("logs")
        [row] = ground.rows(streams)
        assert (row["kind"], row["told_at"]) == ("sqs", began)
        assert "no region is set" in row["trouble"]
        assert "AWS_REGION" in row["trouble"]
    settings(ground)
    deploy(ground, controller)
    ground.records(1)
    listen_until(controller, lambda: keys(ground) == 1)
    [row] = ground.rows(streams)
    assert (row["kind"], row["trouble"]) == ("directory", "")


def test_a_queue_that_does_not_exist_is_down_until_it_does(
    ground: Playground, controller: Controller, aws: Aws
) -> None:
    queue = f"{aws.url}/123456789012/landed"
    settings(ground, {"type": "sqs", "queue": queue, "pause": 0.01})
    ground.detection("one", realtime=True)
    deploy(ground, controller)
    controller.streams()
    with pytest.raises(SourceDown, match="does not exist"):
        controller.listen("logs")
    [row] = ground.rows(streams)
    assert "check the stream's queue:" in row["trouble"]
    ground.now += timedelta(seconds=5)
    aws.client("sqs").create_queue(QueueName="landed")
    controller.listen("logs")
    [row] = ground.rows(streams)
    assert (row["trouble"], row["told_at"]) == ("", ground.now)


@pytest.mark.parametrize("method", ["receive", "__init__"])
def test_what_fails_in_trapline_itself_is_trouble_too(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    ground.detection("one", realtime=True)
    deploy(ground, controller)
    controller.streams()
    with monkeypatch.context() as patch:
        patch.setattr(Directory, method, lambda *_, **__: raises(OverflowError("too odd")))
        with pytest.raises(OverflowError):
            controller.listen("logs")
        assert ground.rows(streams)[0]["trouble"] == "it failed in Trapline itself: OverflowError('too odd')"
    ground.records(1)
    listen_until(controller, lambda: keys(ground) == 1)


def test_a_broken_file_in_the_lake_keeps_no_listener_from_being_made(
    ground: Playground, controller: Controller
) -> None:
    broken = ground.lake / "logs" / "broken.parquet"
    broken.write_bytes((ground.lake / "logs" / "seed.parquet").read_bytes()[:-20])
    ground.detection("one", realtime=True)
    deploy(ground, controller)
    assert "broken.parquet" in str(controller.tick().errors)
    ground.records(1)
    listen_until(controller, lambda: keys(ground) == 1)
    assert column(ground.rows(matches), "identity") == ["one"]


def test_a_column_that_is_new_in_the_lake_reaches_the_rules(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one", "def detect(record):\n    return record['new'] == 1\n", realtime=True)
    ready(ground, controller)
    ground.records(1, new=1)
    monkeypatch.setattr(listeners, "COLUMNS_SECONDS", 0.0)
    controller.streams()  # looks
    listen_until(controller, lambda: keys(ground) == 1)
    ground.records(2, new=1)
    listen_until(controller, lambda: keys(ground) == 2)
    assert "one" in column(ground.rows(matches), "identity")


def test_a_table_without_columns_or_folder_is_waited_for(ground: Playground, controller: Controller) -> None:
    [seed] = (ground.lake / "logs").iterdir()
    seed.unlink()
    ground.detection("one", realtime=True)
    deploy(ground, controller)
    controller.tick()
    assert controller.streams() == ["logs"]
    with pytest.raises(SourceDown, match="no records yet"):
        controller.listen("logs")
    assert "no records yet" in ground.rows(streams)[0]["trouble"]
    (ground.lake / "logs").rmdir()
    with pytest.raises(SourceDown, match="does not exist"):
        controller.listen("logs")
    (ground.lake / "logs").mkdir()
    ground.records(1)
    listen_until(controller, lambda: keys(ground) == 1)
    assert len(ground.rows(matches)) == 1


def test_a_table_that_is_gone_from_the_settings_is_said_to_be(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    ground.settings(tables={"others": {"path": "lake/logs"}})
    ground.detection("one", realtime=True, tables=["others"])
    deploy(ground, controller)
    with pytest.raises(SourceDown, match="no table logs any more"):
        controller.listen("logs")


def test_settings_and_columns_that_change_lose_nothing_and_bring_nothing_twice(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "COLUMNS_SECONDS", 0.0)
    ground.detection("one", realtime=True)
    ready(ground, controller)
    changes: list[dict[str, Any]] = [
        {},
        {"stream": {"type": "directory", "pause": 0.02}},
        {"stream": {"type": "directory", "pause": 0.02, "largest": "1MiB"}},
        {"realtime": {"batch": 1}},
        {"realtime": {"sweep": "7m"}},
    ]
    for number, change in enumerate(changes):
        ground.records(2 * number)  # heard by who listened until now, or by who does so from now on
        settings(ground, **change)
        deploy(ground, controller)
        ground.records(2 * number + 1, **{f"column{number}": 1})
        listen_until(controller, lambda number=number: keys(ground) == 2 * (number + 1))
    assert controller.next_tick(after=ground.now) <= ground.now + timedelta(minutes=7)
    assert len(ground.rows(matches)) == 2 * len(changes)
    [row] = ground.rows(streams)
    assert (row["parcels"], row["records"]) == (2 * len(changes) + 1, 2 * len(changes) + 1)  # and the seed
    ground.now += timedelta(hours=2)
    assert controller.tick().matches == 0


def test_another_queue_is_listened_to_and_what_was_taken_from_the_first_stays_there(
    ground: Playground, controller: Controller, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = aws.client("sqs")
    queues = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("first", "second")]

    def send(queue: str, id: str) -> None:
        record = {"ts": ground.now.isoformat(), "event": {"id": id, "action": "bad"}}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(record))

    def listen_to(queue: str) -> None:
        settings(ground, {"type": "sqs", "queue": queue, "pause": 0.01})
        deploy(ground, controller)

    def found() -> list[str]:
        return sorted(row["record"]["event"]["id"] for row in ground.rows(matches))

    ground.detection("one", realtime=True)
    listen_to(queues[0])
    send(queues[0], "a")
    listen_until(controller, lambda: found() == ["a"])
    with monkeypatch.context() as patch:
        patch.setattr(Pool, "worker", lambda *_: raises(WorkerError("unavailable", "no engine answers")))
        send(queues[0], "b")
        with pytest.raises(TraplineError, match="no engine answers"):
            listen_until(controller, lambda: False)
    send(queues[1], "c")
    listen_to(queues[1])
    listen_until(controller, lambda: found() == ["a", "c"])
    listen_to(queues[0])
    listen_until(controller, lambda: found() == ["a", "b", "c"])
    assert ground.rows(streams)[0]["records"] == 3


def raises(error: Exception) -> Any:
    raise error
