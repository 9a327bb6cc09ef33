"""`trapline demo`: the whole trapline on this machine, in a temporary home, and a word on what just happened."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import click

from trapline.alerts.store import list_alerts
from trapline.cli.options import make_folder, sandbox_options
from trapline.cli.output import as_json, counted, moment, print_json, print_problems, print_table, progress, say
from trapline.clock import system_clock
from trapline.controller import Controller
from trapline.demo.story import LANDING, TABLE, Clock, Stage, land, run, set_up
from trapline.deploy.reconcile import Report
from trapline.errors import TraplineError, has_errors
from trapline.options import Options
from trapline.packs.builtin import builtin_folder
from trapline.run.recorder import TickReport

PATIENCE_SECONDS = 60.0
"""For an alert that does not come."""


@click.command()
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep everything in this new folder.")
@click.option(
    "--cloudtrail",
    type=click.Path(path_type=Path, exists=True),
    help="Use these real CloudTrail deliveries instead of made-up ones.",
)
@click.option(
    "--detections",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    show_default="the official pack",
    help="The detections to deploy.",
)
@click.option("--realtime", is_flag=True, help="Have attacks happen now, and see each land and become an alert.")
@click.option("--seed", default=7, show_default=True, help="Seed of the made-up deliveries.")
@sandbox_options
@as_json
def demo(
    keep: Path | None,
    cloudtrail: Path | None,
    detections: Path | None,
    realtime: bool,
    seed: int,
    sandbox: str | None,
    base_image: str | None,
    as_json: bool,
) -> None:
    """Deploy the official pack from git, run it over a few hours of CloudTrail, and show the alerts."""
    if realtime and cloudtrail:
        raise click.UsageError("--realtime makes its own events happen: leave --cloudtrail out")
    detections = detections or builtin_folder() / "detections"
    if keep and keep.exists() and any(keep.iterdir()):
        raise TraplineError(f"{keep} is not empty", remedy="name a new folder: the demo keeps what is yours")
    with ExitStack() as ends:
        home = keep or Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="trapline-demo-")))
        home = make_folder(home)
        with progress("setting up") as show:
            stage = set_up(
                home,
                cloudtrail=cloudtrail,
                detections=detections,
                sandbox={k: v for k, v in {"backend": sandbox, "base_image": base_image}.items() if v},
                seed=seed,
                end=system_clock(),
                on_progress=show,
                realtime=realtime,
            )
        if realtime:
            sys.exit(_listen(stage, seed=seed, kept=keep is not None, as_json=as_json))
        sys.exit(_play(stage, kept=keep is not None, as_json=as_json))


def _listen(stage: Stage, *, seed: int, kept: bool, as_json: bool) -> int:
    """Attacks that happen one after the other, and how long each takes to be an alert on the terminal."""
    told: list[float] = []

    def write(text: str) -> None:
        told.append(monotonic())
        if not as_json:
            click.echo(text)

    landed: list[dict[str, Any]] = []
    if not as_json:
        _print_opening(stage)
    options = Options(stage.home, str(stage.repository))
    with Controller(options, write=write, on_progress=_narrator(as_json)) as controller:
        try:
            report = controller.reconcile()
            controller.tick()
            controller.streams()
            controller.listen(TABLE)  # from now on
            for detection in LANDING:
                told.clear()
                began = monotonic()
                planted = land(stage, detection, seed=seed, at=system_clock())
                if not as_json:
                    _heading(f"{moment(planted.at)} UTC: {planted.what}")
                while not told and monotonic() - began < PATIENCE_SECONDS:
                    controller.listen(TABLE)
                    controller.deliver()
                seconds = round(told[0] - began, 2) if told else None
                landed.append({"detection": detection, "what": planted.what, "seconds": seconds})
                if not as_json:
                    took = f"{seconds} s from the delivery to the alert above" if told else "no alert came"
                    say(f"  {took}", style="bold")
        finally:
            if not kept:
                controller.remove_builds()
    failing = [outcome for outcome in report.outcomes if outcome.action in ("stalled", "waiting")]
    if as_json:
        deployed = [outcome.name for outcome in report.outcomes if outcome not in failing]
        print_json({"home": str(stage.home) if kept else None, "deployed": deployed, "landed": landed})
    else:
        _heading("What just happened")
        for line in (
            "A delivery of CloudTrail was imported, so that a file appeared in the folder of the table. The controller",
            "was told of it, brought its records past the detections with `realtime: true`, and sent what they found.",
            "docs/how-to/go-real-time-on-aws.md says how the same is had of a lake in S3.",
        ):
            say(f"  {line}")
    return 1 if failing or any(one["seconds"] is None for one in landed) else 0


def _play(stage: Stage, *, kept: bool, as_json: bool) -> int:
    ticks: list[TickReport] = []
    clock = Clock(stage.span[0])
    told = click.echo if not as_json else (lambda _: None)

    def on_tick(at: datetime, tick: TickReport) -> None:
        ticks.append(tick)
        if not as_json:
            _print_tick(at, tick)

    if not as_json:
        _print_opening(stage)
    options = Options(stage.home, str(stage.repository))
    with Controller(options, now=clock, write=told, on_progress=_narrator(as_json)) as controller:
        try:
            report = run(stage, controller, clock, on_tick)
            alerts = list_alerts(controller.database, limit=10_000)
        finally:
            if not kept:
                controller.remove_builds()
    failing = [outcome for outcome in report.outcomes if outcome.action in ("stalled", "waiting")]
    if as_json:
        print_json(
            {
                "home": str(stage.home) if kept else None,
                "sandbox": controller.sandbox,
                "revision": report.revision,
                "events": stage.imported.events,
                "deployed": [outcome.name for outcome in report.outcomes if outcome not in failing],
                "not_deployed": {outcome.name: outcome.message for outcome in failing},
                "scans": sum(len(tick.scans) for tick in ticks),
                "alerts": [
                    {name: alert[name] for name in ("id", "detection", "severity", "title", "dedupe", "match_count")}
                    for alert in alerts
                ],
            }
        )
    else:
        print_problems([*stage.imported.problems, *report.problems])
        _print_closing(stage, report, ticks, Counter(alert["detection"] for alert in alerts), kept=kept)
    errors = any(tick.errors or tick.failures for tick in ticks)
    return 1 if failing or errors or has_errors([*stage.imported.problems, *report.problems]) else 0


def _narrator(as_json: bool) -> Callable[[str], None]:
    """Says what the controller does, indented under the step it belongs to."""
    if as_json:
        return lambda _: None
    return lambda message: say(f"  {message}", style="dim")


def _print_opening(stage: Stage) -> None:
    first, last = stage.span
    _heading("The lake")
    say(
        f"  {stage.imported.events:,} CloudTrail events, {moment(first)} to {moment(last)} UTC, in Parquet files",
    )
    _heading("Merge to main: each detection is locked, built, tested in its sandbox, and made live")


def _print_tick(at: datetime, tick: TickReport) -> None:
    _heading(f"Tick at {moment(at)} UTC")
    for scan in tick.scans:
        say(
            f"  one scan of {scan.table} for {counted(len(scan.detections), 'detection')}: {scan.records:,} records, "
            f"{scan.bytes_scanned:,} bytes, {scan.seconds:.2f} s",
        )
    say(
        f"  {counted(tick.matches, 'match')}, {counted(tick.opened, 'alert')} opened, {tick.updated} updated\n",
    )
    for identity, message in {**tick.failures, **tick.errors}.items():
        say(f"  {identity}: {message}", style="red")


def _print_closing(stage: Stage, report: Report, ticks: list[TickReport], alerts: Counter[str], *, kept: bool) -> None:
    _heading("What just happened")
    shown = [o for o in report.outcomes if alerts[o.name] or o.action != "deployed"]
    print_table(
        ("DETECTION", "DEPLOYMENT", "ALERTS"),
        ((o.name, o.action, str(alerts[o.name])) for o in shown),
        empty="no detection has anything to say",
    )
    if quiet := len(report.outcomes) - len(shown):
        say(f"  and {counted(quiet, 'detection')} deployed that found nothing")
    for outcome in report.outcomes:
        if outcome.message:
            say(f"  {outcome.name}: {outcome.message}", style="red")
    scanned = sum(scan.records for tick in ticks for scan in tick.scans)
    say(
        f"\n  Commit {report.revision[:12]} was read from git, {len(report.outcomes)} detections came from it, "
        f"{sum(len(tick.scans) for tick in ticks)} scans read {scanned:,} records once for all of them,\n"
        f"  and {sum(alerts.values())} alerts went to the destination `terminal`.",
    )
    if stage.planted:
        say(f"  Planted in the made-up events were {len(stage.planted)} attacks:")
        for planted in stage.planted:
            told = f"    {moment(planted.at)}  {planted.what} ({', '.join(planted.detections)})"
            say(told)
    _heading("What to try next")
    for line in _suggestions(stage.home, kept=kept):
        say(f"  {line}")


def _suggestions(home: Path, *, kept: bool) -> list[str]:
    trapline = "trapline" if shutil.which("trapline") else shlex.quote(sys.argv[0])
    if not kept:
        return [
            f"{trapline} demo --keep my-trapline      the same, kept to look around in",
            f"{trapline} demo --sandbox docker        every detection in a container of its own",
            f"{trapline} demo --cloudtrail DIR        over your own CloudTrail deliveries",
        ]
    folder = shlex.quote(str(home))
    return [
        f"{trapline} status --home {folder}",
        f"{trapline} alerts list --home {folder}",
        f"Change a rule in {folder}/repository/detections, commit it, and then:",
        f"{trapline} controller --once --home {folder} --repository {folder}/repository",
    ]


def _heading(text: str) -> None:
    say(f"\n{text}", style="bold")
