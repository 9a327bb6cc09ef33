"""`python -m tests.bench`: prints the benchmarks, each against baselines that were measured in the same run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import click
from rich.console import Console

from tests.bench import (
    alerts_delivery,
    alerts_record,
    author,
    bills,
    cold,
    growth,
    landing,
    loading,
    memory,
    pushes,
    reconcile,
    sandbox,
    speed,
    where,
)
from tests.bench.measure import Figures, Result, Sizes, Skipped, table

BENCHMARKS: dict[str, Callable[..., Result | Sizes | Figures | list[Result | Sizes]]] = {
    "loading": loading.measure,
    "speed-one": speed.measure_one,
    "speed-many": speed.measure_many,
    "growth-detections": growth.measure_detections,
    "growth-records": growth.measure_records,
    "lake-sharing": bills.measure_sharing,
    "lake-overhead": bills.measure_overhead,
    "lake-arrival": bills.measure_arrival,
    "reconcile": reconcile.measure,
    "alerts-record": alerts_record.measure,
    "alerts-latency": alerts_delivery.measure_latency,
    "alerts-dead-destination": alerts_delivery.measure_dead,
    "realtime-latency": landing.measure_latency,
    "realtime-rate": landing.measure_rate,
    "push": pushes.measure_code,
    "requirement": pushes.measure_requirement,
    "where": where.measure,
    "author-tests": author.measure_tests,
    "cold-process": cold.measure_process,
    "cold-docker": cold.measure_docker,
    "sandbox-start": sandbox.measure_start,
    "sandbox-batch": sandbox.measure_batch,
    "sandbox-scan": sandbox.measure_scan,
    "sandbox-memory": memory.measure,
}


def _names(_context: Any, _parameter: Any, value: str) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        raise click.BadParameter(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return names


@click.command()
@click.option("--only", default=",".join(BENCHMARKS), show_default=True, callback=_names, help="Only these.")
@click.option("--quick", is_flag=True, help="Less of everything, once: whether it runs, not how fast.")
def main(only: list[str], quick: bool) -> None:
    """Print the benchmarks. Nothing is asserted: machines differ, ratios differ less."""
    console = Console()
    started = perf_counter()
    for name in only:
        console.print()
        try:
            with console.status(name), _without_warnings():
                measured = BENCHMARKS[name](quick=quick)
        except Skipped as skipped:
            _not_measured(console, name, str(skipped))
        else:
            for result in measured if isinstance(measured, list) else [measured]:
                console.print(table(result))
                for reason in result.missing:
                    _not_measured(console, name, reason)
    console.print(f"\n{perf_counter() - started:.0f} s in all", style="dim")


@contextmanager
def _without_warnings() -> Iterator[None]:
    """What is measured may warn of what a benchmark does to it on purpose."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _not_measured(console: Console, name: str, reason: str) -> None:
    console.print(f"NOT MEASURED: {name}: {reason}", style="bold red", highlight=False)


if __name__ == "__main__":
    main()
