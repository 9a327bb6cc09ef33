"""Arrow buffers as columns of Python values, decoded when first touched, in plain Python.

A column that is touched for a few rows (a title, a context) is decoded for those rows alone; one that is touched for
many (the rule's own conditions) is decoded once and whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from trapline_sandbox.decode import Buffers, Node, bits, decoder
from trapline_sandbox.record import Record, copied, records

# A column is decoded whole once one row in so many was touched: a value alone costs as much as twenty in bulk.
WHOLE_AT = 100


class NotSent(BaseException):
    """The rule touched what the batch does not hold. No `except Exception` of a rule should keep it."""


class Column(ABC):
    """One Arrow array."""

    whole = True
    """Whether everything about it was sent."""

    def __init__(self, node: Node, buffers: Buffers) -> None:
        self.length: int = node["length"]
        self._valid = buffers[node["validity"]] if "validity" in node else None
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
        valid = bits(self._valid, self._skip + start, len(values))
        return [value if bit else None for value, bit in zip(values, valid, strict=True)]

    @abstractmethod
    def one(self, row: int) -> Any:
        """The value of one row, decoding no other."""

    def copied(self, row: int) -> Any:
        """The value of one row in plain dicts and lists, which may be changed at will."""
        return copied(self.one(row))

    def some(self, start: int, stop: int) -> list[Any]:
        """The values of a range of rows, in a list of the caller's own."""
        return [self.one(row) for row in range(start, stop)]

    @abstractmethod
    def all(self) -> list[Any] | None:
        """The values of all rows; None for lists and maps, of which every caller gets a copy of their own."""


class Flat(Column):
    """Scalars of any kind."""

    def __init__(self, node: Node, buffers: Buffers) -> None:
        super().__init__(node, buffers)
        self._decode = decoder(node, buffers)
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
        return self.mask(self._decode(start, stop), start)

    def all(self) -> list[Any]:
        if self._values is None:
            self._values = self.mask(self._decode(0, self.length))
        return self._values


class Struct(Column):
    """Nested records. Where it was not sent which of them are null, only what is inside can be read."""

    def __init__(self, node: Node, buffers: Buffers, root: Fields | None = None) -> None:
        super().__init__(node, buffers)
        self.fields = Fields(node, buffers, root)
        self._known: bool = node.get("presence", True)
        self.whole = self._known and self.fields.whole
        self._records: list[Any] | None = None

    def one(self, row: int) -> Any:
        self._need_presence()
        return Record(self.fields, row) if self.has(row) else None

    def copied(self, row: int) -> Any:
        self._need_presence()
        return self.fields.copied(row) if self.has(row) else None

    def all(self) -> list[Any]:
        if self._records is None:
            self._need_presence()
            self._records = self.mask(list(records(self.fields, range(self.length))))
        return self._records

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

    def one(self, row: int) -> Any:
        if not self.has(row):
            return None
        return self._items.some(self._offsets[row] - self._base, self._offsets[row + 1] - self._base)

    def all(self) -> None:
        return None


class Maps(Lists):
    """Maps, as dicts; of two equal keys the later wins."""

    def one(self, row: int) -> Any:
        entries = super().one(row)
        return None if entries is None else {entry["key"]: entry["value"] for entry in entries}


class Dictionary(Column):
    """Dictionary-encoded values: each distinct one is decoded once."""

    def __init__(self, node: Node, buffers: Buffers) -> None:
        super().__init__(node, buffers)
        self._indices = buffers[node["buffers"][0]].cast(node["indices"])
        self._distinct = column(node["children"][0][1], buffers)
        self._values: list[Any] | None = None

    def one(self, row: int) -> Any:
        return self._distinct.one(self._indices[row]) if self.has(row) else None

    def all(self) -> list[Any] | None:
        if self._values is None and (distinct := self._distinct.all()) is not None:
            # What a null row's index says is undefined; without a single distinct value every row is null.
            indices = self.mask(self._indices.tolist())
            self._values = [None if at is None else distinct[at] for at in indices]
        return self._values


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
        self.paths = Paths(self)

    def miss(self) -> NoReturn:
        """Says that something was touched that was not sent."""
        self._root.missed = True
        raise NotSent

    def copied(self, row: int) -> dict[str, Any]:
        """One row as a plain dict, deep."""
        if not self.whole:
            self.miss()
        return {name: column.copied(row) for name, column in self.columns.items()}

    def at(self, path: Any) -> Sequence[Any]:
        """The values at a path, one for each row: a dotted string, or a list or tuple of parts."""
        if not isinstance(path, str | list | tuple):
            raise TypeError(f"a path is a dotted string or a list of parts, not {type(path).__name__}")
        return self.paths[tuple(path) if isinstance(path, list) else path]


class Paths(dict[Any, Sequence[Any]]):
    """Path -> its values: a plain list once the path has been touched often, a `Cells` before that."""

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self._fields = fields

    def __missing__(self, path: Any) -> Sequence[Any]:
        if not isinstance(path, str | tuple):
            raise TypeError(path)  # Fields.at explains it
        cells = self[path] = Cells(self._fields, path)
        return cells


class Cells(Sequence[Any]):
    """The values at one path, decoded row by row until decoding the whole column is the cheaper way."""

    def __init__(self, fields: Fields, path: str | tuple[str | int, ...]) -> None:
        self._fields = fields
        self._path = path
        self._touches = 0
        self._structs: list[Struct] = []
        self._column: Column | None = None
        self._rest = self._descend(list(path.split(".") if isinstance(path, str) else path))

    def _descend(self, parts: list[Any]) -> list[Any]:
        """Follows the path through structs, and returns what is left of it beyond them."""
        inside: Fields | None = self._fields
        while parts and inside is not None:
            name = parts.pop(0)
            self._column = inside.columns.get(name)
            if self._column is None and name in inside.names:
                inside.miss()
            inside = None
            if isinstance(self._column, Struct) and parts:
                self._structs.append(self._column)
                inside = self._column.fields
        return parts

    def __len__(self) -> int:
        return self._fields.length

    def __getitem__(self, row: Any) -> Any:
        self._touches += 1
        if self._touches * WHOLE_AT > len(self) and (values := self._all()) is not None:
            self._fields.paths[self._path] = values
            return values[row]
        if self._column is None or not all(struct.has(row) for struct in self._structs):
            return None
        value = self._column.one(row)
        for part in self._rest:
            value = _step(value, part)
        return value

    def _all(self) -> list[Any] | None:
        if self._column is None or (self._rest and isinstance(self._column, Flat)):
            return [None] * len(self)
        values = None if self._rest else self._column.all()
        if values is not None:
            for struct in self._structs:
                values = struct.mask(values)
        return values


def _step(value: Any, part: Any) -> Any:
    """One step of a path into a value; None where it does not fit."""
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list) and not isinstance(part, bool):
        try:
            return value[int(part)]
        except (ValueError, TypeError, IndexError):
            return None
    return None


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
