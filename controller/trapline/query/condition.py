"""A predicate as a condition in Athena's SQL: TRUE, and never NULL, for every record that the predicate holds for.

Python and SQL disagree on null, on types that differ, on NaN, on letters beyond ASCII. So each test is said for the
type that its path has in the table's schema, and where the two cannot be made to agree the condition is TRUE: it may
let through more than the predicate, never less. What was left open in that way is told as gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pyarrow as pa

from trapline.detection.inference.predicate import Every, Null, Path, Predicate, Some, Test
from trapline.query import sql
from trapline.query.outcomes import ANY, NONE, PRESENT, Unsaid, outcomes

Column = Callable[[Path], str]


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a predicate that the condition takes for true, and why."""

    atom: Null | Test
    reason: str


@dataclass(frozen=True, slots=True)
class Condition:
    """`sql` is one condition in Athena's SQL, over the values at `paths`."""

    sql: str
    gaps: tuple[Gap, ...] = ()
    paths: frozenset[Path] = frozenset()

    @property
    def always(self) -> bool:
        """It lets everything through."""
        return self.sql == ANY

    @property
    def never(self) -> bool:
        """It lets nothing through."""
        return self.sql == NONE


@lru_cache(maxsize=4096)
def condition(
    predicate: Predicate, schema: pa.Schema, *, column: Column = sql.dotted, unnested: bool = False
) -> Condition:
    """The predicate over records of this schema; `column` spells the value at a path.

    `unnested` lists are queries, in DuckDB's words: it compares with each item of a list, unless it joins with them.
    """
    compiler = _Compiler(schema, column, unnested=unnested)
    text = compiler.compile(predicate).text
    return Condition(text, tuple(dict.fromkeys(compiler.gaps)), frozenset(compiler.paths))


@dataclass(frozen=True, slots=True)
class _Said:
    """A condition, what it is joined by at its top, and the paths that have a value wherever it holds."""

    text: str
    joined: str = ""
    needs: frozenset[Path] = frozenset()


_ANY, _NONE = _Said(ANY), _Said(NONE)


class _Compiler:
    def __init__(self, schema: pa.Schema, column: Column, *, unnested: bool) -> None:
        self._schema = schema
        self._column = column
        self._unnested = unnested
        self.gaps: list[Gap] = []
        self.paths: set[Path] = set()

    def compile(self, predicate: Predicate) -> _Said:
        if isinstance(predicate, Every):
            return _all([self.compile(part) for part in _merged(predicate.parts, "false")])
        if isinstance(predicate, Some):
            return _some([self.compile(part) for part in _merged(predicate.parts, "true")])
        try:
            return self._atom(predicate)
        except Unsaid as unsaid:
            self.gaps.append(Gap(predicate, str(unsaid)))
            return _ANY

    def _atom(self, atom: Null | Test) -> _Said:
        kind = type_at(self._schema, atom.path)
        if kind is None or pa.types.is_null(kind):
            return _ANY if isinstance(atom, Null) else _NONE
        root = not atom.path  # the record itself, which is always there
        column = self._column(atom.path)
        if isinstance(atom, Null):
            return _NONE if root else self._said(f"{column} IS NULL", atom.path, needs=False)
        text = outcomes(kind, column, atom)
        if text == NONE:
            return _NONE
        if text == PRESENT:
            if root:
                return _ANY
            text = f"{column} IS NOT NULL"
        if self._unnested and text.startswith(f"{column} IN ("):
            text = f"{column} IN (SELECT unnest([{text[len(column) + 5 : -1]}]))"
        return self._said(text, atom.path)

    def _said(self, text: str, path: Path, *, needs: bool = True) -> _Said:
        self.paths.add(path)
        joined = "OR" if " OR " in text else "AND" if " AND " in text else ""
        return _Said(text, joined, frozenset([path] if needs else []))


def _all(parts: Sequence[_Said]) -> _Said:
    if _NONE in parts:
        return _NONE
    kept = [part for part in dict.fromkeys(parts) if part != _ANY]
    kept = [part for part in kept if not _implied(part, kept)]
    needs = frozenset(path for part in kept for path in part.needs)
    return _joined("AND", kept, needs) if kept else _ANY


def _some(parts: Sequence[_Said]) -> _Said:
    if _ANY in parts:
        return _ANY
    kept = [part for part in dict.fromkeys(parts) if part != _NONE]
    return _joined("OR", kept, frozenset.intersection(*(part.needs for part in kept))) if kept else _NONE


def _joined(word: str, parts: Sequence[_Said], needs: frozenset[Path]) -> _Said:
    if len(parts) == 1:
        return parts[0]
    texts = (f"({part.text})" if part.joined not in ("", word) else part.text for part in parts)
    return _Said(f" {word} ".join(texts), word, needs)


def _implied(part: _Said, others: Iterable[_Said]) -> bool:
    """Whether it says only that there is a value, and another part says more of that, or of what lies inside it."""
    if part.joined or not part.text.endswith(" IS NOT NULL"):
        return False
    (path,) = part.needs
    inner = (need for other in others if other is not part for need in other.needs)
    return any(need[: len(path)] == path for need in inner)


def _merged(parts: Sequence[Predicate], outcome: str) -> list[Predicate]:
    """Equalities on one path as one: some that come out as true, or all that come out as false."""
    merged: dict[object, Predicate] = {}
    for part in parts:
        if not (isinstance(part, Test) and part.op in ("eq", "in") and part.outcome == outcome):
            merged[part] = part
            continue
        constants = part.value if part.op == "in" else (part.value,)
        before = merged.get((part.path, part.fold))
        if not isinstance(constants, tuple):
            merged[part] = part
        elif isinstance(before, Test):
            merged[part.path, part.fold] = replace(before, value=tuple(dict.fromkeys(before.value + constants)))
        else:
            merged[part.path, part.fold] = replace(part, op="in", value=constants)
    return list(merged.values())


def type_at(schema: pa.Schema, path: Path) -> pa.DataType | None:
    """The type of the values at a path; None where there are none. Raises Unsaid."""
    kind: pa.DataType = pa.struct(schema)
    for name in path:
        if not pa.types.is_struct(kind):
            if pa.types.is_nested(kind) or pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
                raise Unsaid("it lies inside a list or a map")
            return None  # below a scalar there is nothing
        found = [field for field in kind if field.name.lower() == name.lower()]
        if not any(field.name == name for field in found):
            return None
        if len(found) > 1:
            raise Unsaid("names that differ in case alone are the same in SQL")
        kind = found[0].type
    return kind
