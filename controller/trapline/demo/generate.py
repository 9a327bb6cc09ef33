"""Makes CloudTrail deliveries for the demonstration: an ordinary day with attacks in it, the same for one seed."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from trapline.demo.attacks import Planted, plant
from trapline.demo.background import ordinary_event
from trapline.demo.events import ACCOUNT

__all__ = ["Planted", "deliver", "generate"]

_EVERY = timedelta(minutes=5)
"""CloudTrail delivers about so often, one file for each region."""


def generate(to: Path, *, seed: int, end: datetime, hours: int = 2, events: int = 5000) -> list[Planted]:
    """Writes `events` raw events of the hours before `end` below `to`, as CloudTrail lays out a bucket.

    What is returned says which detections have something to find. Time stands in the files as `end` has it: nothing
    here reads a clock, so that the same arguments give the same bytes.
    """
    rng = Random(seed)  # noqa: S311  a demonstration wants repeatable numbers, not secret ones
    end = end.astimezone(UTC).replace(microsecond=0)
    start = end - timedelta(hours=hours)
    planted, attack_events = plant(rng, start, end)
    if events < len(attack_events):
        raise ValueError(f"the attacks alone are {len(attack_events)} events, more than the {events} asked for")
    seconds = hours * 3600
    ordinary = [
        ordinary_event(rng, start + timedelta(seconds=rng.randrange(seconds)))
        for _ in range(events - len(attack_events))
    ]
    deliver(to, rng, [*ordinary, *attack_events])
    return planted


def deliver(to: Path, rng: Random, events: list[dict[str, Any]]) -> None:
    """Writes raw events below `to`, as CloudTrail lays out a bucket."""
    deliveries: dict[tuple[str, datetime], list[dict[str, Any]]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event["eventTime"]):
        at = datetime.fromisoformat(event["eventTime"])
        deliveries[event["awsRegion"], at - (at - datetime.min.replace(tzinfo=UTC)) % _EVERY + _EVERY].append(event)
    for (region, at), records in deliveries.items():
        folder = to / "AWSLogs" / ACCOUNT / "CloudTrail" / region / f"{at:%Y/%m/%d}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{ACCOUNT}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{rng.getrandbits(64):016x}.json.gz"
        content = json.dumps({"Records": records}, separators=(",", ":")).encode()
        (folder / name).write_bytes(gzip.compress(content, mtime=0))
