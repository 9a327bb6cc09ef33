"""Records against plain dicts: whatever is asked of one, the other says the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.generated import batches, partial, plain_rows
from trapline.workers.interface import Sieve
from trapline.workers.wire import full_records
from trapline_sandbox.columns import Fields, NotSent
from trapline_sandbox.record import Record, jsonable, records

Make = Callable[..., Fields]
Question = tuple[str, Callable[[Record], Any], Callable[[dict[str, Any]], Any]]
DEFAULT = object()

PARTS = st.sampled_from(["c0", "c1", "c2", "f0", "f1", "f2", "0", "-1", "", "nope", 0, 1, -1, True])
PATHS = st.lists(PARTS, max_size=4)


def _walk(value: Any, path: list[Any]) -> Any:
    """`deepget`, as docs/reference/record.md has it."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and not isinstance(part, bool) and str(part).lstrip("-").isdigit():
            value = value[int(part)] if -len(value) <= int(part) < len(value) else None
        else:
            value = None
    return DEFAULT if value is None or not path else value


def _or_error(name: str) -> Callable[[Mapping[str, Any]], Any]:
    def ask(mapping: Mapping[str, Any]) -> Any:
        try:
            return mapping[name]
        except KeyError:
            return KeyError

    return ask


def _questions(path: list[Any]) -> Iterator[Question]:
    yield "iter", list, list
    yield "len", len, len
    yield "bool", bool, bool
    yield "dict", dict, dict
    yield "keys", lambda r: list(r.keys()), lambda p: list(p.keys())
    yield "items", lambda r: list(r.items()), lambda p: list(p.items())
    yield "values", lambda r: list(r.values()), lambda p: list(p.values())
    yield "to_dict", lambda r: r.to_dict(), lambda p: p
    yield "to_json", lambda r: json.loads(r.to_json()), lambda p: json.loads(json.dumps(jsonable(p)))
    yield "copy", lambda r: copy.copy(r).to_dict(), lambda p: p
    yield "deepcopy", copy.deepcopy, lambda p: p
    for name in ("c0", "c1", "c2", "nope"):
        yield f"[{name}]", _or_error(name), _or_error(name)
        yield f"{name} in", lambda r, name=name: name in r, lambda p, name=name: name in p
        yield f"get {name}", lambda r, name=name: r.get(name, DEFAULT), lambda p, name=name: _walk(p, [name])
        yield f"inside {name}", _inside(name), _inside(name)
    yield f"deepget {path}", lambda r: r.deepget(path, DEFAULT), lambda p: _walk(p, path)
    yield f"deepget ({path})", lambda r: r.deepget(tuple(path), DEFAULT), lambda p: _walk(p, path)
    dotted = ".".join(map(str, path))
    yield f"deepget {dotted!r}", lambda r: r.deepget(dotted, DEFAULT), lambda p: _walk(p, dotted.split("."))


def _inside(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Every value of a nested record, one by one."""

    def ask(mapping: Mapping[str, Any]) -> Any:
        inside = mapping.get(name)
        return [inside[field] for field in inside if field in ("f0", "f2")] if isinstance(inside, Mapping) else None

    return ask


def _same(one: Any, other: Any) -> bool:
    """Equal, of the same types, and NaN is NaN."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and one != one:
        return isinstance(other, float) and other != other
    return type(one) is type(other) and bool(one == other)


@settings(max_examples=100, deadline=None)
@given(batch=batches(), path=PATHS, data=st.data())
def test_a_record_says_what_a_dict_would(fields_of: Make, batch: pa.RecordBatch, path: list[Any], data: Any) -> None:
    rows = plain_rows(batch)
    made = records(fields_of(batch), range(batch.num_rows))
    order = data.draw(st.lists(st.sampled_from(range(batch.num_rows)), max_size=30)) if rows else []
    for row in (*order, *range(batch.num_rows)):
        for what, ask, tell in _questions(path):
            assert _same(ask(made[row]), tell(rows[row])), what
        if "nan" not in repr(rows[row]):  # which equals itself only where it is the very same object
            assert made[row] == rows[row] == made[row] == made[row]
    numbers = sorted(set(order))
    assert _same(full_records(batch, numbers), [rows[row] for row in numbers])


@settings(max_examples=100, deadline=None)
@given(batch=batches())
def test_what_is_handed_out_can_be_changed(fields_of: Make, batch: pa.RecordBatch) -> None:
    rows = plain_rows(batch)
    made = records(fields_of(batch), range(batch.num_rows))
    for row, record in enumerate(made):
        for out in (record.to_dict(), dict(record), record.get("c0"), record.deepget("c0.f0")):
            _spoil(out)
        assert _same(record.to_dict(), rows[row])
    assert _same([record.to_dict() for record in made], rows)
    assert _same([dict(record) for record in made], rows)


def _spoil(value: Any) -> None:
    if isinstance(value, dict | list):
        for inner in list(value.values() if isinstance(value, dict) else value):
            _spoil(inner)
        value.clear()


@settings(max_examples=100, deadline=None)
@given(batch=batches(), path=PATHS, data=st.data())
def test_a_partial_record_says_the_same_or_is_missed(
    fields_of: Make, batch: pa.RecordBatch, path: list[Any], data: Any
) -> None:
    sent = data.draw(partial(batch))
    if "only_for_its_length" in sent.schema.names:
        batch = batch.append_column("only_for_its_length", sent.column("only_for_its_length"))
    sieve, rows = Sieve(batch.schema), plain_rows(batch)
    for what, ask, tell in _questions(path):
        fields = fields_of(sent, sieve)
        for record, row in zip(records(fields, range(batch.num_rows)), rows, strict=True):
            try:
                answer = _thawed(ask(record))
            except NotSent:
                assert fields.missed, what
                break
            assert not fields.missed, what
            assert _same(answer, tell(row)), what


def _thawed(answer: Any) -> Any:
    """The answer with all that is in it, which may be missed too."""
    if isinstance(answer, Mapping):
        return {key: _thawed(answer[key]) for key in answer}
    return [_thawed(one) for one in answer] if isinstance(answer, list | tuple) else answer
