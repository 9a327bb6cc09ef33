"""Which rows of a batch each of many predicates may hold for, without a look at each row for each of them.

A column of a log has few distinct values. So each condition is asked of these alone, once for all predicates that have
it; most are true of none of them, and with that most predicates are done. The rest is bits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, reduce
from typing import Any, TypeAlias, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from trapline.detection.inference.predicate import Every, Null, Path, Predicate, Some, Test, atoms
from trapline.query.condition import condition, type_at
from trapline.query.connection import database
from trapline.query.engine import PRESENCE, UNKNOWN, QueryError

AT_A_TIME = 200
"""So many conditions are asked in one query, so that its plan stays small."""

FEW = 1_000
"""A column with no more distinct values comes first, and what is known of them is kept for the next batch. The others
are asked about the rows that are left then."""

Atom = Null | Test
Mask: TypeAlias = pa.BooleanArray | bool
"""Rows of a batch, without nulls; True and False where these are all of them, and none."""


def masks(batch: pa.RecordBatch, predicates: Sequence[Predicate], schema: pa.Schema) -> list[pa.BooleanArray | None]:
    """For each predicate the rows that it may hold for, without nulls; None is all of them.

    `schema` is that of whole records: the batch may lack what is not asked about, but what is not in the schema no
    record has. Raises QueryError `internal` where the batch lacks what is asked about.
    """
    plan = _plan(tuple(predicates), schema)
    held: dict[Atom, Mask] = dict(plan.settled)
    columns = {path: _Column(_values(batch, path)) for path in plan.questions}
    for path, column in sorted(columns.items(), key=lambda item: len(item[1].distinct)):
        questions = plan.questions[path]
        if len(column.distinct) > FEW:
            left = _any(_mask(predicate, held) for predicate in questions.of)
            if left is False:
                continue
            column = column.among(left)
        held.update(column.answers(questions))
    found = {predicate: _mask(predicate, held) for predicate in dict.fromkeys(predicates)}
    none = pa.repeat(False, batch.num_rows)
    return [None if mask is True else none if mask is False else mask for mask in map(found.__getitem__, predicates)]


@dataclass(slots=True)
class _Questions:
    """What there is to ask at one path: which values are equal to constants, other conditions, and for whom."""

    equal: dict[Any, list[Test]] = field(default_factory=lambda: defaultdict(list))
    others: dict[Atom, str] = field(default_factory=dict)
    of: dict[Predicate, None] = field(default_factory=dict)
    known: dict[Any, list[Atom]] = field(default_factory=dict)

    def true_of(self, values: pa.Array) -> Iterator[Sequence[Atom]]:
        """For each of some distinct values the conditions that are true of it; none of them is computed twice."""
        known, listed = dict(self.known), values.to_pylist()
        new = [at for at, value in enumerate(listed) if value not in known]
        if new:
            known.update({listed[at]: list(self.equal.get(listed[at], ())) for at in new})
            for atom, true in self.ask(values.take(pa.array(new))):
                for at in pc.indices_nonzero(true).to_pylist():
                    known[listed[new[at]]].append(atom)
            self.known = known if len(known) <= 10 * FEW else {}
        return (known[value] for value in listed)

    def ask(self, values: pa.Array) -> Iterator[tuple[Atom, pa.BooleanArray]]:
        """The other conditions, asked of all these values."""
        others = list(self.others.items())
        for start in range(0, len(others), AT_A_TIME):
            some = others[start : start + AT_A_TIME]
            asked = ", ".join(f"({said}) IS TRUE AS m{number}" for number, (_, said) in enumerate(some))
            with _database().cursor() as cursor:
                cursor.register("flat", pa.table({"value": values}))
                answers = cursor.sql(f"SELECT {asked} FROM flat").to_arrow_table().combine_chunks()
            for (atom, _), answer in zip(some, answers.columns, strict=True):
                yield atom, answer.chunk(0) if answer.num_chunks else pa.array([], pa.bool_())


@dataclass(frozen=True, slots=True)
class _Plan:
    settled: Mapping[Atom, bool]
    questions: Mapping[Path, _Questions]


@lru_cache(maxsize=16)
def _plan(predicates: tuple[Predicate, ...], schema: pa.Schema) -> _Plan:
    settled: dict[Atom, bool] = {}
    questions: dict[Path, _Questions] = defaultdict(_Questions)
    for predicate in dict.fromkeys(predicates):
        for atom in dict.fromkeys(atoms(predicate)):
            said = condition(atom, schema, column=_flat)
            if said.always or said.never:
                settled[atom] = said.always
                continue
            asked = questions[atom.path]
            if isinstance(atom, Test) and _is_equality(atom, schema):
                for constant in atom.value if atom.op == "in" else [atom.value]:
                    asked.equal[constant].append(atom)
            else:
                asked.others[atom] = said.sql
            asked.of[predicate] = None
    return _Plan(settled, dict(questions))


def _is_equality(test: Test, schema: pa.Schema) -> bool:
    """Whether it is true for some texts alone: those are looked up, and nothing is computed."""
    if test.op not in ("eq", "in") or test.outcome != "true" or test.fold:
        return False
    kind = type_at(schema, test.path)
    return kind is not None and bool(pa.types.is_string(kind))


def _mask(predicate: Predicate, held: Mapping[Atom, Mask]) -> Mask:
    """The rows that a predicate holds for; what is not known yet is taken for true."""
    if isinstance(predicate, Every):
        rows: Mask = True
        for part in predicate.parts:
            rows = _both(rows, _mask(part, held))
            if rows is False:
                break
        return rows
    if isinstance(predicate, Some):
        return _any(_mask(part, held) for part in predicate.parts)
    return held.get(predicate, True)


def _both(one: Mask, other: Mask) -> Mask:
    if one is True or other is False:
        return other
    if other is True or one is False:
        return one
    both = pc.and_(one, other)
    return both if both.true_count else False


def _either(one: Mask, other: Mask) -> Mask:
    if one is False or other is True:
        return other
    return one if other is False or one is True else pc.or_(one, other)


def _any(masks: Iterable[Mask]) -> Mask:
    return reduce(_either, masks, False)


class _Column:
    """Values as the distinct ones and the places that each is at; lists and maps, which cannot be told apart, as all.

    `rows` are those that the values are of.
    """

    def __init__(self, values: pa.Array, rows: Mask = True) -> None:
        self._rows = rows
        self._values = values
        self._places: pa.Array | None = None
        self.distinct = values
        if not pa.types.is_nested(values.type):
            plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
            encoded = pc.dictionary_encode(plain, null_encoding="encode")
            self._places, self.distinct = encoded.indices, encoded.dictionary

    def among(self, rows: Mask) -> _Column:
        """The values of these rows alone."""
        return self if rows is True else _Column(self._values.filter(rows), rows)

    def answers(self, questions: _Questions) -> dict[Atom, Mask]:
        """Of which rows each condition is true; of those that the column has no values of, it never is."""
        held: dict[Atom, Mask] = dict.fromkeys([test for tests in questions.equal.values() for test in tests], False)
        if self._places is None or not _is_plain(self.distinct.type) or len(self.distinct) > FEW:
            held.update((test, self._spread(true)) for test, true in self._equal(questions.equal))
            held.update((atom, self._spread(true)) for atom, true in questions.ask(self.distinct))
            return held
        held.update(dict.fromkeys(questions.others, False))
        hits: dict[Atom, list[int]] = defaultdict(list)
        for at, true_of in enumerate(questions.true_of(self.distinct)):
            for atom in true_of:
                hits[atom].append(at)
        alike: dict[tuple[int, ...], Mask] = {}
        for atom, places in hits.items():
            if (key := tuple(places)) not in alike:
                alike[key] = self._spread(self._at(places))
            held[atom] = alike[key]
        return held

    def _equal(self, equal: Mapping[Any, Sequence[Test]]) -> Iterator[tuple[Test, pa.BooleanArray]]:
        if not equal:
            return
        constants = pa.array([each for each in equal if isinstance(each, str)], self.distinct.type)
        found = pc.index_in(self.distinct, value_set=constants)
        hits: dict[Test, list[int]] = defaultdict(list)
        for at in pc.indices_nonzero(found.is_valid()).to_pylist():
            for test in equal[constants[found[at].as_py()].as_py()]:
                hits[test].append(at)
        yield from ((test, self._at(places)) for test, places in hits.items())

    def _at(self, places: Sequence[int]) -> pa.BooleanArray:
        """True of the distinct values at these places."""
        return pc.is_in(pa.array(range(len(self.distinct)), pa.int64()), value_set=pa.array(places, pa.int64()))

    def _spread(self, true: pa.BooleanArray) -> Mask:
        """Of the distinct values to all rows."""
        if not true.true_count:
            return False
        if true.true_count == len(true) and self._rows is True:
            return True
        mask = true if self._places is None else true.take(self._places)
        if self._rows is True:
            return mask
        return pc.replace_with_mask(pa.repeat(False, len(cast(pa.BooleanArray, self._rows))), self._rows, mask)


def _is_plain(kind: pa.DataType) -> bool:
    """Whether every value of the type is one of Python's, which can be looked up."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_integer(kind) or types.is_boolean(kind) or types.is_floating(kind))


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all batches: to start it takes longer than most questions."""
    return database()


def _flat(_: Path) -> str:
    return "value"


def _values(batch: pa.RecordBatch, path: Path) -> pa.Array:
    """The values at a path, null where anything on the way is; of structs only whether they are there."""
    column: pa.Field | None = None
    array: pa.Array = pa.array([], pa.null())
    for name in path:
        fields: pa.Schema | pa.DataType = batch.schema if column is None else column.type
        at = fields.get_field_index(name)
        if at < 0:
            raise _lacking(path)
        array = batch.column(at) if column is None else pc.struct_field(array, [at])
        column = fields.field(at)
    if column is None or not pa.types.is_struct(column.type):
        return array
    if (column.metadata or {}).get(PRESENCE) == UNKNOWN:
        raise _lacking(path)
    return pc.if_else(array.is_valid(), True, None)


def _lacking(path: Path) -> QueryError:
    return QueryError("internal", f"the batch was read without {'.'.join(path)}", remedy="report this as a bug")
