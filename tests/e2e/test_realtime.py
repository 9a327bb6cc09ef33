"""Real time as a user runs it: a file that lands is an alert at a webhook, while no detection is due for an hour."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.aws import Aws
from tests.e2e.test_controller import ended, once, running
from tests.playground import MATCH_BAD, NOON, Playground, eventually
from trapline.state.schema import checkpoints, leases, matches
from trapline_plugins.fake_server import Answer, FakeServer, serving

KEYED = f'{MATCH_BAD}\ndef dedupe(record):\n    return record["key"]\n'


@pytest.fixture
def hook() -> Iterator[FakeServer]:
    with serving(lambda _: Answer(204)) as server:
        yield server


@pytest.fixture
def ground(ground: Playground, hook: FakeServer) -> Playground:
    ground.settings(
        tables={"logs": {"path": "lake/logs"}, "other": {"path": "lake/other"}},
        destinations={"soc": {"type": "webhook", "url": hook.url}},
        default_destinations=["soc"],
        schedule={"every": "1h", "poll": "1s", "start": NOON, "longest_window": "400d"},
    )
    return ground


def land(ground: Playground, key: str, *, table: str = "logs", action: str = "bad") -> None:
    """A file with one record comes into the table's folder, whole."""
    event = {"id": uuid.uuid4().hex, "action": action}
    rows = [{"ts": datetime.now(UTC) - timedelta(seconds=1), "event": event, "key": key}]
    path = ground.home / f"{key}.tmp"
    pq.write_table(pa.Table.from_pylist(rows), path)
    path.rename(ground.lake / table / f"{key}.parquet")


def heard(hook: FakeServer) -> Counter[str]:
    """How often the alert of each key was sent."""
    return Counter(json.loads(request.body)["data"]["dedupe"] for request in hook.requests)


def test_from_a_file_to_an_alert_and_real_time_off_and_on_again(
    trapline: Callable[..., Any], ground: Playground, hook: FakeServer, tmp_path: Path
) -> None:
    ground.detection("one", KEYED, realtime=True)
    ground.detection("two", KEYED, realtime=True, tables=["other"])
    ground.commit()
    log = tmp_path / "log"

    def says(words: str, times: int = 1) -> None:
        eventually(lambda: log.read_text().count(words) >= times, why=log.read_text)

    def hears(*keys: str) -> None:
        wanted = Counter(keys)
        eventually(lambda: heard(hook) == wanted, why=lambda: f"{heard(hook)}\n{log.read_text()}")

    with running(ground, log) as process:
        says("table logs has no records yet")  # its folder is empty, and the other's is not there
        says("lake/other does not exist")
        land(ground, "first")
        hears("first")
        (ground.lake / "other").mkdir()
        land(ground, "in another table", table="other")
        hears("first", "in another table")

        ground.detection("one", KEYED)
        ground.commit()
        says("table logs is listened to no more")
        land(ground, "on schedule")
        done = once(trapline, ground, "--json")  # beside who listens
        assert (done.code, done.json["matches"]) == (0, 1), done.err
        hears("first", "in another table", "on schedule")

        ground.detection("one", KEYED, realtime=True)
        ground.commit()
        says("table logs is listened to\n", times=2)
        land(ground, "at once again")
        land(ground, "harmless", action="good")
        hears("first", "in another table", "on schedule", "at once again")
        assert once(trapline, ground, "--json").json["matches"] == 0

        process.send_signal(signal.SIGTERM)
        assert ended(process, log) == 0
    assert log.read_text().count("has no records yet") == 1  # said once, not with every look
    assert "Traceback" not in log.read_text()
    assert len(ground.rows(matches)) == 4
    assert all(row["streamed"] for row in ground.rows(checkpoints))


def test_who_takes_over_hears_of_what_came_meanwhile(ground: Playground, hook: FakeServer, tmp_path: Path) -> None:
    ground.detection("one", KEYED, realtime=True)
    ground.commit()
    land(ground, "harmless", action="good")
    logs = [tmp_path / "first", tmp_path / "second"]

    def hears(*keys: str) -> None:
        wanted = Counter(keys)
        eventually(lambda: heard(hook) == wanted, why=lambda: f"{heard(hook)}\n{[log.read_text() for log in logs]}")

    with ExitStack() as ends:
        pair = {process.pid: process for process in (ends.enter_context(running(ground, log)) for log in logs)}
        eventually(lambda: any("is listened to" in log.read_text() for log in logs))
        land(ground, "before")
        hears("before")
        [lease] = ground.rows(leases)
        leader = pair.pop(int(lease["holder"].split(":")[1]))
        os.kill(leader.pid, signal.SIGKILL)
        land(ground, "meanwhile")
        hears("before", "meanwhile")
        land(ground, "after")
        hears("before", "meanwhile", "after")
        [other] = pair.values()
        other.terminate()
        assert ended(other, logs[0]) == 0
    assert not any("Traceback" in log.read_text() for log in logs)
    assert len(ground.rows(matches)) == 3


def test_what_is_taken_and_not_recorded_is_given_back_when_it_is_told_to_stop(
    ground: Playground, hook: FakeServer, tmp_path: Path, aws: Aws
) -> None:
    sqs, count, busy, log = aws.client("sqs"), 12, tmp_path / "busy", tmp_path / "log"
    queue = sqs.create_queue(QueueName="landed", Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    ground.settings(
        tables={"logs": {"path": "lake/logs", "stream": {"type": "sqs", "queue": queue}}},
        destinations={"soc": {"type": "webhook", "url": hook.url}},
        default_destinations=["soc"],
        schedule={"every": "1h", "poll": "1s"},
    )
    waits = f"import os, time\ndef busy():\n    while os.path.exists({str(busy)!r}):\n        time.sleep(0.05)\n"
    rule = MATCH_BAD.replace(":\n", ":\n    busy()\n", 1)
    limits = {"record_timeout": "1m"}
    ground.detection(
        "one", f'{waits}{rule}\ndef dedupe(record):\n    return record["key"]\n', realtime=True, limits=limits
    )
    ground.commit()
    ground.records(0, event={"action": "good"}, key="")  # so that the table has columns
    busy.touch()
    now = datetime.now(UTC).isoformat()
    for number in range(count):
        record = {"ts": now, "event": {"id": str(number), "action": "bad"}, "key": str(number)}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(record))

    def standing() -> tuple[int, int]:
        """How many messages can be taken, and how many are taken."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    with running(ground, log) as process:
        eventually(lambda: standing() == (0, count), why=log.read_text)
        process.send_signal(signal.SIGTERM)
        assert ended(process, log) == 0
    assert standing() == (count, 0)
    assert ground.rows(matches) == []
    busy.unlink()
    with running(ground, log) as process:
        wanted = Counter(str(number) for number in range(count))
        eventually(lambda: heard(hook) == wanted and standing() == (0, 0), why=log.read_text)
        process.send_signal(signal.SIGTERM)
        assert ended(process, log) == 0
    assert len(ground.rows(matches)) == count
