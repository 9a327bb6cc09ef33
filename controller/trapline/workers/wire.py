"""A RecordBatch as a frame for a worker: a description of its columns, and the buffers they lie in, never copied."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from trapline.errors import TraplineError
from trapline.workers.interface import NO_MOCKS, PRESENCE_UNKNOWN, Sieve
from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import prefix

Node = dict[str, Any]

_MICROS = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
_SAMPLE = 1_024
_NUMBERS = {
    pa.int8(): ("b", 1),
    pa.int16(): ("h", 2),
    pa.int32(): ("i", 4),
    pa.int64(): ("q", 8),
    pa.uint8(): ("B", 1),
    pa.uint16(): ("H", 2),
    pa.uint32(): ("I", 4),
    pa.uint64(): ("Q", 8),
    pa.float32(): ("f", 4),
    pa.float64(): ("d", 8),
}


class UnreadableColumn(TraplineError):
    """A column has a type that no rule can read."""


def frame(header: dict[str, Any], buffers: Iterable[memoryview] = ()) -> list[memoryview]:
    """The parts of a frame, to be sent one after the other."""
    kept = list(buffers)
    text = json.dumps({**header, "buffers": [len(part) for part in kept]}, separators=(",", ":")).encode()
    return [memoryview(prefix(text) + text), *kept]


def batch_frame(
    batch: pa.RecordBatch, seq: int, *, sieve: Sieve | None = None, mocks: Mapping[str, Any] = NO_MOCKS
) -> list[memoryview]:
    """The frame that asks a worker for its verdicts on a batch; with a `sieve`, only for the rows."""
    sender = _Sender()
    node: Node = {"length": batch.num_rows, "children": sender.children(batch.schema.names, batch.columns)}
    if sieve is not None:
        _say_what_is_missing(node, batch.schema, sieve.schema)
    asked = {"type": "batch", "seq": seq, "sieve": sieve is not None, "mocks": dict(mocks)}
    return frame({**asked, "batch": node}, sender.buffers)


def probe_frame(batch: pa.RecordBatch, seq: int) -> list[memoryview]:
    """The frame that asks a worker what the expressions of `detect` come to on the one record of a batch."""
    sender = _Sender()
    node: Node = {"length": batch.num_rows, "children": sender.children(batch.schema.names, batch.columns)}
    return frame({"type": "probe", "seq": seq, "batch": node}, sender.buffers)


def _say_what_is_missing(node: Node, sent: Iterable[pa.Field], full: Iterable[pa.Field]) -> None:
    """Adds to a description the names of all there is, for the batch and every struct that lacks some of it."""
    there = {one.name: one for one in full}
    names = {name for name, _ in node["children"]}
    if strange := names - there.keys():
        raise ValueError(f"columns that the table does not have: {', '.join(sorted(strange))}")
    if len(names) < len(there):
        node["names"] = list(there)
    for part, (name, child) in zip(sent, node["children"], strict=True):
        if child["type"] == "struct" and pa.types.is_struct(part.type):
            _say_what_is_missing(child, part.type, there[name].type)
            if PRESENCE_UNKNOWN.items() <= (part.metadata or {}).items():
                child["presence"] = False
                child.pop("validity", None)


def full_records(batch: pa.RecordBatch, rows: Sequence[int]) -> list[dict[str, Any]]:
    """These rows whole, as plain dicts: decoded as a worker decodes them, so that host and rule see the same."""
    try:
        return _dicts(batch.take(pa.array(rows, pa.int64())))
    except pa.ArrowNotImplementedError:  # some types, those of views among them, cannot be gathered
        return [record for row in rows for record in _dicts(batch.slice(row, 1))]


def _dicts(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    sender = _Sender()
    node = {"length": batch.num_rows, "children": sender.children(batch.schema.names, batch.columns)}
    make = Fields(node, sender.buffers).maker(0, batch.num_rows)
    return [make(row) for row in range(batch.num_rows)]


@dataclass(slots=True)
class _Sender:
    """Describes arrays, and gathers what of their buffers their rows refer to. Slices are cut here, not copied."""

    buffers: list[memoryview] = field(default_factory=list)

    def children(self, names: Iterable[str], arrays: Iterable[pa.Array]) -> list[tuple[str, Node]]:
        described = []
        for name, array in zip(names, arrays, strict=True):
            try:
                described.append((name, self.node(array)))
            except pa.ArrowException as error:
                raise UnreadableColumn(
                    f"column {name} has the type {array.type}, which a rule cannot read: {error}",
                    remedy="cast it in the table, or leave the column out",
                ) from error
        return described

    def node(self, array: pa.Array) -> Node:
        """The description of one array."""
        array = _by_its_values(_plain(array))
        node: Node = {"length": len(array)}
        if array.null_count and array.type != pa.null() and (valid := array.buffers()[0]) is not None:
            node["validity"] = self._bits(valid, array)
            node["skip"] = array.offset % 8
        return node | self._content(array)

    def _content(self, array: pa.Array) -> Node:
        kind = array.type
        if pa.types.is_struct(kind):
            names = [kind.field(index).name for index in range(kind.num_fields)]
            fields = [array.field(index) for index in range(kind.num_fields)]  # cut to the rows of a slice already
            return {"type": "struct", "children": self.children(names, fields)}
        if pa.types.is_dictionary(kind):
            format_, width = _NUMBERS[kind.index_type]
            children = self.children(["values"], [array.dictionary])
            return {"type": "dictionary", "indices": format_, **self._fixed(array, width), "children": children}
        if pa.types.is_fixed_size_list(kind):
            size = kind.list_size
            items = array.values.slice(array.offset * size, len(array) * size)
            return {"type": "list", "size": size, "children": self.children(["item"], [items])}
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
            return self._lists(array)
        if _has_offsets(kind):
            return self._texts(array)
        return self._scalars(array, kind)

    def _scalars(self, array: pa.Array, kind: pa.DataType) -> Node:
        types = pa.types
        micros = {"timestamp": types.is_timestamp, "time": types.is_time, "duration": types.is_duration}
        if types.is_null(kind):
            return {"type": "null"}
        if types.is_boolean(kind):
            return {"type": "bool", "buffers": [self._bits(array.buffers()[1], array)], "data_skip": array.offset % 8}
        if kind in _NUMBERS:
            format_, width = _NUMBERS[kind]
            return {"type": "number", "format": format_, **self._fixed(array, width)}
        if types.is_float16(kind):
            return {"type": "half", **self._fixed(array, 2)}
        if types.is_decimal(kind):
            width = kind.bit_width // 8
            return {"type": "decimal", "width": width, "scale": kind.scale, **self._fixed(array, width)}
        if types.is_fixed_size_binary(kind):
            return {"type": "fixed_bytes", "width": kind.byte_width, **self._fixed(array, kind.byte_width)}
        if types.is_date(kind):
            days = types.is_date32(kind)
            return self._integers(array, "date", 4 if days else 8) | {"per_day": 1 if days else 86_400_000}
        for name, matches in micros.items():
            if matches(kind):
                return self._integers(array, name, kind.bit_width // 8) | {"micros": _MICROS[kind.unit]}
        raise pa.ArrowNotImplementedError("not supported")

    def _integers(self, array: pa.Array, kind: str, width: int) -> Node:
        return {"type": kind, "format": "i" if width == 4 else "q", **self._fixed(array, width)}

    def _texts(self, array: pa.Array) -> Node:
        kind = array.type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        _valid, offsets, data = array.buffers()
        node, first, last = self._offsets(array, offsets)
        node["buffers"].append(self._add(data, first, last))
        return {"type": "text" if text else "bytes", **node}

    def _lists(self, array: pa.Array) -> Node:
        node, first, last = self._offsets(array, array.buffers()[1])
        items = array.values.slice(first, last - first)
        kind = "map" if pa.types.is_map(array.type) else "list"
        if kind == "map":  # Arrow does not prescribe what the parts of an entry are called
            items = pa.StructArray.from_arrays([items.field(0), items.field(1)], names=["key", "value"])
        return {"type": kind, **node, "children": self.children(["item"], [items])}

    def _offsets(self, array: pa.Array, buffer: pa.Buffer | None) -> tuple[Node, int, int]:
        """The offsets of the rows of a (perhaps sliced) array, as they are, with the first and the last of them."""
        width = 8 if _is_large(array.type) else 4
        format_: Literal["q", "i"] = "q" if width == 8 else "i"
        if not len(array) or buffer is None:  # Arrow lets an empty array have no offsets at all
            self.buffers.append(memoryview(bytes(width)))
            return {"offsets": format_, "buffers": [len(self.buffers) - 1]}, 0, 0
        index = self._add(buffer, array.offset * width, (array.offset + len(array) + 1) * width)
        offsets = self.buffers[index].cast(format_)
        return {"offsets": format_, "buffers": [index]}, offsets[0], offsets[-1]

    def _fixed(self, array: pa.Array, width: int) -> Node:
        start = array.offset * width
        return {"buffers": [self._add(array.buffers()[1], start, start + len(array) * width)]}

    def _bits(self, buffer: pa.Buffer, array: pa.Array) -> int:
        return self._add(buffer, array.offset // 8, (array.offset + len(array) + 7) // 8)

    def _add(self, buffer: pa.Buffer | None, start: int, stop: int) -> int:
        view = memoryview(buffer if buffer is not None else b"").cast("B")
        self.buffers.append(view[start:stop])
        return len(self.buffers) - 1


def _plain(array: pa.Array) -> pa.Array:
    """The same values in a type of the wire: extension, view and run-end types are for other readers."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_run_end_encoded(kind):
        return _plain(_compute().run_end_decode(array))
    if pa.types.is_string_view(kind):
        return array.cast(pa.large_string())
    if pa.types.is_binary_view(kind):
        return array.cast(pa.large_binary())
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return _contiguous(array)
    return array


def _by_its_values(array: pa.Array) -> pa.Array:
    """Text that says the same few things again and again, dictionary-encoded: a worker decodes what it says once.

    That costs a fifth of what it saves. Whether it does is judged by the first values.
    """
    if len(array) < 4 * _SAMPLE or not _has_offsets(array.type):
        return array
    few = len(array.slice(0, _SAMPLE).dictionary_encode().dictionary) < _SAMPLE / 2
    return array.dictionary_encode("encode") if few else array


def _contiguous(array: pa.Array) -> pa.Array:
    """A list view as a list. (Arrow's own cast reads beyond its buffers where the array is a slice.)"""
    pc = _compute()
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64())
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
    return pa.LargeListArray.from_arrays(offsets, array.flatten(), mask=array.is_null())


def _has_offsets(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )


def _is_large(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_large_string(kind) or types.is_large_binary(kind) or types.is_large_list(kind))


def _compute() -> Any:
    """Arrow's functions, which take long to load, and few columns need them."""
    import pyarrow.compute as pc

    return pc
