"""`trapline streams`: what lands in the tables, how far behind it is seen, and what no records could be made of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from trapline.cli.options import controller_options, existing_database, home_option, in_use
from trapline.cli.output import age, as_json, counted, errors, moment, print_json, print_table, progress, say
from trapline.clock import system_clock
from trapline.options import Options
from trapline.state.database import Database
from trapline.state.streams import SetAside, missed, read_set_aside, read_streams

OK = "ok"
"""The state of a stream without trouble."""

_SILENT = timedelta(minutes=1)
"""A listener says how it gets on every few seconds, but for while it is at one large object."""


@click.group()
def streams() -> None:
    """Streams: what lands in the tables of detections in real time."""


@streams.command("list")
@home_option
@as_json
def list_(home: Path, as_json: bool) -> None:
    """List the streams that are listened to, and how each gets on.

    LAG is from landing to being recorded, the last time; WAITING is what is at the source, and how old the oldest of
    it is. MISSED counts the matches that the stream should have brought and a sweep of the table found first.
    """
    rows = stream_rows(existing_database(home), now=system_clock())
    if as_json:
        print_json(rows)
        return
    print_table(
        ("TABLE", "KIND", "STATE", "LAG", "RATE", "RECORDS", "WAITING", "SINCE", "MISSED"),
        (
            (
                row["table"],
                row["kind"],
                "down" if row["down_since"] else OK,
                lag_text(row["lag_seconds"]),
                f"{row['per_second']:,.1f}/s",
                _rounded(row["records"]),
                _waiting(row),
                age(system_clock() - row["since"]),
                str(row["missed"]),
            )
            for row in rows
        ),
        empty="no stream was listened to yet: that takes a detection with `realtime: true` on a table with a stream",
    )
    for row in rows:
        if row["state"] != OK:
            say(f"{row['table']}: {_state(row)}", to=errors)


@streams.command()
@home_option
@click.argument("table", required=False)
@as_json
def spoiled(home: Path, table: str | None, as_json: bool) -> None:
    """List what is set aside, of TABLE or of all: objects and messages that no records could be made of.

    One that is too large is left to the sweep, which reads it from the table.
    """
    with existing_database(home).reading() as connection:
        aside = read_set_aside(connection, table)
    if as_json:
        print_json([asdict(one) for one in aside])
    else:
        _print_aside(aside)


@streams.command()
@controller_options
@click.argument("table", required=False)
@click.option("--key", help="Only what is set aside under this key.")
@as_json
def replay(options: Options, table: str | None, key: str | None, as_json: bool) -> None:
    """Try again what is set aside, of TABLE or of all.

    What records can be made of now goes past the detections in real time, as if it had just landed, and is settled. The
    exit code is 1 where something is still set aside, or a detection fails on it.
    """
    from trapline.controller import Controller  # heavy, and the commands that only look do without

    with progress("trying again") as on_progress, Controller(in_use(options), on_progress=on_progress) as running:
        result = running.replay_set_aside(table, key)
        wrong = {running.name_of(about): reason for about, reason in result.errors.items()}
    report = result.report
    if as_json:
        print_json(
            {
                "tried": result.tried,
                "settled": result.settled,
                "matches": report.matches,
                "opened": report.opened,
                "updated": report.updated,
                "left": [asdict(one) for one in result.left],
                "errors": wrong,
            }
        )
    else:
        say(
            f"settled {result.settled} of {result.tried} set aside: {counted(report.matches, 'match')}, "
            f"{counted(report.opened, 'alert')} opened, {report.updated} updated"
        )
        if result.left:
            _print_aside(result.left)
        for about, reason in wrong.items():
            say(f"{about}: {reason}", to=errors)
    sys.exit(1 if result.left or wrong else 0)


def stream_rows(database: Database, *, now: datetime) -> list[dict[str, Any]]:
    """Every stream as programs are told of it. `state` is `ok`, or its trouble, and `down_since` when it last got on,
    or began; `missed` counts the matches of its table that it should have brought."""
    with database.reading() as connection:
        found, late = read_streams(connection), missed(connection)
    rows = []
    for one in found:
        silent = now - one.told_at
        state = one.trouble or (f"nobody has listened for {age(silent)}" if silent > _SILENT else OK)
        row = {name: value for name, value in asdict(one).items() if name not in ("positions", "trouble")}
        down_since = None if state == OK else one.told_at
        row["per_second"] = one.per_second if state == OK else 0.0
        rows.append({**row, "state": state, "down_since": down_since, "missed": late.get(one.table, 0)})
    return rows


def stream_line(row: Mapping[str, Any]) -> str:
    """One of these rows in a line for people."""
    told = [_state(row)]
    if row["state"] == OK:
        told += [f"lag {lag_text(row['lag_seconds'])}", f"{row['per_second']:,.1f} records/s"]
    if (waiting := _waiting(row)) not in ("-", "0"):
        told.append(f"waiting {waiting}")
    if row["missed"]:
        told.append(f"stream missed {row['missed']:,}")
    return f"stream {row['table']}: {', '.join(told)}"


def _state(row: Mapping[str, Any]) -> str:
    return f"down since {moment(row['down_since'])} UTC: {row['state']}" if row["down_since"] else OK


def lag_text(seconds: float | None) -> str:
    """`0.4s`, `12m`; `-` where nothing has landed yet."""
    if seconds is None:
        return "-"
    return f"{max(seconds, 0):.1f}s" if seconds < 60 else age(timedelta(seconds=seconds))


def _rounded(count: int) -> str:
    return f"{count:,}" if count < 1_000_000 else f"{count / 1_000_000:,.1f}M"


def _waiting(row: Mapping[str, Any]) -> str:
    told = [] if row["waiting"] is None else [f"{row['waiting']:,}"]
    if row["oldest"]:
        told.append(age(system_clock() - row["oldest"]))
    return ", ".join(told) or "-"


def _print_aside(aside: list[SetAside]) -> None:
    """Keys are long, and are to be copied."""
    for one in aside:
        say(f"{one.table}, landed {moment(one.landed_at)} UTC: {one.reason}")
        say(f"  {one.key}")
    if not aside:
        say("nothing is set aside")
