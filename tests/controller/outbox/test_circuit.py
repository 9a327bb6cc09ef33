"""The circuit of a destination: when it opens, how long it holds, and what closes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from trapline.outbox.circuit import (
    FAILURES,
    LONGEST_WAIT,
    Circuit,
    after,
    load_circuits,
    release,
    room,
    save_circuits,
)
from trapline.state.database import Database
from trapline_plugins.api import Delivered, Outcome, Rejected, Retry, Unknown
from trapline_plugins.samples import NOW


def outcomes(*said: Outcome, known: Circuit | None = None, alone: bool = False) -> Circuit | None:
    """The circuit after these, a minute apart from each other: of one delivery each, or all of one."""
    circuit = known
    for number, outcome in enumerate(said):
        now = NOW + timedelta(minutes=number)
        id = "d" if alone else f"d{number}"
        circuit = after(circuit, outcome, destination="hook", delivery_id=id, now=now, random=lambda: 1.0)
    return circuit


DOWN = Retry("down")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_home(tmp_path)
    yield database
    database.close()


def test_what_works_has_no_circuit_and_all_its_room() -> None:
    assert outcomes(Delivered()) is None
    assert room(None, 4, NOW) == 4


def test_one_that_failed_is_sent_one_at_a_time_until_something_arrives() -> None:
    circuit = outcomes(DOWN)
    assert circuit and (circuit.failures, circuit.failing_since, circuit.is_open) == (1, NOW, False)
    assert room(circuit, 4, NOW) == 1
    assert outcomes(Delivered(), known=circuit) is None


@pytest.mark.parametrize("failure", [DOWN, Unknown("lost"), Rejected("the token has expired")])
def test_it_opens_after_so_many_in_a_row_and_then_lets_one_probe_through(failure: Outcome) -> None:
    circuit = outcomes(*[failure] * (FAILURES - 1))
    assert circuit and not circuit.is_open
    circuit = outcomes(*[failure] * FAILURES)
    assert circuit and circuit.is_open and circuit.held_until
    assert room(circuit, 4, circuit.held_until - timedelta(seconds=1)) == 0
    assert room(circuit, 4, circuit.held_until) == 1, "a probe"
    at = circuit.held_until
    assert after(circuit, Delivered(), destination="hook", delivery_id="x", now=at, random=lambda: 1.0) is None


def test_each_probe_that_fails_doubles_the_wait_up_to_a_limit() -> None:
    circuit, waits = outcomes(*[DOWN] * FAILURES), []
    for _ in range(9):
        assert circuit and circuit.held_until
        waits.append((circuit.held_until - circuit.failed_at).total_seconds())
        now = circuit.held_until
        circuit = after(circuit, DOWN, destination="hook", delivery_id="d", now=now, random=lambda: 1.0)
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_waits_are_jittered_between_half_and_all() -> None:
    circuit = outcomes(*[DOWN] * (FAILURES - 1))
    opened = after(circuit, DOWN, destination="hook", delivery_id="x", now=NOW, random=lambda: 0.0)
    assert opened and opened.held_until == NOW + timedelta(seconds=5)


def test_one_delivery_that_fails_again_and_again_opens_nothing() -> None:
    circuit = outcomes(*[DOWN] * 50, alone=True)
    assert circuit and (circuit.failures, circuit.is_open) == (1, False)
    assert circuit.failed_at - circuit.failing_since == timedelta(minutes=49)


def test_the_wait_that_it_asks_for_holds_for_all() -> None:
    busy = Retry("busy", after=timedelta(seconds=90))
    circuit = outcomes(busy)
    assert circuit and not circuit.is_open
    assert room(circuit, 4, NOW + timedelta(seconds=89)) == 0
    assert room(circuit, 4, NOW + timedelta(seconds=90)) == 1
    beside = after(circuit, Delivered(), destination="hook", delivery_id="x", now=NOW, random=lambda: 1.0)
    assert beside == circuit, "it was sent before the other one was told to wait"
    longer = after(circuit, DOWN, destination="hook", delivery_id="x", now=NOW, random=lambda: 1.0)
    assert longer and longer.held_until == circuit.held_until


def test_no_hold_outlasts_a_day_nor_a_clock_that_was_wrong() -> None:
    circuit = outcomes(Retry("busy", after=timedelta(days=9999)))
    assert circuit and circuit.held_until == NOW + timedelta(days=1)
    assert circuit.holds(NOW)
    assert not circuit.holds(NOW - timedelta(days=365)), "the clock was a year ahead when it was told to wait"


def test_it_outlives_a_restart_until_it_is_closed_or_released(database: Database) -> None:
    opened, other = outcomes(*[DOWN] * FAILURES), outcomes(Retry("busy", after=LONGEST_WAIT))
    assert opened and other
    other = replace(other, destination="chat")
    with database.transaction() as connection:
        save_circuits(connection, {"hook": opened, "chat": other})
        save_circuits(connection, {})
        assert load_circuits(connection) == {"hook": opened, "chat": other}
        release(connection, ["chat"])
        assert not load_circuits(connection)["chat"].holds(NOW)
        save_circuits(connection, {"hook": None})
        assert list(load_circuits(connection)) == ["chat"]
