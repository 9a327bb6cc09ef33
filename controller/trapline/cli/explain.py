"""`trapline explain`: what Trapline tells from a rule before it runs, and which parts it did not understand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click
import pyarrow as pa
from rich.filesize import decimal

from trapline.author.checkout import Checkout
from trapline.author.packs import packs_of
from trapline.cli.options import home_option
from trapline.cli.output import as_json, console, counted, print_json, print_table, say
from trapline.clock import system_clock
from trapline.config.words import did_you_mean
from trapline.deploy.desired import read_desired
from trapline.detection.load import load
from trapline.detection.model import Detection
from trapline.errors import TraplineError
from trapline.query.engine import QueryError, ScanRequest
from trapline.query.lake import Lake
from trapline.run.explain import Explanation, Member, ScanExplanation, explain_scan
from trapline.run.explain import explain as explain_detection
from trapline.settings import FILE_NAME, Settings
from trapline.window import Window


@click.command()
@click.argument("name", required=False)
@click.option("--table", help="Explain the scan of this table instead, which all of its detections share.")
@click.option(
    "--path",
    type=click.Path(path_type=Path, exists=True),
    default=Path(),
    show_default="this folder",
    help="The detections repository, or a folder of it.",
)
@home_option
@as_json
def explain(name: str | None, table: str | None, path: Path, home: Path, as_json: bool) -> None:
    """Show which records the detection NAME can match, as told from its script without running it.

    Records that it cannot match are not read, or at least not shown to it; neither are columns that it does not touch.
    What was not understood is listed with its line: it only makes the rule slower. The types of a table are looked up
    in the lake of the home.

    With --table, show the one query that a tick makes of a table for all of its detections: who is in it, and for whom
    it has to read more than a few records and columns.
    """
    if (name is None) == (table is None):
        raise click.UsageError("name a detection, or a table with --table")
    detections, settings = _read(Checkout.around(path))
    if table is not None:
        _explain_table(table, detections, settings, home, as_json=as_json)
        return
    detection = _find(str(name), detections)
    schemas, missing = _schemas(detection, settings, home)
    explanation = explain_detection(detection, schemas)
    if as_json:
        print_json({**asdict(explanation), "tables_without_schema": missing})
    else:
        _print(explanation, missing)


def _read(checkout: Checkout) -> tuple[list[Detection], Settings]:
    files = checkout.tree.files
    if FILE_NAME in files:
        desired = read_desired("", files, fallback=None, env=os.environ, packs=packs_of(checkout))
        return [*desired.detections, *desired.offered], desired.settings
    return list(load(files).detections), Settings()


def _find(name: str, detections: Sequence[Detection]) -> Detection:
    for detection in detections:
        if name in (detection.name, detection.identity):
            return detection
    near = did_you_mean(name, [detection.name for detection in detections])
    raise TraplineError(
        f"there is no detection {name!r} here that can be loaded",
        remedy=f"{near} `trapline validate` shows what is here".strip(),
    )


def _explain_table(
    table: str, detections: Sequence[Detection], settings: Settings, home: Path, *, as_json: bool
) -> None:
    known = settings.tables.get(table)
    if known is None:
        near = did_you_mean(table, settings.tables)
        raise TraplineError(f"there is no table {table!r} in {FILE_NAME}", remedy=f"{near} add it there".strip())
    members = [one for one in detections if one.config.enabled and table in one.config.tables]
    if not members:
        raise TraplineError(f"no enabled detection here reads {table}", remedy="so that no query is made of it")
    end = system_clock() - known.lag
    request = ScanRequest(table, Window(end - settings.schedule.every, end))
    with closing(_lake(settings, home)) as lake:
        explanation = explain_scan(members, request, lake, inference=settings.inference)
    if as_json:
        print_json({**asdict(explanation), "window": str(explanation.window)})
    else:
        _print_scan(explanation)


def _lake(settings: Settings, home: Path) -> Lake:
    return Lake(settings, home=home, scope="explain", now=system_clock)


def _schemas(detection: Detection, settings: Settings, home: Path) -> tuple[dict[str, pa.Schema], dict[str, str]]:
    """The schemas of the tables that the lake has, and why it has not the others."""
    engine = _lake(settings, home)
    schemas: dict[str, pa.Schema] = {}
    missing: dict[str, str] = {}
    for table in detection.config.tables:
        try:
            schema = engine.schema(table)
        except QueryError as error:
            missing[table] = error.message
        else:
            if schema.names:
                schemas[table] = schema
            else:
                missing[table] = "it has no records yet, so that its types are not known"
    return schemas, missing


def _print(explanation: Explanation, missing: Mapping[str, str]) -> None:
    console.print("detection  ", style="bold", end="")
    say(f"{explanation.name} ({explanation.script})")
    _section("can match, or fail on, a record only where")
    _indented(explanation.predicate)
    if explanation.exact:
        say("  and there it does: every part of the rule was understood", style="dim")
    _section("columns that detect touches")
    _indented("all" if explanation.columns is None else ", ".join(explanation.columns) or "none")
    for view in explanation.tables:
        _section(f"on {view.table}, in Athena's SQL")
        _indented(view.sql)
        for reason in view.open:
            say(f"  left open  {reason}", style="yellow")
    for table, reason in missing.items():
        _section(f"on {table}")
        say(f"  {reason}", style="yellow")
    if explanation.gaps:
        _section("not understood, so that any record may match that gets there")
        for gap in explanation.gaps:
            say(f"  {gap.place(explanation.script)}  {gap.reason}" if gap.line else f"  {gap.reason}", style="yellow")


def _print_scan(explanation: ScanExplanation) -> None:
    console.print("table  ", style="bold", end="")
    say(f"{explanation.table} {explanation.window}")
    estimate = "not known before" if explanation.estimate is None else f"at most {decimal(explanation.estimate)}"
    say(f"reads  {estimate}")
    _section(f"in one query for {counted(len(explanation.members), 'detection')}")
    print_table(
        ("DETECTION", "RECORDS", "COLUMNS", "WHERE"),
        (
            (
                member.name,
                _records(member),
                "all" if member.columns is None else str(len(member.columns)),
                member.where or "",
            )
            for member in explanation.members
        ),
        empty="",
    )
    for member in explanation.members:
        if member.all_records and not member.where:
            say(f"  {member.name} needs all records: {member.all_records}", style="yellow")
    _section("the query")
    _indented(explanation.statement)


def _records(member: Member) -> str:
    if not member.all_records:
        return "those that it may match"
    return "those of its where" if member.where else "all"


def _section(title: str) -> None:
    console.print(f"\n{title}", style="bold", markup=False, highlight=False)


def _indented(text: str) -> None:
    for line in text.split("\n"):
        say(f"  {line}")
