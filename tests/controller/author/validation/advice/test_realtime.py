"""Detections in real time: tables without a stream, and conclusions from what landed together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trapline.author.validation.advice.schemas import Schemas
from trapline.errors import Problem
from trapline.settings import Settings

Said = Callable[..., list[Problem]]
DETECT = 'def detect(record):\n    return record.deepget("event.action") == "x"\n'
QUEUE = {"type": "sqs", "queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/logs"}


def schemas(**table: object) -> Schemas:
    return Schemas(Settings.model_validate({"tables": {"logs": table}}))


def test_a_table_that_nobody_hears_of(said: Said) -> None:
    [problem] = said(DETECT, schemas=schemas(engine="athena"), realtime=True)
    assert (problem.path, problem.line, problem.severity) == ("detections/one/detection.yml", 2, "warning")
    assert problem.code == "no-stream"
    assert problem.message.startswith("nobody hears of what lands in `logs`")
    assert problem.remedy == "give tables.logs in trapline.yml a `stream`"


@pytest.mark.parametrize(
    ("table", "realtime"),
    [({"engine": "athena"}, False), ({"engine": "athena", "stream": QUEUE}, True), ({"path": "lake/logs"}, True)],
    ids=["on schedule", "a queue", "a folder"],
)
def test_nothing_is_said_where_all_is_well(said: Said, table: dict[str, object], realtime: bool) -> None:
    assert said(DETECT, schemas=schemas(**table), realtime=realtime, schedule={"every": "1h"}) == []


def test_nothing_is_said_of_a_table_that_is_not_known(said: Said) -> None:
    assert said(DETECT, realtime=True) == []


BATCH = "def detect(records):\n    for record in records:\n        yield {}\n"


def test_a_conclusion_from_what_landed_together(said: Said) -> None:
    [problem] = said(BATCH.format('{"title": len(list(records))}'), batch=True, realtime=True)
    assert (problem.line, problem.column, problem.code) == (3, 15, "realtime-batch")
    assert '`"record": record`' in problem.remedy


@pytest.mark.parametrize("yielded", ['{"record": record, "title": "x"}', "record", "{**record}", "made(record)"])
def test_a_match_that_may_name_its_record(said: Said, yielded: str) -> None:
    script = BATCH.format(yielded) + "\n\ndef made(record):\n    return {'record': record}\n"
    assert said(script, batch=True, realtime=True) == []


def test_on_schedule_a_batch_rule_may_conclude(said: Said) -> None:
    assert said(BATCH.format('{"title": len(list(records))}'), batch=True) == []
