"""Listeners killed with SIGKILL, wherever they are, while files and objects keep landing: each match is one.

The full size:

    TRAPLINE_TEST_KILLS=100 .venv/bin/pytest tests/reliability/test_streams.py -s
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.aws import CREDENTIALS, REGION, Aws, give_credentials, serving_aws
from tests.playground import NOON, Playground, deploy, eventually
from tests.reliability.conftest import KEYED, Drive
from tests.reliability.stream_driver import STEPS
from trapline.controller import Controller
from trapline.state.schema import alerts, deliveries, landed, matches, spoiled
from trapline.streams.source import SourceDown

KILLS = int(os.environ.get("TRAPLINE_TEST_KILLS", "3"))
FILES = 8 * KILLS
BURST = min(50 * KILLS, 1000)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """One that can be stopped."""
    with serving_aws() as aws:
        give_credentials(monkeypatch)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        aws.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield aws


class Arrivals:
    """Files that land in the lake, and where there is a queue, as objects that it tells of too, some more than once."""

    def __init__(self, ground: Playground, chance: Random, aws: Aws | None) -> None:
        self._ground, self._chance = ground, chance
        self.expected = Counter[str]()
        self.queue = ""
        if aws:
            self._s3, self._sqs = aws.client("s3"), aws.client("sqs")
            self.queue = str(self._sqs.create_queue(QueueName="landed")["QueueUrl"])

    def land(self, number: int) -> None:
        keys = [f"key {self._chance.randrange(5)}" for _ in range(self._chance.randint(1, 4))]
        rows = [self._record(key, matches=True) for key in keys] + [self._record("none", matches=False)]
        self.expected.update(keys)
        path = self._ground.home / f"{number}.tmp"
        pq.write_table(pa.Table.from_pylist(rows), path)
        content, name = path.read_bytes(), f"file-{number}.parquet"
        path.rename(self._ground.lake / "logs" / name)
        if self.queue:
            self._s3.put_object(Bucket="lake", Key=name, Body=content)
            for _ in range(self._chance.choice([1, 1, 2])):
                self.tell(name, len(content))

    def tell(self, name: str, size: int) -> None:
        found = {"bucket": {"name": "lake"}, "object": {"key": name, "size": size, "sequencer": "1"}}
        record = {"eventName": "ObjectCreated:Put", "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "s3": found}
        self._sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps({"Records": [record]}))

    def _record(self, key: str, *, matches: bool) -> dict[str, Any]:
        return {"ts": datetime.now(UTC), "event": {"id": uuid.uuid4().hex}, "key": key, "bad": matches}


def prepare(ground: Playground, arrivals: Arrivals) -> None:
    """A detection that sees what lands is deployed, and its table has columns."""
    ground.now = datetime.now(UTC)
    stream = {"type": "s3-events", "queue": arrivals.queue} if arrivals.queue else {"type": "directory"}
    ground.settings(
        tables={"logs": {"path": "lake/logs", "stream": {**stream, "pause": 0.3}}},
        destinations={"file": {"type": "file", "path": str(ground.home / "told")}},
        default_destinations=["file"],
        schedule={"start": NOON, "longest_window": "400d"},
        alerts={"storm": 100_000},
    )
    ground.detection("one", KEYED.replace("True", 'record["bad"]'), realtime=True)
    pq.write_table(
        pa.Table.from_pylist([arrivals._record("none", matches=False)]), ground.lake / "logs" / "seed.parquet"
    )
    with ground.controller() as controller:
        deploy(ground, controller)
        controller.tick()


def prove(ground: Playground, expected: Counter[str]) -> None:
    """Every match is one, counted once in the one alert of its key, and everything was sent."""
    assert len(ground.rows(matches)) == expected.total()
    assert {row["dedupe"]: row["match_count"] for row in ground.rows(alerts)} == expected
    assert {row["state"] for row in ground.rows(deliveries)} == {"delivered"}
    told = [json.loads(line)["data"] for line in (ground.home / "told").read_text().splitlines()]
    assert {one["dedupe"] for one in told} == set(expected)
    assert ground.rows(spoiled) == []


@pytest.mark.timeout(120 + 20 * KILLS)
@pytest.mark.parametrize("kind", ["directory", "s3-events"])
def test_killed_anywhere_every_record_that_lands_is_seen_and_counted_once(
    ground: Playground,
    driving: Callable[..., Drive],
    chance: Random,
    kind: str,
    request: pytest.FixtureRequest,
) -> None:
    aws = request.getfixturevalue("aws") if kind == "s3-events" else None
    arrivals = Arrivals(ground, chance, aws)
    prepare(ground, arrivals)
    env = {**CREDENTIALS, "AWS_ENDPOINT_URL": aws.url} if aws else {}
    drive = driving("stream_driver", ground.home, ground.repository, FILES, **env)
    killed, pause = threading.Event(), threading.Event()

    def keep_landing() -> None:
        for number in range(FILES):
            if number == FILES - 1:
                killed.wait()  # until the last one is there, nobody is done
            arrivals.land(number)
            pause.wait(chance.uniform(0, 0.3))

    landing = threading.Thread(target=keep_landing)
    landing.start()
    hit = Counter[str]()
    try:
        while hit.total() < KILLS:
            answer = drive(**somewhere(chance))
            assert answer.killed, answer.error
            hit[answer.step or "start"] += 1
    finally:
        killed.set()
        landing.join()
    print(f"killed at {dict(hit)}")
    answer = drive(after=90 + KILLS)
    assert not answer.killed, "it does not come to an end"
    assert answer.error == ""
    prove(ground, arrivals.expected)


def somewhere(chance: Random) -> dict[str, Any]:
    """Where to kill: at any moment, or at the edge of a step; after some seconds in any case."""
    if chance.random() < 0.5:
        return {"after": chance.uniform(0.2, 2.5)}
    edge = chance.choice(["", "after "]) + chance.choice(list(STEPS))
    return {"at": edge, "nth": chance.randint(1, 4), "after": 3.0}


@pytest.mark.timeout(120 + BURST)
def test_a_burst_of_objects_and_a_queue_that_is_away_for_a_while(ground: Playground, chance: Random, aws: Aws) -> None:
    arrivals = Arrivals(ground, chance, aws)
    prepare(ground, arrivals)

    def recorded() -> int:
        return sum("file-" in row["key"] for row in ground.rows(landed))

    def listen_until(controller: Controller, count: int) -> None:
        def listened() -> bool:
            with suppress(SourceDown):  # what was read ahead may have heard of it a moment ago
                controller.listen("logs")
            return recorded() >= count

        eventually(listened, within=60 + BURST)

    with ground.controller() as controller:
        controller.streams()
        controller.listen("logs")
        for number in range(BURST):
            arrivals.land(number)
        listen_until(controller, 1)
        aws.stop()

        def away() -> bool:
            try:
                controller.listen("logs")
            except SourceDown:
                return True
            return False

        eventually(away)
        aws.start()
        listen_until(controller, BURST)
        ground.now = datetime.now(UTC) + timedelta(hours=2)
        assert controller.tick().matches == 0  # the sweep has nothing that was missed
        controller.deliver()
    prove(ground, arrivals.expected)
