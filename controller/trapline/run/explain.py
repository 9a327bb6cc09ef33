"""What Trapline tells from a rule before it runs, put for people: the predicate, the SQL it becomes, the columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import sqlglot

from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import FALSE, TRUE, Path, Predicate
from trapline.detection.inference.reads import Read, reads_of
from trapline.detection.inference.spell import spelled
from trapline.detection.inference.values import Gap
from trapline.detection.model import Detection, Mode
from trapline.query.condition import condition
from trapline.query.engine import Engine, ScanRequest
from trapline.run.outlook import rule_of
from trapline.run.rules import NOTHING, Known, wanted_by
from trapline.settings import InferenceSettings
from trapline.window import Window


@dataclass(frozen=True, slots=True)
class TableView:
    """The predicate on one table: a condition in Athena's SQL (`TRUE` for all records), and what SQL cannot say of it
    for the types that the table has."""

    table: str
    sql: str
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of one detection's rule.

    `predicate` is in Python's words; `exact` if it holds for no other records than those that the rule has something to
    say of. `columns` are what `detect` can touch, None for all. `gaps` are the parts that were not understood.
    """

    name: str
    script: str
    predicate: str
    exact: bool
    columns: tuple[str, ...] | None
    gaps: tuple[Gap, ...]
    tables: tuple[TableView, ...]


def explain(detection: Detection, schemas: Mapping[str, pa.Schema]) -> Explanation:
    """`schemas` are those of the detection's tables, as far as they can be had."""
    path = detection.place(detection.script)
    if detection.mode is Mode.BATCH:
        gap = Gap(0, "a rule in the batch format is given all records of a window at once, so nothing is left out")
        return Explanation(detection.name, path, spelled(TRUE), exact=False, columns=None, gaps=(gap,), tables=())
    code = detection.files[detection.script].content, detection.modules
    inferred, reads = infer(*code), reads_of(*code)
    columns = None if reads is None else tuple(sorted({".".join(read.path) for read in reads if read.whole}))
    gaps = tuple(replace(gap, file=detection.place(gap.file)) if gap.file else gap for gap in inferred.gaps)
    views = tuple(_view(table, inferred.predicate, schema) for table, schema in schemas.items())
    words = "False" if inferred.predicate == FALSE else spelled(inferred.predicate)
    return Explanation(detection.name, path, words, not inferred.gaps, columns, gaps, views)


@dataclass(frozen=True, slots=True)
class Member:
    """A detection on a scan.

    `all_records` says why it has to be brought every record that its `where` is true of, empty where it has not;
    `columns` are what is read for it, None for all.
    """

    name: str
    where: str | None
    all_records: str
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ScanExplanation:
    """The query of one table over one window, for all of its detections: in the engine's words, and the bytes that it
    would read at most, None where the engine cannot tell. The records that are read besides, to audit, are left out."""

    table: str
    window: Window
    members: tuple[Member, ...]
    statement: str
    estimate: int | None


def explain_scan(
    detections: Sequence[Detection], request: ScanRequest, engine: Engine, *, inference: InferenceSettings
) -> ScanExplanation:
    """Raises QueryError. Nothing is read but what the engine needs to know of the table."""
    rules = [rule_of(one) if inference.enabled else NOTHING for one in detections]
    wanted = wanted_by(rules, [one.config.query.where for one in detections], audit=0)
    with engine.scan(request, wanted) as scan:
        dialect = "athena" if engine.remote(request.table) else "duckdb"
        statement = sqlglot.parse_one(scan.statement, dialect=dialect).sql(dialect=dialect, pretty=True)
    members = [_member(one, rule) for one, rule in zip(detections, rules, strict=True)]
    estimate = engine.estimate(request, wanted)
    return ScanExplanation(request.table, request.window, tuple(members), statement, estimate)


def _member(detection: Detection, rule: Known) -> Member:
    why = ""
    if detection.mode is Mode.BATCH:
        why = "it is given all records of a window at once"
    elif rule.predicate == TRUE:
        gaps = infer(detection.files[detection.script].content, detection.modules).gaps
        why = f"{gaps[0].place(detection.script)}: {gaps[0].reason}" if gaps else "it can match any record"
    columns = None if rule.columns is None else tuple(sorted(map(".".join, _innermost(rule.columns))))
    return Member(detection.name, detection.config.query.where, why, columns)


def _innermost(reads: Collection[Read]) -> set[Path]:
    """What is read, without the structs that it lies in."""
    paths = {read.path for read in reads}
    return paths - {path[:depth] for path in paths for depth in range(1, len(path))}


def _view(table: str, predicate: Predicate, schema: pa.Schema) -> TableView:
    said = condition(predicate, schema)
    pretty = sqlglot.parse_one(said.sql, dialect="athena").sql(dialect="athena", pretty=True)
    return TableView(table, pretty, tuple(f"{spelled(gap.atom)}: {gap.reason}" for gap in said.gaps))
