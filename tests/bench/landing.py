"""Real time: from an object's creation to the arrival of its alert, and how many records a second go that way."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from math import ceil
from typing import Any

from tests.bench import rules
from tests.bench.alerts_receiver import receiving
from tests.bench.baselines import Script, in_process
from tests.bench.ground import until
from tests.bench.lake import Event
from tests.bench.landing_site import RECORDS, Landing, delivery, landing
from tests.bench.measure import Figures, Result, Way, timed
from trapline.state.schema import landed, matches
from trapline.tables.cloudtrail import normalise

_RATES = (
    ("1 object a minute: 5, each of which comes 12 s after the other", 12.0, 5),
    ("50 objects a minute", 1.2, 75),
    ("500 objects a minute", 0.12, 500),
)
_SHARES = (50, 95, 99)


def _detections(*, quick: bool) -> int:
    return 2 if quick else 20


def measure_latency(*, quick: bool) -> Figures:
    """One record of each object is an alert of its own."""
    created: list[dict[str, float]] = []
    detections = _detections(quick=quick)
    with receiving(1) as receiver, landing(receiver.urls[0], detections=detections) as site:
        for rate, (_, pause, objects) in enumerate(_RATES):
            created.append(
                _created(site, f"{rate}", pause=min(pause, 0.3) if quick else pause, objects=2 if quick else objects)
            )
        about = site.delivered()
    seen = {about[id]: at for id, at in receiver.seen.items() if id in about}
    rows = []
    for (what, _, _), some in zip(_RATES, created, strict=True):
        taken = sorted(seen[who] - at for who, at in some.items())
        shown = [f"{taken[ceil(share / 100 * len(taken)) - 1]:.2f} s" for share in _SHARES]
        rows.append((what, [f"{len(taken)}", *shown, "p95 < 1.5 s" if what.startswith("50 ") else ""]))
    note = (
        f"{RECORDS} records in each object, {detections} detections, Docker. The pause is the default, half a second."
    )
    columns = ("objects", *(f"p{share}" for share in _SHARES), "aim")
    return Figures("From an object's creation to the arrival of its alert, real time", columns, rows, note)


def measure_rate(*, quick: bool) -> Result:
    """A burst, from its notifications until the last object is done."""
    objects, runs = (4, 1) if quick else (300, 3)
    detections = _detections(quick=quick)
    scripts = [Script.of(source) for source in rules.understood(detections)]
    bodies = [delivery(f"user {number}") for number in range(objects)]
    expected = len(in_process(_decoded(bodies), scripts))
    with ExitStack() as ends:
        receiver = ends.enter_context(receiving(1))
        site = ends.enter_context(landing(receiver.urls[0], detections=detections))
        runs_so_far = count()
        told: list[Any] = []

        def put() -> None:
            run = next(runs_so_far)
            told[:] = [site.put(f"{run}/{at}.json.gz", delivery(f"user {at}")) for at in range(objects)]

        def land() -> None:
            wanted, found = site.count(landed) + objects, site.count(matches) + expected
            site.tell(told)
            until(lambda: site.count(landed) >= wanted, every=0.02, within=600)
            assert site.count(matches) == found

        ways = [
            Way(
                what=f"gunzip, json.loads, dicts of the table's columns, {detections} rules in-process",
                count=objects * RECORDS,
                work=lambda: in_process(_decoded(bodies), scripts),
                letter="A",
            ),
            Way(
                what=f"s3-events to recorded matches, {detections} detections, Docker",
                count=objects * RECORDS,
                before=put,
                work=land,
                against="A",
            ),
        ]
        result = timed(ways, runs=runs)
    note = "A has the objects in memory. The other fetches them over a socket, and records and tells what it finds."
    return Result(f"Real time: {objects} objects of {RECORDS} records at once", "records", result, note)


def _created(site: Landing, rate: str, *, pause: float, objects: int) -> dict[str, float]:
    """So many objects, at random moments with this pause in the mean; when each was there, by who did something."""
    created: dict[str, float] = {}
    due = time.monotonic()
    for number in range(objects):
        who = f"user {rate} {number}"
        body = delivery(who)
        due += random.uniform(0, 2 * pause) if pause < 10 else pause
        time.sleep(max(0.0, due - time.monotonic()))
        told = site.put(f"{rate}/{number}.json.gz", body)
        created[who] = time.monotonic()
        site.tell([told])
    until(lambda: created.keys() <= set(site.delivered().values()), every=0.2)
    return created


def _decoded(bodies: Sequence[bytes]) -> Iterator[Event]:
    for body in bodies:
        for event in json.loads(gzip.decompress(body))["Records"]:
            yield Event(normalise(event))
