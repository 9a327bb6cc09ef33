"""The types of Athena's columns: as the catalog writes them, as a record has them, and as UNLOAD can write them.

UNLOAD writes the types that Hive knows, and times in milliseconds. A time of day, a UUID, a time with its zone and one
in microseconds (Iceberg has these) are therefore cast to text in the query, wherever in a column they lie, and read
back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from trapline.query import sql

_MILLIS, _MICROS = pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC")
_OTHER = pa.uuid()  # no condition is said of it
_ZONE = r"( UTC|[+]00(:?00)?|Z)$"


class UnknownType(ValueError):
    """It is no type that Athena reads."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type: `record` is a record's, `written` is Athena's name of what UNLOAD writes, `cast` whether it must be told.

    `asked` is what conditions in SQL take it for: not text, where Athena compares it in another way than the record's
    text. `fields` are those of a struct.
    """

    record: pa.DataType
    written: str
    asked: pa.DataType
    cast: bool = False
    fields: Mapping[str, Kind] = field(default_factory=dict)

    @classmethod
    def plain(cls, record: pa.DataType, written: str) -> Kind:
        """A type that is nothing else anywhere."""
        return cls(record, written, record)

    def select(self, value: str) -> str:
        """The value in SQL, as something that UNLOAD can write."""
        return f"CAST({value} AS {self.written})" if self.cast else value


def array_of(item: Kind) -> Kind:
    return Kind(pa.list_(item.record), f"ARRAY({item.written})", pa.list_(item.asked), item.cast)


def map_of(key: Kind, value: Kind) -> Kind:
    record, asked = pa.map_(key.record, value.record), pa.map_(key.asked, value.asked)
    return Kind(record, f"MAP({key.written}, {value.written})", asked, key.cast or value.cast)


def struct_of(fields: Iterable[tuple[str, Kind]]) -> Kind:
    kinds = dict(fields)
    written = ", ".join(f"{sql.name(name)} {kind.written}" for name, kind in kinds.items())
    record = pa.struct([(name, kind.record) for name, kind in kinds.items()])
    asked = pa.struct([(name, kind.asked) for name, kind in kinds.items()])
    return Kind(record, f"ROW({written})", asked, any(kind.cast for kind in kinds.values()), kinds)


def decimal(precision: int, scale: int) -> Kind:
    return Kind.plain(pa.decimal128(precision, scale), f"decimal({precision},{scale})")


TEXT = Kind.plain(pa.string(), "varchar")
_PADDED = Kind(pa.string(), "varchar", asked=_OTHER)
_AS_TEXT = Kind(pa.string(), "varchar", asked=_OTHER, cast=True)

PLAIN: dict[str, Kind] = {
    "boolean": Kind.plain(pa.bool_(), "boolean"),
    "tinyint": Kind.plain(pa.int8(), "tinyint"),
    "smallint": Kind.plain(pa.int16(), "smallint"),
    "int": Kind.plain(pa.int32(), "integer"),
    "integer": Kind.plain(pa.int32(), "integer"),
    "bigint": Kind.plain(pa.int64(), "bigint"),
    "long": Kind.plain(pa.int64(), "bigint"),
    "float": Kind.plain(pa.float32(), "real"),
    "real": Kind.plain(pa.float32(), "real"),
    "double": Kind.plain(pa.float64(), "double"),
    "decimal": decimal(10, 0),
    "string": TEXT,
    "varchar": TEXT,
    "binary": Kind.plain(pa.binary(), "varbinary"),
    "varbinary": Kind.plain(pa.binary(), "varbinary"),
    "date": Kind.plain(pa.date32(), "date"),
    "timestamp": Kind.plain(_MILLIS, "timestamp(3)"),
    "timestamp_micros": Kind(_MICROS, "varchar", _MICROS, cast=True),
    "timestamptz": Kind(_MICROS, "varchar", _MICROS, cast=True),
    "timestamp with time zone": Kind(_MICROS, "varchar", _MICROS, cast=True),
    "time": Kind(pa.time64("us"), "varchar", pa.time64("us"), cast=True),
    "uuid": _AS_TEXT,
    "ipaddress": _AS_TEXT,
}
"""The types without others inside, by the names that Glue, Athena and Iceberg have for them."""


def parse(text: str) -> Kind:
    """A type as Glue writes it, such as `struct<ip:string,ports:array<int>>`. Raises UnknownType."""
    parser = _Parser(text)
    kind = parser.kind()
    parser.expect("")
    return kind


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def kind(self) -> Kind:
        word = " ".join(self._until("<>,(").lower().split())
        if self._taken("("):
            numbers = self._until(")")
            self.expect(")")
            rest = self._until("<>,").lower().split()
            return _sized(" ".join([word, *rest]), numbers)
        if not self._taken("<"):
            return _plain(word)
        kind = self._nested(word)
        self.expect(">")
        return kind

    def _nested(self, word: str) -> Kind:
        if word == "array":
            return array_of(self.kind())
        if word == "map":
            key = self.kind()
            self.expect(",")
            return map_of(key, self.kind())
        if word == "struct":
            return struct_of(self._fields())
        raise UnknownType(f"{word}<...>")

    def _fields(self) -> list[tuple[str, Kind]]:
        fields: list[tuple[str, Kind]] = []
        while not fields or self._taken(","):
            name = self._until(":<>,").strip().strip("`")
            self.expect(":")
            fields.append((name, self.kind()))
        return fields

    def expect(self, sign: str) -> None:
        """The next sign, or with none the end."""
        if not (self._taken(sign) if sign else not self._text[self._at :].strip()):
            raise UnknownType(self._text)

    def _taken(self, sign: str) -> bool:
        rest = self._text[self._at :]
        found = rest.lstrip().startswith(sign)
        if found:
            self._at += len(rest) - len(rest.lstrip()) + len(sign)
        return found

    def _until(self, signs: str) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in signs:
            self._at += 1
        return self._text[start : self._at]


def _sized(word: str, numbers: str) -> Kind:
    """`varchar(10)`, `decimal(9,2)`, `timestamp(6) with time zone`."""
    sizes = [int(number) for number in numbers.split(",") if number.strip().isdecimal()]
    if word == "decimal" and 1 <= len(sizes) <= 2 and 0 < sizes[0] <= 38 and sizes[-1] <= sizes[0]:
        return decimal(sizes[0], sizes[1] if len(sizes) > 1 else 0)
    if word in ("varchar", "char") and len(sizes) == 1:
        return TEXT if word == "varchar" else _PADDED
    if word == "timestamp" and len(sizes) == 1:
        return PLAIN["timestamp" if sizes[0] <= 3 else "timestamp_micros"]
    if word in ("time", "timestamp with time zone") and len(sizes) == 1:
        return PLAIN[word]
    raise UnknownType(f"{word}({numbers})")


def _plain(word: str) -> Kind:
    try:
        return PLAIN[word]
    except KeyError:
        raise UnknownType(word) from None


def restored(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """What UNLOAD wrote as the type that a record has. Structs go by position: Athena writes names in small letters."""
    if array.type == kind:
        return array
    if array.offset:  # Arrow cannot put together lists that begin amid others
        array = array.take(pa.array(range(len(array)), pa.int64()))
    mask = array.is_null() if array.null_count else None
    if pa.types.is_struct(kind):
        inside = [restored(part, field.type) for part, field in zip(array.flatten(), kind, strict=True)]
        return pa.StructArray.from_arrays(inside, fields=list(kind), mask=mask)
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(array.offsets, restored(array.values, kind.value_type), type=kind, mask=mask)
    if pa.types.is_map(kind):
        keys, items = restored(array.keys, kind.key_type), restored(array.items, kind.item_type)
        return pa.MapArray.from_arrays(array.offsets, keys, items, type=kind, mask=mask)
    if _is_text(array.type):
        return _of_text(kind)(array)
    return array.cast(kind, safe=not pa.types.is_timestamp(kind))  # nanoseconds are written, and none are known


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _of_text(kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    def moment(array: pa.Array) -> pa.Array:
        return pc.replace_substring_regex(array, _ZONE, "").cast(pa.timestamp("us")).cast(kind)

    def time_of_day(array: pa.Array) -> pa.Array:
        return pc.binary_join_element_wise("1970-01-01", array, " ").cast(pa.timestamp("us")).cast(kind)

    if pa.types.is_timestamp(kind):
        return moment
    return time_of_day if pa.types.is_time(kind) else lambda array: array.cast(kind)
