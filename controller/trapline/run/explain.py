"""What Trapline tells from a rule before it runs, put for people: the predicate, the SQL it becomes, the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import sqlglot

from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import FALSE, TRUE, Predicate
from trapline.detection.inference.reads import reads_of
from trapline.detection.inference.spell import spelled
from trapline.detection.inference.values import Gap
from trapline.detection.model import Detection, Mode
from trapline.query.condition import condition


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
    path = detection.script if detection.path == "." else f"{detection.path}/{detection.script}"
    if detection.mode is Mode.BATCH:
        gap = Gap(0, "a rule in the batch format is given all records of a window at once, so nothing is left out")
        return Explanation(detection.name, path, spelled(TRUE), exact=False, columns=None, gaps=(gap,), tables=())
    source = detection.files[detection.script].content
    inferred, reads = infer(source), reads_of(source)
    columns = None if reads is None else tuple(sorted({".".join(read.path) for read in reads if read.whole}))
    views = tuple(_view(table, inferred.predicate, schema) for table, schema in schemas.items())
    words = "False" if inferred.predicate == FALSE else spelled(inferred.predicate)
    return Explanation(detection.name, path, words, not inferred.gaps, columns, inferred.gaps, views)


def _view(table: str, predicate: Predicate, schema: pa.Schema) -> TableView:
    said = condition(predicate, schema)
    pretty = sqlglot.parse_one(said.sql, dialect="athena").sql(dialect="athena", pretty=True)
    return TableView(table, pretty, tuple(f"{spelled(gap.atom)}: {gap.reason}" for gap in said.gaps))
