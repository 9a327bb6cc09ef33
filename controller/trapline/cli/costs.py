"""`trapline costs`: what was read of the tables, when, and for whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import click
from rich.filesize import decimal

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, console, print_json, print_table, say
from trapline.clock import system_clock
from trapline.deploy.ledger import Ledger
from trapline.deploy.memory import Memory
from trapline.settings import Settings, parse
from trapline.state.costs import Cost, Costs, dollars, price

_MOST = 20


@dataclass(frozen=True, slots=True)
class _Sum:
    """What several costs come to; `price` in US dollars, 0 for tables of the embedded engine."""

    names: tuple[str, ...]
    queries: int
    bytes: int
    price: float


@click.command()
@home_option
@click.option("--days", type=click.IntRange(1, 3660), default=7, show_default=True, help="Of so many days, in UTC.")
@as_json
def costs(home: Path, days: int, as_json: bool) -> None:
    """Show what was read of each table, by day and by detection, and what Athena takes for it.

    A detection's part of a scan is an equal share of it. Everything that was read counts: catching up, replays, and
    queries that failed.
    """
    database = existing_database(home)
    kept = Memory(database).settings()
    settings = parse(kept[1])[0] if kept else Settings()
    known = Costs(database).since(system_clock().astimezone(UTC).date() - timedelta(days=days - 1))
    of_tables = [cost for cost in known if not cost.identity]
    statuses = Ledger(database).statuses()
    tables = _summed(of_tables, lambda cost: (cost.table,), settings)
    by_day = _summed(of_tables, lambda cost: (cost.day.isoformat(), cost.table), settings)
    detections = _summed(
        (cost for cost in known if cost.identity),
        lambda cost: (statuses[cost.identity].name if cost.identity in statuses else cost.identity, cost.table),
        settings,
    )
    if as_json:
        print_json(
            {
                "days": days,
                "tables": [_json(one, "table") for one in tables],
                "by_day": [_json(one, "day", "table") for one in by_day],
                "detections": [_json(one, "detection", "table") for one in detections],
            }
        )
        return
    _print(("TABLE",), tables, empty=f"nothing was read within {days} days")
    if len({one.names[0] for one in by_day}) > 1:
        say("")
        _print(("DAY (UTC)", "TABLE"), sorted(by_day, key=lambda one: one.names, reverse=True), empty="")
    if detections:
        say("")
        _print(("DETECTION", "TABLE"), detections[:_MOST], empty="")
        if len(detections) > _MOST:
            console.print(f"and {len(detections) - _MOST:,} more, which read less; --json has them all", style="dim")


def _summed(known: Iterable[Cost], key: Callable[[Cost], tuple[str, ...]], settings: Settings) -> list[_Sum]:
    """The sums by key, the largest first."""
    grouped: dict[tuple[str, ...], list[Cost]] = defaultdict(list)
    for cost in known:
        grouped[key(cost)].append(cost)
    sums = [
        _Sum(
            names,
            queries=sum(cost.queries for cost in group),
            bytes=sum(cost.bytes for cost in group),
            price=sum(price(cost.table, cost.bytes, settings) for cost in group),
        )
        for names, group in grouped.items()
    ]
    return sorted(sums, key=lambda one: (-one.price, -one.bytes, one.names))


def _json(one: _Sum, *keys: str) -> dict[str, object]:
    named = dict(zip(keys, one.names, strict=True))
    return {**named, "queries": one.queries, "bytes": one.bytes, "price_usd": round(one.price, 6)}


def _print(names: Sequence[str], sums: Sequence[_Sum], *, empty: str) -> None:
    print_table(
        (*names, "QUERIES", "READ", "USD"),
        ((*one.names, f"{one.queries:,}", decimal(one.bytes), dollars(one.price)) for one in sums),
        empty=empty,
    )
