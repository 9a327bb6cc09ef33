"""`trapline explain`: what Trapline tells from a rule before it runs, and which parts it did not understand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click
import pyarrow as pa

from trapline.cli.options import home_option
from trapline.cli.output import as_json, console, print_json, say
from trapline.cli.validate import root_of
from trapline.config.words import did_you_mean
from trapline.deploy.desired import read_desired
from trapline.detection.load import load
from trapline.detection.model import Detection, File
from trapline.errors import TraplineError
from trapline.query.duckdb import DuckDBEngine
from trapline.query.engine import QueryError
from trapline.run.explain import Explanation
from trapline.run.explain import explain as explain_detection
from trapline.settings import FILE_NAME, Settings
from trapline.source.worktree import read_directory


@click.command()
@click.argument("name")
@click.option(
    "--path",
    type=click.Path(path_type=Path, exists=True),
    default=Path(),
    show_default="this folder",
    help="The detections repository, or a folder of it.",
)
@home_option
@as_json
def explain(name: str, path: Path, home: Path, as_json: bool) -> None:
    """Show which records the detection NAME can match, as told from its script without running it.

    Records that it cannot match are not read, or at least not shown to it; neither are columns that it does not touch.
    What was not understood is listed with its line: it only makes the rule slower. The types of a table are looked up
    in the lake of the home.
    """
    detection, settings = _find(name, read_directory(root_of(path.resolve())).files)
    schemas, missing = _schemas(detection, settings, home)
    explanation = explain_detection(detection, schemas)
    if as_json:
        print_json({**asdict(explanation), "tables_without_schema": missing})
    else:
        _print(explanation, missing)


def _find(name: str, files: Mapping[str, File]) -> tuple[Detection, Settings]:
    if FILE_NAME in files:
        desired = read_desired("", files, fallback=None, env=os.environ)
        detections, settings = list(desired.detections), desired.settings
    else:
        detections, settings = list(load(files).detections), Settings()
    for detection in detections:
        if name in (detection.name, detection.identity):
            return detection, settings
    near = did_you_mean(name, [detection.name for detection in detections])
    raise TraplineError(
        f"there is no detection {name!r} here that can be loaded",
        remedy=f"{near} `trapline validate` shows what is here".strip(),
    )


def _schemas(detection: Detection, settings: Settings, home: Path) -> tuple[dict[str, pa.Schema], dict[str, str]]:
    """The schemas of the tables that the lake has, and why it has not the others."""
    engine = DuckDBEngine(settings.tables, home=home)
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
            say(f"  {explanation.script}:{gap.line}  {gap.reason}" if gap.line else f"  {gap.reason}", style="yellow")


def _section(title: str) -> None:
    console.print(f"\n{title}", style="bold", markup=False, highlight=False)


def _indented(text: str) -> None:
    for line in text.split("\n"):
        say(f"  {line}")
