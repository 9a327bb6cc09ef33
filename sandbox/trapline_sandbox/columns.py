"""Arrow buffers as columns of Python values, decoded when first touched, in plain Python.

A column that is touched for a few rows (a title, a context) is decoded for those rows alone; one that is touched for
many (the rule's own conditions) is decoded once and whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from trapline_sandbox.copies import Copies, Make, arguments, compiled, source
from trapline_sandbox.decode import Buffers, Node, bits, decoder
from trapline_sandbox.paths import WHOLE_AT, Cells, explained
from trapline_sandbox.record import NoSuchField, Record, records

_VALUE_BYTES = 64  # of a Python object, and of what refers to it


class NotSent(BaseException):
    """The rule touched what the batch does not hold. No `except Exception` of a rule should keep it."""


class Column(ABC):
    """One Arrow array."""

    scalar = False
    """Whether no path leads any further."""
    fields: Fields | None = None
    """What is inside, where it is a struct."""
    whole = True
    """Whether everything about it was sent."""

    def __init__(self, node: Node, buffers: Buffers) -> None:
        self.length: int = node["length"]
        self.nullable = "validity" in node
        self._valid = buffers[node["validity"]] if self.nullable else None
        self._skip: int = node.get("skip", 0)

    def has(self, row: int) -> bool:
        """Whether the row is not null."""
        if self._valid is None:
            return True
        at = row + self._skip
        return bool(self._valid[at >> 3] >> (at & 7) & 1)

    def mask(self, values: list[Any], start: int = 0) -> list[Any]:
        """The values, those of the rows from `start` on, with None where this column is null."""
        if self._valid is None:
            return values
        valid = self.presence(start, start + len(values))
        return [value if bit else None for value, bit in zip(values, valid, strict=True)]

    def presence(self, start: int, stop: int) -> bytes:
        """For each row of a range whether it is not null, as 0 and 1."""
        count = stop - start
        return b"\1" * count if self._valid is None else bits(self._valid, self._skip + start, count)

    @abstractmethod
    def one(self, row: int) -> Any:
        """The value of one row, decoding no other."""

    @abstractmethod
    def some(self, start: int, stop: int) -> list[Any]:
        """The values of a range of rows, in a list of the caller's own."""

    def maker(self, start: int, stop: int) -> Make:
        """For a range of rows, what makes their values, with plain dicts in place of records."""
        return self.some(start, stop).__getitem__

    @abstractmethod
    def all(self) -> list[Any] | None:
        """The values of all rows; None for lists and maps, of which every caller gets a copy of their own."""

    def size(self, start: int, stop: int) -> int:
        """About how many bytes of memory `maker` takes for these rows."""
        return (stop - start) * _VALUE_BYTES


class Flat(Column):
    """Scalars of any kind."""

    scalar = True

    def __init__(self, node: Node, buffers: Buffers) -> None:
        super().__init__(node, buffers)
        self._decode = decoder(node, buffers)
        self._offsets = buffers[node["buffers"][0]].cast(node["offsets"]) if "offsets" in node else None
        self._values: list[Any] | None = None
        self._touches = 0

    def one(self, row: int) -> Any:
        if self._values is not None:
            return self._values[row]
        self._touches += 1
        if self._touches * WHOLE_AT > self.length:
            return self.all()[row]
        return self._decode(row, row + 1)[0] if self.has(row) else None

    def some(self, start: int, stop: int) -> list[Any]:
        if self._values is not None:
            return self._values[start:stop]
        return [self.one(start)] if stop - start == 1 else self.mask(self._decode(start, stop), start)

    def all(self) -> list[Any]:
        if self._values is None:
            self._values = self.mask(self._decode(0, self.length))
        return self._values

    def size(self, start: int, stop: int) -> int:
        inside = 0 if self._offsets is None else self._offsets[stop] - self._offsets[start]
        return super().size(start, stop) + inside


class Struct(Column):
    """Nested records. Where it was not sent which of them are null, only what is inside can be read."""

    fields: Fields

    def __init__(self, node: Node, buffers: Buffers, root: Fields | None = None) -> None:
        super().__init__(node, buffers)
        self.fields = Fields(node, buffers, root)
        self._known: bool = node.get("presence", True)
        self.whole = self._known and self.fields.whole
        self._records: list[Any] | None = None

    def one(self, row: int) -> Any:
        self._need_presence()
        return Record(self.fields, row) if self.has(row) else None

    def some(self, start: int, stop: int) -> list[Any]:
        self._need_presence()
        return self.mask(records(self.fields, range(start, stop)), start)

    def maker(self, start: int, stop: int) -> Make:
        make, there = self.fields.maker(start, stop), self.presence(start, stop)
        return lambda row: make(row) if there[row] else None

    def all(self) -> list[Any]:
        if self._records is None:
            self._records = self.some(0, self.length)
        return self._records

    def size(self, start: int, stop: int) -> int:
        return self.fields.size(start, stop)

    def _need_presence(self) -> None:
        if not self._known:
            self.fields.miss()


class Lists(Column):
    """Lists of any kind: `offsets` says where in the child column each one begins."""

    def __init__(self, node: Node, buffers: Buffers) -> None:
        super().__init__(node, buffers)
        self._items = column(node["children"][0][1], buffers)
        if "size" in node:
            self._offsets: Sequence[int] = range(0, node["size"] * (self.length + 1), node["size"] or 1)
            self._base = 0
        else:
            self._offsets = buffers[node["buffers"][0]].cast(node["offsets"])
            self._base = self._offsets[0]
        self._touches = 0

    def one(self, row: int) -> Any:
        if not self.has(row):
            return None
        start, stop = self._place(row), self._place(row + 1)
        self._touches += 1
        if self._touches * WHOLE_AT > self.length and (items := self._items.all()) is not None:
            return self._made(items[start:stop])
        return self._made(self._items.some(start, stop))

    def some(self, start: int, stop: int) -> list[Any]:
        first, ends = self._place(start), self._ends(start, stop)
        values = self._items.some(first, first + ends[-1])
        return self.mask([self._made(values[a:b]) for a, b in pairwise(ends)], start)

    def maker(self, start: int, stop: int) -> Make:
        first, ends, there = self._place(start), self._ends(start, stop), self.presence(start, stop)
        if self._items.scalar:
            values = self._items.some(first, first + ends[-1])
            return lambda row: values[ends[row] : ends[row + 1]] if there[row] else None
        make, made = self._items.maker(first, first + ends[-1]), self._made
        return lambda row: made([make(at) for at in range(ends[row], ends[row + 1])]) if there[row] else None

    def all(self) -> None:
        return None

    def size(self, start: int, stop: int) -> int:
        return super().size(start, stop) + self._items.size(self._place(start), self._place(stop))

    def _place(self, row: int) -> int:
        """Where the items of a row begin."""
        return self._offsets[row] - self._base

    def _ends(self, start: int, stop: int) -> list[int]:
        """Where, counted from the first item of all, those of each row begin, and those of the last one end."""
        first = self._offsets[start]
        return [at - first for at in self._offsets[start : stop + 1]]

    def _made(self, items: list[Any]) -> Any:
        return items


class Map(dict[Any, Any]):
    """A map as a rule has it: the rule's own dict, whose `get` gives the default for a null, as a record's does."""

    __slots__ = ()

    def get(self, key: Any, default: Any = None) -> Any:
        value = super().get(key)
        return default if value is None else value


class Maps(Lists):
    """Maps; of two equal keys the later wins."""

    def maker(self, start: int, stop: int) -> Make:
        make = super().maker(start, stop)
        return lambda row: None if (made := make(row)) is None else dict(made)

    def _made(self, items: list[Any]) -> Any:
        return Map({entry["key"]: entry["value"] for entry in items})


class Dictionary(Column):
    """Dictionary-encoded values: each distinct one is decoded once."""

    def __init__(self, node: Node, buffers: Buffers) -> None:
        super().__init__(node, buffers)
        self._indices = buffers[node["buffers"][0]].cast(node["indices"])
        self._distinct = column(node["children"][0][1], buffers)
        if not self._distinct.length:  # then every row is null, be it by the struct around it
            self._valid, self._skip = memoryview(bytes(self.length // 8 + 1)), 0
        self.scalar = self._distinct.scalar
        self._values: list[Any] | None = None

    def one(self, row: int) -> Any:
        return self._distinct.one(self._indices[row]) if self.has(row) else None

    def some(self, start: int, stop: int) -> list[Any]:
        distinct = self._distinct.all() if stop - start > 1 else None
        return [self.one(row) for row in range(start, stop)] if distinct is None else self._of(distinct, start, stop)

    def maker(self, start: int, stop: int) -> Make:
        distinct, indices, there = self._distinct, self._indices, self.presence(start, stop)

        def make(row: int) -> Any:
            at = indices[start + row]
            return distinct.maker(at, at + 1)(0) if there[row] else None

        return make

    def all(self) -> list[Any] | None:
        if self._values is None and (distinct := self._distinct.all()) is not None:
            self._values = self._of(distinct, 0, self.length)
        return self._values

    def _of(self, distinct: list[Any], start: int, stop: int) -> list[Any]:
        # What a null row's index says is undefined.
        indices = self.mask(self._indices[start:stop].tolist(), start)
        return [None if at is None else distinct[at] for at in indices]


class Fields:
    """Columns with names: a batch, or the inside of a struct. What a record is a row of.

    A batch of a sieve run may be partial: it has `names` without columns, and to touch these is to miss.
    """

    def __init__(self, node: Node, buffers: Buffers, root: Fields | None = None) -> None:
        self._root = root or self
        self.missed = False
        """Of a whole batch: whether anything was touched that was not sent. It stays so, whatever a rule catches."""
        self.length: int = node["length"]
        self.columns = {name: column(child, buffers, self._root) for name, child in node["children"]}
        self.names: Mapping[str, Any] = dict.fromkeys(node["names"]) if "names" in node else self.columns
        self.whole = len(self.names) == len(self.columns) and all(one.whole for one in self.columns.values())
        # What was touched so far: plain lists once that was often. (A dict that fills itself would be a slower one.)
        self.values: dict[str, Sequence[Any]] = {}
        self.paths: dict[Any, Sequence[Any]] = {}
        self._copies = Copies(self)
        self._source: str | None = None

    def named(self, name: str) -> Sequence[Any]:
        """The values of a column, one for each row. Raises NoSuchField."""
        if name not in self.values:
            if name not in self.names:
                raise NoSuchField(explained(name, list(self.names))) from None
            self.values[name] = Cells(self, [name], self.values, name)
        return self.values[name]

    def at(self, path: Any) -> Sequence[Any]:
        """The values at a path, one for each row: a dotted string, or a list or tuple of parts."""
        if not isinstance(path, str | list | tuple):
            raise TypeError(f"a path is a dotted string or a list of parts, not {type(path).__name__}") from None
        key = tuple(path) if isinstance(path, list) else path
        if key not in self.paths:
            self.paths[key] = Cells(self, path.split(".") if isinstance(path, str) else list(path), self.paths, key)
        return self.paths[key]

    def copied(self, row: int) -> Any:
        """One row as a plain dict, deep, that is the caller's own."""
        if not self.whole:
            self.miss()
        return self._copies.take(row)

    def maker(self, start: int, stop: int) -> Make:
        """For a range of rows, what makes them as plain dicts, deep."""
        if self._source is None:
            self._source = source(self)
        return compiled(self._source)(*arguments(self, start, stop))

    def size(self, start: int, stop: int) -> int:
        """About how many bytes of memory `maker` takes for these rows."""
        return (stop - start) * _VALUE_BYTES + sum(one.size(start, stop) for one in self.columns.values())

    def miss(self) -> NoReturn:
        """Says that something was touched that was not sent."""
        self._root.missed = True
        raise NotSent


_NESTED: dict[str, type[Column]] = {
    "list": Lists,
    "map": Maps,
    "dictionary": Dictionary,
}


def column(node: Node, buffers: Buffers, root: Fields | None = None) -> Column:
    """The column a node of the wire format describes. `root` is the batch that it is in, by structs alone."""
    if node["type"] == "struct":
        return Struct(node, buffers, root)
    return _NESTED.get(node["type"], Flat)(node, buffers)
