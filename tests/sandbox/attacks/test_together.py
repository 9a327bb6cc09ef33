"""All attacks at once in one home, beside honest detections: those find what they look for in the same tick."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.playground import MATCH_BAD, Playground
from tests.sandbox.attacks.catalogue import MATCH, NOT_STOPPED, NOTHING, Attack, attacks
from tests.sandbox.attacks.ground import Ground
from trapline.controller import Controller
from trapline.run.recorder import TickReport
from trapline.state.schema import alerts, deliveries, events, failures, logs, matches

LIMITS = {"memory": "160MB", "record_timeout": 10, "batch_timeout": 30, "pids": 32}
SHORT = {"record_timeout": 0.7, "batch_timeout": 4}
"""For those that are to be stopped by their time: a slow machine must not stop the others by it."""
FIRST, LAST = "a_first", "z_last"
OBEYED = {"\x1b", "\x07", "\x08", "\x00", "\r", "\x9b", "\u202e", "\u2066", "\u2028"}


@dataclass(frozen=True)
class Seen:
    """What one reconcile and one tick left behind."""

    deployed: dict[str, str]
    report: TickReport
    outcomes: dict[str, set[str]]
    matched: dict[str, int]
    said: str


@pytest.mark.parametrize(
    "sandbox",
    [
        "process",
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
def test_the_honest_ones_are_unharmed(
    sandbox: str, tmp_path: Path, ground: Ground, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    base_image = request.getfixturevalue("docker_base_image") if sandbox == "docker" else None
    if sandbox == "bubblewrap":
        request.getfixturevalue("bubblewrap")
    hostile = [one for one in attacks() if one.expected(sandbox) != NOT_STOPPED and not one.requirements]
    if sandbox == "docker":  # each takes a second to build and to start; alone they have all been tried
        hostile = list({(one.area, one.outcome, one.when): one for one in hostile}.values())
    playground = _settled(tmp_path, hostile, ground, sandbox)
    with ExitStack() as stack, caplog.at_level(logging.INFO, "trapline"):
        controller = stack.enter_context(playground.controller(sandbox=sandbox, base_image=base_image))
        stack.callback(controller.remove_builds)
        seen = _one_round(playground, controller, caplog)
    assert seen.report.errors.keys().isdisjoint({FIRST, LAST}), seen.report.errors
    assert (seen.matched.pop(FIRST), seen.matched.pop(LAST)) == (1, 1)
    complaints = "\n".join(line for attack in hostile for line in _complaints(attack, sandbox, seen))
    assert not complaints, complaints
    assert seen.matched == {}
    assert ground.breaches(seen.said) == []
    assert {character for line in playground.said for character in line} & OBEYED == set()


def _settled(root: Path, hostile: Sequence[Attack], ground: Ground, sandbox: str) -> Playground:
    """A home with two honest detections, the hostile ones, and one record."""
    playground = Playground(root)
    playground.settings(sandbox=LIMITS)
    playground.detection(FIRST, f"{MATCH_BAD}  # {ground.secret}\n")
    playground.batch_detection(LAST, f'def detect(records):\n    yield {{"record": records[0]}}  # {ground.secret}\n')
    for attack in hostile:
        limits = SHORT if attack.expected(sandbox) == "timeout" else {}
        if attack.mode == "batch":
            playground.batch_detection(_name(attack), "", "".join(f"limits.{key} = {limits[key]}\n" for key in limits))
        else:
            playground.detection(_name(attack), limits=limits)
        for file, (content, _) in attack.files.items():
            playground.write(f"detections/{_name(attack)}/{file}", content.decode())
    playground.commit()
    playground.records(1, known={**ground.known, "builds": str(playground.home)})
    return playground


def _one_round(playground: Playground, controller: Controller, caplog: pytest.LogCaptureFixture) -> Seen:
    deployed = {outcome.name: f"{outcome.action} {outcome.message}" for outcome in controller.reconcile().outcomes}
    playground.at(6)
    report = controller.tick()
    controller.deliver()
    outcomes, matched = defaultdict(set), defaultdict(int)
    for failure in playground.rows(failures):
        outcomes[failure["identity"]] |= {failure["outcome"]} if failure["function"] in ("detect", "") else set()
    for match in playground.rows(matches):
        matched[match["identity"]] += 1
    tables = (matches, failures, logs, alerts, events, deliveries)
    kept = [_without_record(row) for table in tables for row in playground.rows(table)]
    said = "\n".join([caplog.text, *playground.said, repr(report), *map(repr, kept)])
    return Seen(deployed, report, dict(outcomes), dict(matched), said)


def _complaints(attack: Attack, sandbox: str, seen: Seen) -> list[str]:
    """In what it did not end as it was expected to."""
    # There is but one batch here.
    name, expected = _name(attack), attack.expected(sandbox) if attack.batches == 1 else NOTHING
    if attack.when == "loading":
        return [] if seen.deployed[name].startswith("stalled") else [f"{attack} was {seen.deployed[name]}"]
    if not seen.deployed[name].startswith("deployed"):
        return [f"{attack} was {seen.deployed[name]}"]
    found = set(seen.outcomes.get(name, set()))
    if seen.matched.pop(name, 0):
        found.add(MATCH)
    if error := seen.report.errors.get(name):
        found.add(expected if attack.whole and attack.error in error else f"an error: {error}")
    return [] if found == ({expected} - {NOTHING}) else [f"{attack} ended in {found or NOTHING}, not {expected}"]


def _name(attack: Attack) -> str:
    return attack.name.replace("/", "_")


def _without_record(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the record that it is about, which the attack did not write."""
    return {name: value for name, value in row.items() if name not in ("record", "payload")}
