"""Where values are found by name or by path: a column row by row at first, and as a list once it is touched often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trapline_sandbox.columns import Column, Fields

# A column is decoded whole once one row in so many was touched: a value alone costs as much as twenty in bulk.
WHOLE_AT = 100


class Cells(Sequence[Any]):
    """The values at one path, decoded row by row until decoding the whole column is the cheaper way."""

    def __init__(self, fields: Fields, parts: list[Any], home: dict[Any, Sequence[Any]], key: Any) -> None:
        """`home[key]` is where these are, and where the plain list is put in their place."""
        self._fields = fields
        self._home, self._key = home, key
        self._touches = 0
        self._structs: list[Column] = []
        self._column: Column | None = None
        self._rest = self._descend(parts)

    def _descend(self, parts: list[Any]) -> list[Any]:
        """Follows the path through structs, and returns what is left of it beyond them."""
        inside: Fields | None = self._fields
        while parts and inside is not None:
            name = parts.pop(0)
            self._column = inside.columns.get(name)
            if self._column is None and name in inside.names:
                inside.miss()
            inside = self._column.fields if self._column is not None and parts else None
            if inside is not None and self._column is not None:
                self._structs.append(self._column)
        return parts

    def __len__(self) -> int:
        return self._fields.length

    def __getitem__(self, row: Any) -> Any:
        self._touches += 1
        if self._touches * WHOLE_AT > len(self) and (values := self._all()) is not None:
            self._home[self._key] = values
            return values[row]
        if self._column is None or not all(struct.has(row) for struct in self._structs):
            return None
        value = self._column.one(row)
        for part in self._rest:
            value = _step(value, part)
        return value

    def _all(self) -> list[Any] | None:
        if self._column is None or (self._rest and self._column.scalar):
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


def explained(name: object, names: list[str]) -> str:
    """What to say of a name that is none of these."""
    import difflib

    close = difflib.get_close_matches(str(name), names, n=1)
    guess = f" did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"no field {name!r} here;{guess} fields are {shown or 'none'}"
