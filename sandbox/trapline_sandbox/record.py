"""The record a rule is given: a nested, read-only mapping that is a view of one row, decoding only what is touched."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from datetime import date, datetime, time, timedelta
from itertools import chain, repeat
from json import dumps
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from trapline_sandbox.columns import Fields

Path = str | Sequence[str | int]


class NoSuchField(KeyError):
    """A KeyError that reads well: KeyError itself prints its message in quotes."""

    def __str__(self) -> str:
        return str(self.args[0])


class Record(Mapping[str, Any]):
    """One record. In a table every record has every column, so a null is how an absent value looks.

    `deepget` and `get` give their default for both; `[]` gives None for a null, and KeyError where there is no column.
    """

    __slots__ = ("_fields", "_row")
    _fields: Fields
    _row: int

    def __init__(self, fields: Fields, row: int) -> None:
        _set_fields(self, fields)
        _set_row(self, row)

    def deepget(self, path: Path, default: Any = None) -> Any:
        """The value at a path such as "event.action" or ["resources", 0, "arn"]; `default` where there is none.

        It never raises for what a record lacks: a null, a list or a scalar on the way gives the default too.
        """
        try:
            value = self._fields.paths[path][self._row]
        except (KeyError, TypeError):  # not touched before, or a list, which cannot be a key
            value = self._fields.at(path)[self._row]
        return default if value is None else value

    def __getitem__(self, name: str) -> Any:
        try:
            return self._fields.values[name][self._row]
        except KeyError:
            return self._fields.named(name)[self._row]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of one field; `default` where it is null or there is no such field."""
        value = self[key] if key in self._fields.names else None
        return default if value is None else value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._fields.names

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields.names)

    def __len__(self) -> int:
        return len(self._fields.names)

    def keys(self) -> KeysView[str]:
        """The names of all fields."""
        return self._fields.names.keys()

    def items(self) -> ItemsView[str, Any]:
        """All fields with their values, nested records as they are."""
        return {name: self[name] for name in self._fields.names}.items()

    def values(self) -> ValuesView[Any]:
        """The values of all fields."""
        return dict(self.items()).values()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record):
            other = other.to_dict()
        return self.to_dict() == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to a dict, so hashable no more than one

    def __repr__(self) -> str:
        return f"Record({self.to_dict()!r})"

    def to_dict(self) -> dict[str, Any]:
        """A deep copy in plain dicts, lists and scalars, which may be changed at will."""
        copy: dict[str, Any] = self._fields.copied(self._row)
        return copy

    def to_json(self) -> str:
        """The record as JSON text; what JSON lacks is written as `plain` writes it."""
        return dumps(jsonable(self.to_dict()), ensure_ascii=False)

    def __copy__(self) -> Record:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Record:
        return self  # immutable, as a tuple is

    def __getattr__(self, name: str) -> NoReturn:
        hint = f'; write record["{name}"] or record.deepget("{name}")' if name in self._fields.names else ""
        raise AttributeError(f"a record has no attribute {name!r}{hint}")

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("records are read-only; copy with record.to_dict() and change the copy")

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = _refuse
    update = pop = popitem = setdefault = clear = _refuse


_new = Record.__new__
_set_fields = Record._fields.__set__  # type: ignore[attr-defined]  # past __setattr__, which refuses
_set_row = Record._row.__set__  # type: ignore[attr-defined]
_AT_A_TIME = 500  # fewer than what makes the garbage collector look


def records(fields: Fields, rows: range) -> list[Record]:
    """A record for each of the rows, made in C: three times as fast as calling the class for each."""
    made = list(map(_new, repeat(Record, len(rows))))
    any(map(_set_fields, made, repeat(fields)))  # the setters give None, so any() runs through
    any(map(_set_row, made, rows))
    return made


def each_record(fields: Fields) -> Iterator[Record]:
    """The records one after the other, made a few at a time: they stay in the cache, and their room is used again.

    They end early where one of them was asked for what the batch does not hold.
    """
    starts = range(0, fields.length, _AT_A_TIME)
    return chain.from_iterable(
        records(fields, range(start, min(start + _AT_A_TIME, fields.length))) for start in starts if not fields.missed
    )


def plain(value: Any) -> Any:
    """For `json.dumps(record, default=trapline_sandbox.plain)`: what JSON lacks, in what JSON has.

    Records become dicts, times ISO 8601 text, durations seconds, bytes base64 text, decimals their digits as text.
    """
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return b2a_base64(value, newline=False).decode()
    from decimal import Decimal

    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


_LISTS = (list, tuple, set, frozenset)
_NESTED = (Mapping, *_LISTS)


def jsonable(value: Any, *, depth: int = 32) -> Any:
    """Any value as plain JSON: text keys, no NaN, valid UTF-8; an object that has no JSON form as its str()."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float):
        return value if value - value == 0 else str(value)  # NaN and the infinities fail this test
    if depth == 0:
        return "(nested too deeply)"
    if isinstance(value, Mapping):
        made = {}
        for key, item in value.items():
            kind = type(item)  # asked here too: it spares a call for nearly all that a record holds
            if not (item is None or kind is bool or kind is int or (kind is str and item.isascii())):
                item = jsonable(item, depth=depth - 1)
            made[key if type(key) is str and key.isascii() else _key(key)] = item
        return made
    if isinstance(value, _LISTS):
        return [jsonable(item, depth=depth - 1) for item in value]
    try:
        return plain(value)
    except TypeError:
        return clean(str(value))


def values_in(value: Any, most: int, *, depth: int = 32) -> int:
    """How many values `jsonable` would write for one; past `most` it is not counted on."""
    count, rest = 0, [(value, depth)]
    while rest and count <= most:
        value, depth = rest.pop()
        inside = value.values() if isinstance(value, Mapping) else value
        count += len(inside)
        if depth > 1:
            rest += [(item, depth - 1) for item in inside if isinstance(item, _NESTED)]
    return count


def clean(text: str, limit: int | None = None) -> str:
    """Text without lone surrogates, at most `limit` characters long."""
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if type(text) is str and text.isascii() else str.encode(text, "utf-8", "replace").decode()


def _key(key: Any) -> str:
    return clean(key if isinstance(key, str) else str(jsonable(key)))
