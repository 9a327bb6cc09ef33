"""What a probe found, as a tree: each expression of the condition in its source's words, under what it is a part of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import decode_source
from itertools import accumulate

from trapline.workers.interface import ProbedValue, ProbeReply, Span

NOT_REACHED = "not evaluated"
PART = "…"


@dataclass(frozen=True, slots=True)
class Line:
    """One expression: how deep it lies in others, where, its text on one line, and what it came to.

    `outline` is the text with PART in place of what has lines of its own.
    """

    depth: int
    line: int
    text: str
    outline: str
    value: str


@dataclass(slots=True)
class _Node:
    """An expression from `start` to `end` of the source, and those of which it is made."""

    one: ProbedValue
    start: int
    end: int
    parts: list[_Node]


def tree(source: bytes, reply: ProbeReply) -> list[Line]:
    """The expressions in the order of the source; of what was not evaluated only the outermost."""
    text = decode_source(source)
    return [line for node in _nested(text, reply) for line in _lines(text, node, reply, 0)]


def _nested(text: str, reply: ProbeReply) -> list[_Node]:
    """The outermost expressions. A worker may say that they lie anywhere: what is nowhere in the source is left out."""
    starts = [*accumulate((len(line) + 1 for line in text.split("\n")), initial=0)]
    top = _Node(ProbedValue(Span(0, 0, 0, 0), None, 0), 0, len(text), [])
    around = [top]
    for one in sorted(reply.values, key=lambda each: _order(each.span)):
        span = one.span
        if not (0 < span.line <= span.end_line < len(starts)):
            continue
        node = _Node(one, starts[span.line - 1] + span.column, starts[span.end_line - 1] + span.end_column, [])
        while len(around) > 1 and node.end > around[-1].end:
            around.pop()
        around[-1].parts.append(node)
        around.append(node)
    return top.parts


def _lines(text: str, node: _Node, reply: ProbeReply, depth: int) -> Iterator[Line]:
    value = _value(node, reply)
    outline, at = "", node.start
    for part in node.parts:
        outline, at = f"{outline}{text[at : part.start]}{PART}", part.end
    outline += text[at : node.end]
    line = Line(depth, node.one.span.line, _flat(text[node.start : node.end]), _flat(outline), value)
    if value == NOT_REACHED:
        yield replace(line, outline=line.text)
        return
    yield line
    for part in node.parts:
        yield from _lines(text, part, reply, depth + 1)


def _value(node: _Node, reply: ProbeReply) -> str:
    one = node.one
    if one.value is not None:
        return one.value if one.times == 1 else f"{one.value} (the last of {one.times:,})"
    if reply.raised is None or reply.failure is None or not _is_in(reply.raised, one.span):
        return NOT_REACHED
    inside = any(_is_in(reply.raised, part.one.span) for part in node.parts)
    return "none: it raised" if inside else f"raised {reply.failure.error}"


def _order(span: Span) -> tuple[int, int, int, int]:
    return span.line, span.column, -span.end_line, -span.end_column


def _is_in(inner: Span, outer: Span) -> bool:
    starts = (outer.line, outer.column) <= (inner.line, inner.column)
    return starts and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)


def _flat(text: str) -> str:
    return " ".join(text.split())
