"""From the bytes of an Arrow array to Python values: one function for each kind of scalar, over a range of rows."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, AnyStr

Node = dict[str, Any]
Buffers = Sequence[memoryview]
Decode = Callable[[int, int], list[Any]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX_DAY = date(1970, 1, 1).toordinal()
_BITS = [bytes(byte >> bit & 1 for bit in range(8)) for byte in range(256)]


def bits(buffer: memoryview, start: int, count: int) -> bytes:
    """`count` bits from bit `start` on, as bytes of 0 and 1."""
    first = start >> 3
    spread = b"".join(map(_BITS.__getitem__, buffer[first : (start + count + 7) >> 3]))
    skip = start - (first << 3)
    return spread[skip : skip + count]


def decoder(node: Node, buffers: Buffers) -> Decode:
    """The function that decodes a range of rows of this array; nulls come out as anything at all."""
    return _KINDS[node["type"]](node, [buffers[index] for index in node.get("buffers", ())])


def _null(_node: Node, _buffers: Buffers) -> Decode:
    return lambda start, stop: [None] * (stop - start)


def _bool(node: Node, buffers: Buffers) -> Decode:
    data, skip = buffers[0], node.get("data_skip", 0)
    return lambda start, stop: [bit == 1 for bit in bits(data, skip + start, stop - start)]


def _number(node: Node, buffers: Buffers) -> Decode:
    data = buffers[0].cast(node["format"])
    return lambda start, stop: data[start:stop].tolist()


def _half(_node: Node, buffers: Buffers) -> Decode:
    data = buffers[0]  # memoryview cannot cast to half floats before Python 3.12
    return lambda start, stop: list(struct.unpack(f"<{stop - start}e", data[start * 2 : stop * 2]))


def _decimal(node: Node, buffers: Buffers) -> Decode:
    from decimal import Context, Decimal

    data, width, exponent = buffers[0], node["width"], -node["scale"]
    exact = Context(prec=80)

    def decode(start: int, stop: int) -> list[Any]:
        places = range(start * width, stop * width, width)
        numbers = (int.from_bytes(data[at : at + width], "little", signed=True) for at in places)
        return [Decimal(number).scaleb(exponent, exact) for number in numbers]

    return decode


def _text(node: Node, buffers: Buffers) -> Decode:
    range_of = _range_of(node, buffers)

    def decode(start: int, stop: int) -> list[Any]:
        data, offsets = range_of(start, stop)
        if data.isascii():  # one character a byte: decode once, then cut
            return _cut(data.decode("ascii"), offsets)
        return [part.decode("utf-8", "replace") for part in _cut(data, offsets)]

    return decode


def _bytes(node: Node, buffers: Buffers) -> Decode:
    range_of = _range_of(node, buffers)
    return lambda start, stop: _cut(*range_of(start, stop))


def _range_of(node: Any, buffers: Buffers) -> Callable[[int, int], tuple[bytes, list[int]]]:
    """The bytes of a range of rows, and the offsets between which they lie."""
    offsets, data = buffers[0].cast(node["offsets"]), buffers[1]
    base: int = offsets[0]  # the sender cuts the data to what is referred to, but leaves the offsets as they are

    def range_of(start: int, stop: int) -> tuple[bytes, list[int]]:
        wanted = offsets[start : stop + 1].tolist()
        return bytes(data[wanted[0] - base : wanted[-1] - base]), wanted

    return range_of


def _cut(whole: AnyStr, offsets: list[int]) -> list[AnyStr]:
    """What lies between the offsets, of which the first is where all of it begins."""
    first, at = offsets[0], 0
    return [whole[at : (at := end - first)] for end in offsets[1:]]


def _fixed_bytes(node: Node, buffers: Buffers) -> Decode:
    data, width = buffers[0], node["width"]
    return lambda start, stop: [bytes(data[at * width : (at + 1) * width]) for at in range(start, stop)]


def _date(node: Node, buffers: Buffers) -> Decode:
    days: Callable[[int, int], list[int]] = _number(node, buffers)
    per_day = node["per_day"]
    return lambda start, stop: [_day(number // per_day) for number in days(start, stop)]


def _timestamp(node: Node, buffers: Buffers) -> Decode:
    numbers, (up, down) = _number(node, buffers), node["micros"]

    def decode(start: int, stop: int) -> list[Any]:
        micros = [number * up // down for number in numbers(start, stop)]
        try:
            return [EPOCH + timedelta(0, 0, number) for number in micros]
        except OverflowError:
            return [_instant(number) for number in micros]

    return decode


def _time(node: Node, buffers: Buffers) -> Decode:
    numbers, (up, down) = _number(node, buffers), node["micros"]
    return lambda start, stop: [_clock(number * up // down) for number in numbers(start, stop)]


def _duration(node: Node, buffers: Buffers) -> Decode:
    numbers, (up, down) = _number(node, buffers), node["micros"]
    return lambda start, stop: [_span(number * up // down) for number in numbers(start, stop)]


# Values beyond what Python can hold become the nearest it can: an absurd time in a log must not hide its record.


def _instant(micros: int) -> datetime:
    try:
        return EPOCH + timedelta(0, 0, micros)
    except OverflowError:
        return (datetime.max if micros > 0 else datetime.min).replace(tzinfo=UTC)


def _day(number: int) -> date:
    return date.fromordinal(min(max(number + _UNIX_DAY, 1), date.max.toordinal()))


def _clock(micros: int) -> time:
    return (EPOCH + timedelta(0, 0, micros % 86_400_000_000)).time()


def _span(micros: int) -> timedelta:
    try:
        return timedelta(0, 0, micros)
    except OverflowError:
        return timedelta.max if micros > 0 else timedelta.min


_KINDS: dict[str, Callable[[Node, Buffers], Decode]] = {
    "null": _null,
    "bool": _bool,
    "number": _number,
    "half": _half,
    "decimal": _decimal,
    "text": _text,
    "bytes": _bytes,
    "fixed_bytes": _fixed_bytes,
    "date": _date,
    "timestamp": _timestamp,
    "time": _time,
    "duration": _duration,
}
