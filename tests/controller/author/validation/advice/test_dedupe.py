"""Dedupe keys that cannot vary, and such that always do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trapline.errors import Problem

Said = Callable[..., list[Problem]]
DETECT = 'def detect(record):\n    return record.deepget("event.action") == "x"\n\n\ndef dedupe(record):\n'


@pytest.mark.parametrize(
    "body",
    [
        'return "all"',
        'if record.deepget("user.name"):\n        return "all"\n    return "all"',
        'return f"a{1 + 2}"',
    ],
)
def test_a_key_that_cannot_vary(said: Said, body: str) -> None:
    [problem] = said(f"{DETECT}    {body}\n", alert={"deduplication_window_minutes": 15})
    assert (problem.severity, problem.code) == ("warning", "constant-dedupe")
    assert problem.message.endswith("so that all matches within 15 minutes become one alert")


@pytest.mark.parametrize(
    "body",
    [
        'return record.deepget("user.name") or "unknown"',
        'return "admin" if record.deepget("user.name") == "root" else "user"',
        'if record.deepget("user.name") == "root":\n        return "admin"\n    return "user"',
        "return None",
        'return ""',
        "return KEY",
        "return make()",
        "return f\"{record['ts']:%Y-%m-%d}\"",
        "return f\"{record.deepget('user.name', 'x')} {record.deepget('event.id').count('x')}\"",
        'if record.deepget("a"):\n        return record.deepget("a")\n    return record.deepget("event.id")',
    ],
)
def test_keys_that_are_fine(said: Said, body: str) -> None:
    assert said(f"KEY = 'a'\n\n\ndef make():\n    return 1\n\n\n{DETECT}    {body}\n") == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('return record.deepget("event.id")', "event.id"),
        ('return str(record["ts"])', "ts"),
        ("return f\"{record.deepget('user.name', 'x')}-{record.deepget('event.id')}\"", "event.id"),
        ('return "id " + record.deepget("aws.cloudtrail.event_id", "")', "aws.cloudtrail.event_id"),
        ('key = record["event"]["id"] or "x"\n    return key', "event.id"),
    ],
)
def test_a_key_that_is_another_each_time(said: Said, body: str, path: str) -> None:
    [problem] = said(f"{DETECT}    {body}\n")
    assert problem.code == "unique-dedupe"
    assert f"holds {path}, which is another for every record, so that every match is an alert" in problem.message
    [problem] = said(f"{DETECT}    {body}\n", alert={"threshold": 5})
    assert problem.message.endswith("so that the threshold of 5 matches is never reached")


def test_keys_of_a_batch(said: Said) -> None:
    script = "def detect(records):\n    for r in records:\n        yield {'record': r, 'dedupe': %s}\n"
    assert [one.code for one in said(script % "'all'", batch=True)] == ["constant-dedupe"]
    assert [one.code for one in said(script % "r['event']['id']", batch=True)] == ["unique-dedupe"]
    assert said(script % "r.deepget('user.name') or 'unknown'", batch=True) == []
