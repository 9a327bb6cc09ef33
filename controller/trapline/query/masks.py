"""Which rows of a batch each of many predicates may hold for: one query over the batch's columns, no row in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from trapline.detection.inference.predicate import Path, Predicate
from trapline.query import sql
from trapline.query.condition import Condition, condition
from trapline.query.duckdb import database
from trapline.query.engine import PRESENCE, UNKNOWN, QueryError

AT_A_TIME = 128
"""So many predicates are asked about in one query: enough to share what they have in common, and bounded."""


def masks(batch: pa.RecordBatch, predicates: Sequence[Predicate], schema: pa.Schema) -> list[pa.BooleanArray | None]:
    """For each predicate the rows that it may hold for, without nulls; None is all of them.

    `schema` is that of whole records: the batch may lack what is not asked about, but what is not in the schema no
    record has. Raises QueryError `internal` where the batch lacks what is asked about.
    """
    asked = {predicate: condition(predicate, schema, column=_flat) for predicate in dict.fromkeys(predicates)}
    found: dict[str, pa.BooleanArray | None] = {"TRUE": None, "FALSE": _none(batch.num_rows)}
    open_ = {said.sql: said for said in asked.values() if said.sql not in found}
    found.update(_answers(batch, list(open_.values())))
    return [found[asked[predicate].sql] for predicate in predicates]


def _answers(batch: pa.RecordBatch, conditions: Sequence[Condition]) -> Iterator[tuple[str, pa.BooleanArray]]:
    for start in range(0, len(conditions), AT_A_TIME):
        some = conditions[start : start + AT_A_TIME]
        paths = sorted({path for said in some for path in said.paths})
        with _database().cursor() as cursor:
            cursor.register("flat", pa.table({sql.dotted(path): _values(batch, path) for path in paths}))
            asked = ", ".join(f"({said.sql}) IS TRUE AS m{number}" for number, said in enumerate(some))
            answers = cursor.sql(f"SELECT {asked} FROM flat").to_arrow_table().combine_chunks()
        yield from ((said.sql, answers[number].chunk(0)) for number, said in enumerate(some))


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all batches: to start it takes longer than most questions."""
    return database()


def _flat(path: Path) -> str:
    return sql.name(sql.dotted(path))


def _values(batch: pa.RecordBatch, path: Path) -> pa.Array:
    """The values at a path, null where anything on the way is; of structs only whether they are there."""
    name, *rest = path
    field, array = _column(batch.schema, name, path), batch.column(name)
    for name in rest:
        field = _column(field.type, name, path)
        array = pc.struct_field(array, [array.type.get_field_index(name)])
    if not pa.types.is_struct(field.type):
        return array
    if (field.metadata or {}).get(PRESENCE) == UNKNOWN:
        raise _lacking(path)
    return pc.if_else(array.is_valid(), True, None)


def _column(fields: pa.Schema | pa.DataType, name: str, path: Path) -> pa.Field:
    found = fields.get_field_index(name)
    if found < 0:
        raise _lacking(path)
    return fields.field(found)


def _lacking(path: Path) -> QueryError:
    return QueryError("internal", f"the batch was read without {'.'.join(path)}", remedy="report this as a bug")


@lru_cache(maxsize=4)
def _none(count: int) -> pa.BooleanArray:
    return pa.array([False] * count, pa.bool_())
