"""`trapline destinations`: where alerts go, whether that works, and an alert to try it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, console, errors, moment, print_json, print_problems, print_table, say
from trapline.clock import system_clock
from trapline.config.words import did_you_mean
from trapline.delivery.destinations import build_destinations, make_tools
from trapline.delivery.plugins import load_plugins
from trapline.delivery.trial import check as check_destination
from trapline.delivery.trial import send_test
from trapline.deploy.memory import Memory
from trapline.errors import Problem, TraplineError
from trapline.outbox.circuit import Circuit, load_circuits
from trapline.outbox.redrive import hasten
from trapline.outbox.verdict import State
from trapline.settings import Settings, parse
from trapline.state.database import Database
from trapline.state.schema import deliveries
from trapline_plugins.api import Destination


@click.group()
def destinations() -> None:
    """Destinations: the configured places that alerts are delivered to."""


@destinations.command("list")
@home_option
@as_json
def list_(home: Path, as_json: bool) -> None:
    """List the destinations with what waits for each; the exit code is 1 where one cannot be used as it is."""
    database = existing_database(home)
    with _opened(database) as there:
        counts, failing = _counts(database), _failing(database)
        types = {name: configured.type for name, configured in there.settings.destinations.items()}
    if as_json:
        rows = [
            {
                "name": name,
                "type": type_,
                "usable": name in there.usable,
                "failing_since": failing[name].failing_since if name in failing else None,
                "reason": failing[name].reason if name in failing else "",
                **{state.value: counts[name, state] for state in State},
            }
            for name, type_ in types.items()
        ]
        print_json({"destinations": rows, "problems": [str(problem) for problem in there.problems]})
    else:
        print_problems(there.problems)
        print_table(
            ("DESTINATION", "TYPE", "STATE", "WAITING", "DELIVERED", "DEAD"),
            (
                (
                    name,
                    type_,
                    _state(name, there, failing),
                    f"{counts[name, State.PENDING] + counts[name, State.UNKNOWN]:,}",
                    f"{counts[name, State.DELIVERED]:,}",
                    f"{counts[name, State.DEAD]:,}",
                )
                for name, type_ in types.items()
            ),
            empty="trapline.yml names no destinations",
        )
        for name in types:
            if name in failing:
                say(f"{name}: {failing[name].reason}; {_again(failing[name])}", to=errors)
    sys.exit(1 if there.problems else 0)


@destinations.command()
@home_option
@click.argument("names", metavar="[NAME]...", nargs=-1)
@as_json
def check(home: Path, names: Sequence[str], as_json: bool) -> None:
    """Ask the destinations, all or those named, whether they could deliver. Nothing is sent that anybody would see.

    The exit code is 1 where one could not.
    """
    with _opened(existing_database(home)) as there:
        wrong = {name: check_destination(there.usable[name]) for name in there.chosen(names)}
    unusable = [problem for problem in there.problems if not names]
    if as_json:
        print_json({"destinations": wrong, "problems": [str(problem) for problem in unusable]})
    else:
        print_problems(unusable)
        for name, trouble in wrong.items():
            say(f"{name}: {trouble or 'ok'}", to=errors if trouble else console)
    sys.exit(1 if unusable or any(wrong.values()) else 0)


@destinations.command()
@home_option
@click.argument("name")
@as_json
def test(home: Path, name: str, as_json: bool) -> None:
    """Deliver an alert to NAME that is marked as a test, and resolve it again. Each is sent once, past the outbox.

    The exit code is 1 where it does not arrive.
    """
    database = existing_database(home)
    with _opened(database) as there:
        [chosen] = there.chosen([name])
        tried = send_test(there.usable[chosen], now=system_clock())
    if all(one.delivered for one in tried):  # then nothing that waits for it need wait any longer
        with database.transaction() as connection:
            hasten(connection, [chosen], now=system_clock())
    if as_json:
        print_json(
            [{"kind": one.kind, "outcome": type(one.outcome).__name__.lower(), **_said(one.outcome)} for one in tried]
        )
    for one in () if as_json else tried:
        said = _said(one.outcome)
        more = said.get("ref") or said.get("reason") or ""
        what = type(one.outcome).__name__.lower()
        say(f"{one.kind}: {what}{f', {more}' if more else ''}", to=console if one.delivered else errors)
    sys.exit(0 if all(one.delivered for one in tried) else 1)


@dataclass(frozen=True, slots=True)
class _There:
    """What trapline.yml names, what of it can be used, and why the others cannot."""

    settings: Settings
    usable: Mapping[str, Destination[Any]]
    problems: Sequence[Problem]

    def chosen(self, names: Sequence[str]) -> list[str]:
        """The names that are given, or all that can be used. Raises TraplineError for one that cannot be."""
        for name in names:
            if name not in self.settings.destinations:
                near = did_you_mean(name, self.settings.destinations)
                raise TraplineError(
                    f"there is no destination {name!r} in trapline.yml",
                    remedy=f"{near} `trapline destinations list` shows those there are".strip(),
                )
            if name not in self.usable:
                print_problems(self.problems)
                raise TraplineError(f"the destination {name!r} cannot be used as it is configured")
        return list(names or self.usable)


@contextmanager
def _opened(database: Database) -> Iterator[_There]:
    kept = Memory(database).settings()
    if kept is None:
        raise TraplineError(
            "nothing was ever deployed here, so that no destination is known",
            remedy="run `trapline controller --once` first",
        )
    settings = parse(kept[1])[0]
    tools = make_tools(system_clock, say)
    with tools.http:
        usable, problems = build_destinations(settings, load_plugins(), env=os.environ, tools=tools)
        yield _There(settings, usable, problems)


def _counts(database: Database) -> Counter[tuple[str, State]]:
    query = sa.select(deliveries.c.destination, deliveries.c.state, sa.func.count())
    with database.reading() as connection:
        rows = connection.execute(query.group_by(deliveries.c.destination, deliveries.c.state)).all()
    return Counter({(name, State(state)): count for name, state, count in rows})


def _failing(database: Database) -> dict[str, Circuit]:
    with database.reading() as connection:
        return load_circuits(connection)


def _state(name: str, there: _There, failing: Mapping[str, Circuit]) -> str:
    if name not in there.usable:
        return "cannot be used"
    return f"failing since {moment(failing[name].failing_since)}" if name in failing else "ok"


def _again(circuit: Circuit) -> str:
    if circuit.holds(system_clock()):
        return f"nothing is sent before {moment(circuit.held_until)} UTC"
    return "it is tried again"


def _said(outcome: object) -> dict[str, str]:
    """The reference or the reason, whichever an outcome has."""
    return {name: str(getattr(outcome, name)) for name in ("ref", "reason") if getattr(outcome, name, "")}
