"""`trapline status`: the repository, and every detection with how it stands against git and how it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import age, as_json, console, counted, errors, moment, print_json, print_table, say, short
from trapline.cli.streams import OK, stream_line, stream_rows
from trapline.clock import system_clock
from trapline.deploy.conditions import conditions
from trapline.deploy.ledger import Deployment, Ledger, Status, find
from trapline.deploy.memory import Memory, Source
from trapline.deploy.overrides import Kind, Override, Overrides
from trapline.outbox.circuit import load_circuits
from trapline.outbox.queue import waiting
from trapline.state.database import Database
from trapline.state.schema import alerts, checkpoints, deliveries, failures, matches


@click.command()
@home_option
@click.argument("name", required=False)
@as_json
def status(home: Path, name: str | None, as_json: bool) -> None:
    """Show the repository and every detection, or the detection NAME in full: sync with git, health, version, age."""
    database = existing_database(home)
    ledger, memory = Ledger(database), Memory(database)
    source = memory.source()
    live = ledger.deployments()
    figures, landing = _figures(database), stream_rows(database, now=system_clock())
    decided = [one for kind in Kind for one in Overrides(database).all(kind).values()]
    known = ledger.statuses()
    if name:
        found = find(ledger, name)
        known = {found.identity: found}
    rows = []
    for identity, standing in known.items():
        held = [override for override in decided if override.identity == identity]
        row = _row(standing, live.get(identity), held, figures)
        rows.append({**row, "conditions": [asdict(one) for one in conditions(standing, live.get(identity), held)]})
    if as_json:
        print_json(
            {
                "home": str(home),
                "revision": source.revision or None,
                "source": asdict(source),
                "sandbox": memory.backend() or None,
                "problems": memory.problems(),
                "detections": rows,
                "streams": landing,
                "deliveries": figures["deliveries"],
                "destinations": [
                    {"name": name, "failing_since": one.failing_since, "reason": one.reason, "waiting": count}
                    for name, (one, count) in figures["failing"].items()
                ],
            }
        )
        return
    _print_source(source, home)
    if memory.backend() == "process":
        say("sandbox process, which is NO security boundary: run only rules that you would run yourself", to=errors)
    for problem in memory.problems():
        if not source.error or source.error not in problem:
            say(f"the last reconcile: {problem}", to=errors)
    if name:
        _print_one(rows[0])
    else:
        _print_all(rows, figures, landing)


def _row(
    standing: Status, live: Deployment | None, held: Collection[Override], figures: Mapping[str, Any]
) -> dict[str, Any]:
    quarantined = next((override for override in held if override.kind is Kind.QUARANTINED), None)
    identity, seen_to = standing.identity, figures["seen_to"].get(standing.identity)
    return {
        "name": standing.name,
        "identity": identity,
        "path": standing.path,
        "sync": standing.sync.value,
        "message": standing.message,
        "health": "quarantined" if quarantined else _health(live, seen_to),
        "health_message": str(quarantined or (live.health_message if live else "")),
        "failing_since": live.failing_since if live else None,
        "revision": live.revision if live else standing.revision,
        "version": live.deploy_digest if live else None,
        "digest": live.build_digest if live else None,
        "deployed_at": live.deployed_at if live else None,
        "realtime": identity in figures["streamed"],
        "seen_to": seen_to,
        "matches": figures["matches"].get(identity, 0),
        "alerts": figures["alerts"].get(identity, 0),
        "failures": figures["failures"].get(identity, 0),
    }


def _print_source(source: Source, home: Path) -> None:
    say(f"revision {short(source.revision or '-')}  seen {_ago(source.reached_at)}  home {home}")
    if source.error:
        say(f"the repository, since {moment(source.failing_since)}: {source.error}", to=errors)


def _print_one(row: Mapping[str, Any]) -> None:
    say(f"{row['name']}  {row['path']}  {row['matches']} matches, {row['alerts']} alerts, {row['failures']} failures")
    if row["realtime"]:
        say(f"in real time; swept up to {moment(row['seen_to'])} UTC")
    print_table(
        ("CONDITION", "HOLDS", "REASON", "SINCE (UTC)", ""),
        (
            (one["type"], "yes" if one["holds"] else "no", one["reason"], moment(one["since"]), one["message"])
            for one in row["conditions"]
        ),
        empty="",
    )


def _print_all(rows: list[dict[str, Any]], figures: Mapping[str, Any], landing: list[dict[str, Any]]) -> None:
    print_table(
        ("DETECTION", "SYNC", "HEALTH", "VERSION", "REVISION", "AGE", "SEEN TO (UTC)", "MATCHES", "ALERTS", "FAILURES"),
        (
            (
                row["name"],
                row["sync"],
                row["health"],
                short(row["version"] or "-"),
                short(row["revision"] or "-"),
                _ago(row["deployed_at"]),
                "real time" if row["realtime"] else moment(row["seen_to"]),
                *(str(row[name]) for name in ("matches", "alerts", "failures")),
            )
            for row in rows
        ),
        empty="no detections yet",
    )
    for row in rows:
        for message in (row["message"], row["health_message"]):
            if message:
                say(f"{row['name']}: {message}")
    for stream in landing:
        say(stream_line(stream), to=console if stream["state"] == OK else errors)
    told = ", ".join(f"{count} {state}" for state, count in sorted(figures["deliveries"].items()))
    say(f"deliveries: {told or 'none'}")
    for name, (circuit, count) in figures["failing"].items():
        since = f"failing since {moment(circuit.failing_since)}, with {counted(count, 'delivery')} waiting"
        say(f"destination {name}: {since}: {circuit.reason}", to=errors)


def _ago(at: datetime | None) -> str:
    return age(system_clock() - at) if at else "-"


def _health(live: Deployment | None, seen_to: datetime | None) -> str:
    if live is None or not (seen_to or live.health_message):
        return "-"
    return "failing" if live.health_message else "healthy"


def _figures(database: Database) -> dict[str, dict[str, Any]]:
    def by(
        column: sa.Column[Any],
        where: sa.ColumnElement[bool] = sa.true(),  # noqa: B008
        having: sa.ColumnElement[bool] = sa.true(),  # noqa: B008
    ) -> dict[str, Any]:
        query = sa.select(column, sa.func.count()).where(where).group_by(column).having(having)
        return {row[0]: row[1] for row in connection.execute(query)}

    with database.reading() as connection:
        return {
            "matches": by(matches.c.identity),
            "alerts": by(alerts.c.identity),
            "failures": by(failures.c.identity, failures.c.settled_at.is_(None)),
            "deliveries": by(deliveries.c.state),
            "failing": {
                name: (circuit, count)
                for name, circuit in sorted(load_circuits(connection).items())
                if (count := waiting(connection, name))
            },
            "streamed": by(checkpoints.c.identity, having=sa.func.count() == sa.func.count(checkpoints.c.streamed)),
            "seen_to": {
                row[0]: row[1]
                for row in connection.execute(
                    sa.select(
                        checkpoints.c.identity, sa.func.min(checkpoints.c.position, type_=checkpoints.c.position.type)
                    ).group_by(checkpoints.c.identity)
                )
            },
        }
