"""`trapline status`: every detection with how it stands against git, and how it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, moment, print_json, print_table, say, short
from trapline.deploy.ledger import Ledger
from trapline.state.database import Database
from trapline.state.schema import alerts, checkpoints, deliveries, failures, matches


@click.command()
@home_option
@as_json
def status(home: Path, as_json: bool) -> None:
    """Show every detection: sync with git, health, version, and how far it has seen."""
    database = existing_database(home)
    ledger = Ledger(database)
    live = ledger.deployments()
    figures = _figures(database)
    rows: list[dict[str, Any]] = []
    for identity, known in ledger.statuses().items():
        deployment = live.get(identity)
        rows.append(
            {
                "name": known.name,
                "identity": identity,
                "path": known.path,
                "sync": known.sync.value,
                "message": known.message,
                "health": _health(deployment.health_message if deployment else None),
                "health_message": deployment.health_message if deployment else "",
                "failing_since": deployment.failing_since if deployment else None,
                "revision": deployment.revision if deployment else known.revision,
                "digest": deployment.build_digest if deployment else None,
                "deployed_at": deployment.deployed_at if deployment else None,
                "seen_to": figures["seen_to"].get(identity),
                "matches": figures["matches"].get(identity, 0),
                "alerts": figures["alerts"].get(identity, 0),
                "failures": figures["failures"].get(identity, 0),
            }
        )
    settings = ledger.settings()
    if as_json:
        print_json(
            {
                "home": str(home),
                "revision": settings[0] if settings else None,
                "detections": rows,
                "deliveries": figures["deliveries"],
            }
        )
        return
    say(f"revision {short(settings[0]) if settings else '-'}  home {home}")
    print_table(
        ("DETECTION", "SYNC", "HEALTH", "DIGEST", "SEEN TO (UTC)", "MATCHES", "ALERTS", "FAILURES"),
        (
            (
                row["name"],
                row["sync"],
                row["health"],
                short(row["digest"] or "-"),
                moment(row["seen_to"]),
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
    told = ", ".join(f"{count} {state}" for state, count in sorted(figures["deliveries"].items()))
    say(f"deliveries: {told or 'none'}")


def _health(message: str | None) -> str:
    if message is None:
        return "-"
    return "failing" if message else "healthy"


def _figures(database: Database) -> dict[str, dict[str, Any]]:
    def counted(column: sa.Column[Any]) -> dict[str, Any]:
        return {row[0]: row[1] for row in connection.execute(sa.select(column, sa.func.count()).group_by(column))}

    with database.reading() as connection:
        return {
            "matches": counted(matches.c.identity),
            "alerts": counted(alerts.c.identity),
            "failures": counted(failures.c.identity),
            "deliveries": counted(deliveries.c.state),
            "seen_to": {
                row[0]: row[1]
                for row in connection.execute(
                    sa.select(
                        checkpoints.c.identity, sa.func.min(checkpoints.c.position, type_=checkpoints.c.position.type)
                    ).group_by(checkpoints.c.identity)
                )
            },
        }
