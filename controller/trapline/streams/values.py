"""Values of JSON as the types of a table's columns: what fits is converted without loss, what does not is said.

As SQL engines read JSON: names are found whatever their case, a text column takes any value as its JSON text, a number
may be written as text, and a time without a zone is in UTC.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from trapline.tables.raw import is_unicode, json_text

Reader = Callable[[Any], Any]
"""A value of JSON, never null, as what Arrow makes a value of its type of. Raises Misfit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FRACTION = re.compile(r"(?<=\d)[.,](\d{1,9})\d*")
_EXACT = Context(prec=80)  # the widest decimals have 76 digits
_SHOWN = 60


class Misfit(Exception):
    """A value that does not fit its column's type: the dotted path of it, which grows on the way up, and why."""

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path

    def below(self, name: str) -> Misfit:
        """The same, seen from the column that the value is inside of."""
        return Misfit(self.why, f"{name}.{self.path}" if self.path else name)


def table_of(rows: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """The rows of JSON as a table of the schema. Raises Misfit, with the number of the row, counted from 1, in `why`.

    A row without any of the table's columns fits nothing, or another's files would be records of nulls.
    """
    read = _struct(list(schema))
    known = {name.lower() for name in schema.names}
    records = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise Misfit(f"row {number} is {_shown(row)}, no object")
        if not any(name.lower() in known for name in row):
            raise Misfit(f"row {number} has none of the table's columns")
        try:
            records.append(read(row))
        except Misfit as misfit:
            raise Misfit(f"row {number}: {misfit.why}", misfit.path) from None
    columns = [pa.array([record[field.name] for record in records], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _struct(fields: Sequence[pa.Field]) -> Reader:
    readers = [(field.name, field.name.lower(), reader_of(field.type)) for field in fields]

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _misfit(value, "object")
        found: dict[str, Any] = {}
        folded: Mapping[str, Any] | None = None
        for name, small, read_field in readers:
            inner = value.get(name)
            if inner is None and name not in value:
                if folded is None:
                    folded = {key.lower(): entry for key, entry in value.items()}
                inner = folded.get(small)
            try:
                found[name] = None if inner is None else read_field(inner)
            except Misfit as misfit:
                raise misfit.below(name) from None
        return found

    return read


def _list(kind: Any) -> Reader:
    read_item = reader_of(kind.value_type)
    size = kind.list_size if pa.types.is_fixed_size_list(kind) else None

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list) or (size is not None and len(value) != size):
            raise _misfit(value, "list" if size is None else f"list of {size}")
        return [None if item is None else read_item(item) for item in value]

    return read


def _map(kind: Any) -> Reader:
    read_key, read_item = reader_of(kind.key_type), reader_of(kind.item_type)

    def read(value: Any) -> list[tuple[Any, Any]]:
        if not isinstance(value, dict):
            raise _misfit(value, "object")
        entries = []
        for key, item in value.items():
            try:
                entries.append((read_key(key), None if item is None else read_item(item)))
            except Misfit as misfit:
                raise misfit.below(key) from None
        return entries

    return read


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json_text(value)
    # JSON may spell half a surrogate pair, which no column can hold; no other record is to be lost over it.
    return text if is_unicode(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _integer(kind: Any) -> Reader:
    low = -(2 ** (kind.bit_width - 1)) if pa.types.is_signed_integer(kind) else 0
    high = low + 2**kind.bit_width

    def read(value: Any) -> int:
        number = _number(value)
        if isinstance(number, float):
            if not number.is_integer():
                raise _misfit(value, "whole number")
            number = int(number)
        if number is None or not low <= number < high:
            raise _misfit(value, f"whole number of {kind}")
        return number

    return read


def _float(value: Any) -> float:
    try:
        number = _number(value)
        if number is not None:
            return float(number)
    except OverflowError:
        pass
    raise _misfit(value, "number")


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise _misfit(value, "boolean")


def _decimal(kind: Any) -> Reader:
    step = Decimal(1).scaleb(-kind.scale)
    most = Decimal(10) ** (kind.precision - kind.scale)

    def read(value: Any) -> Decimal:
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            try:
                number = Decimal(str(value))
                if number.is_finite() and abs(number) < most and _EXACT.remainder(number, step) == 0:
                    return number
            except InvalidOperation:
                pass
        raise _misfit(value, str(kind))

    return read


def _timestamp(kind: Any) -> Reader:
    per_second = _PER_SECOND[kind.unit]

    def read(value: Any) -> int:
        if not isinstance(value, str):
            raise _misfit(value, "time such as 2024-05-01T12:00:00Z")
        fraction = _FRACTION.search(value)
        try:
            at = datetime.fromisoformat(_FRACTION.sub("", value, count=1).strip())
        except ValueError:
            raise _misfit(value, "time such as 2024-05-01T12:00:00Z") from None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(seconds=1)
        parts = int(fraction[1].ljust(9, "0")) * per_second // 10**9 if fraction else 0
        ticks = seconds * per_second + parts
        if not -(2**63) <= ticks < 2**63:
            raise _misfit(value, f"time that {kind} holds")
        return ticks

    return read


def _iso(what: str, parse: Callable[[str], date | time]) -> Reader:
    def read(value: Any) -> date | time:
        try:
            return parse(value)
        except (TypeError, ValueError):
            raise _misfit(value, what) from None

    return read


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        raise _misfit(value, "text in base64") from None


def _null(value: Any) -> None:
    """A column that no file has a value in yet; its type is told when one has."""


def _other(kind: pa.DataType) -> Reader:
    def read(value: Any) -> Any:
        try:
            return pa.scalar(value, kind).as_py()
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise _misfit(value, str(kind)) from None

    return read


_PLAIN: Sequence[tuple[Callable[[Any], bool], Reader]] = (
    (lambda kind: _is_text(kind) or (pa.types.is_dictionary(kind) and _is_text(kind.value_type)), _text),
    (pa.types.is_boolean, _boolean),
    (pa.types.is_floating, _float),
    (pa.types.is_date, _iso("day such as 2024-05-01", date.fromisoformat)),
    (pa.types.is_time, _iso("time of day such as 12:00:00", time.fromisoformat)),
    (lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind), _bytes),
    (pa.types.is_null, _null),
)
_MADE: Sequence[tuple[Callable[[Any], bool], Callable[[Any], Reader]]] = (
    (pa.types.is_struct, lambda kind: _struct(list(kind))),
    (pa.types.is_map, _map),
    (lambda kind: is_list(kind), _list),
    (pa.types.is_integer, _integer),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_timestamp, _timestamp),
)


def reader_of(kind: pa.DataType) -> Reader:
    """How values of a type are read."""
    for fits, reader in _PLAIN:
        if fits(kind):
            return reader
    return next((make(kind) for fits, make in _MADE if fits(kind)), _other(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's lists, a map aside."""
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_one(kind) for is_one in lists)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _misfit(value: Any, wanted: str) -> Misfit:
    return Misfit(f"{_shown(value)} is no {wanted}")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
