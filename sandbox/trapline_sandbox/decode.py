"""From the bytes of an Arrow array to Python values: one function for each kind of scalar, over a range of rows."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

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
    slices = _slices(node, buffers)

    def decode(start: int, stop: int) -> list[Any]:
        data, offsets = slices(start, stop)
        if data.isascii():  # one character a byte: decode once, then cut
            text = data.decode("ascii")
            return [text[a:b] for a, b in pairwise(offsets)]
        return [data[a:b].decode("utf-8", "replace") for a, b in pairwise(offsets)]

    return decode


def _bytes(node: Node, buffers: Buffers) -> Decode:
    slices = _slices(node, buffers)

    def decode(start: int, stop: int) -> list[Any]:
        data, offsets = slices(start, stop)
        return [data[a:b] for a, b in pairwise(offsets)]

    return decode


def _slices(node: Any, buffers: Buffers) -> Callable[[int, int], tuple[bytes, list[int]]]:
    """The bytes of a range of rows, and where in them each row begins (and the last one ends)."""
    offsets, data = buffers[0].cast(node["offsets"]), buffers[1]
    base: int = offsets[0]  # the sender cuts the data to what is referred to, but leaves the offsets as they are

    def cut(start: int, stop: int) -> tuple[bytes, list[int]]:
        wanted = offsets[start : stop + 1].tolist()
        first = wanted[0]
        return bytes(data[first - base : wanted[-1] - base]), [at - first for at in wanted] if first else wanted

    return cut


def _fixed_bytes(node: Node, buffers: Buffers) -> Decode:
    data, width = buffers[0], node["width"]
    return lambda start, stop: [bytes(data[at * width : (at + 1) * width]) for at in range(start, stop)]


def _date(node: Node, buffers: Buffers) -> Decode:
    days: Callable[[int, int], list[int]] = _number(node, buffers)
    per_day = node["per_day"]
    return lambda start, stop: [_day(number // per_day) for number in days(start, stop)]


def _timestamp(node: Node, buffers: Buffers) -> Decode:
    numbers, (up, down) = _number(node, buffers), node["micros"]
    return lambda start, stop: [_instant(number * up // down) for number in numbers(start, stop)]


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
