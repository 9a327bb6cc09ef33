"""Sigma's detections, interpreted on CloudTrail's own events, straight from the specification.

It shares nothing with what it is held against: neither code, nor pySigma, nor the columns of the table.
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

STAR, ONE = "<star>", "<one>"
Tokens = tuple[str, ...]


def matches(detection: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    conditions = detection["condition"]
    selections = {name: value for name, value in detection.items() if name != "condition"}
    listed = conditions if isinstance(conditions, list) else [conditions]
    return any(
        _Condition(text, lambda name: _selection(selections[name], event), [*selections]).holds() for text in listed
    )


class _Condition:
    """`or` binds less than `and`, and that less than `not`."""

    def __init__(self, text: str, holds: Callable[[str], bool], names: Sequence[str]) -> None:
        self._words = re.findall(r"[()]|[^\s()]+", text)
        self._holds, self._names = holds, names

    def holds(self) -> bool:
        result = self._or()
        assert not self._words
        return result

    def _or(self) -> bool:
        found = [self._and()]
        while self._words[:1] == ["or"]:
            self._words.pop(0)
            found.append(self._and())
        return any(found)

    def _and(self) -> bool:
        found = [self._not()]
        while self._words[:1] == ["and"]:
            self._words.pop(0)
            found.append(self._not())
        return all(found)

    def _not(self) -> bool:
        word = self._words.pop(0)
        if word == "not":
            return not self._not()
        if word == "(":
            found = self._or()
            assert self._words.pop(0) == ")"
            return found
        if self._words[:1] == ["of"]:
            pattern = self._words[1]
            del self._words[:2]
            names = [n for n in self._names if (pattern == "them" or _like(n, pattern)) and n[0] != "_"]
            return (all if word == "all" else any)(map(self._holds, names))
        return self._holds(word)


def _like(name: str, pattern: str) -> bool:
    return _fits(tuple(STAR if letter == "*" else letter for letter in pattern), name)


def _selection(value: Any, event: Mapping[str, Any]) -> bool:
    if isinstance(value, list):
        return any(_selection(entry, event) for entry in value)
    return all(_line(key, inner, event) for key, inner in value.items())


def _line(key: str, value: Any, event: Mapping[str, Any]) -> bool:
    field, *modifiers = key.split("|")
    there = [*_values(event, field.split("."))]
    wanted = value if isinstance(value, list) else [value]
    if not wanted:
        return not there
    found = [_one(each, modifiers, there, event) for each in wanted]
    verdict = all(found) if "all" in modifiers else any(found)
    return not verdict if "neq" in modifiers else verdict


def _values(value: Any, path: Sequence[str]) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _values(entry, path)
    elif path:
        if isinstance(value, Mapping) and path[0] in value:
            yield from _values(value[path[0]], path[1:])
    elif isinstance(value, str):
        yield value
    elif value is not None:
        yield json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _one(wanted: Any, modifiers: Sequence[str], there: Sequence[str], event: Mapping[str, Any]) -> bool:
    if wanted is None:
        return not there
    if "exists" in modifiers:
        return bool(there) == wanted
    if "cidr" in modifiers:
        return any(_in_network(text, wanted) for text in there)
    for name, compare in _COMPARISONS.items():
        if name in modifiers:
            return any(compare(float(text), wanted) for text in there if _is_number(text))
    if "re" in modifiers:
        flags = [flag for name, flag in _FLAGS.items() if name in modifiers]
        return any(re.search(wanted, text, sum(flags)) for text in there)
    if "fieldref" in modifiers:
        others = [*_values(event, wanted.split("."))]
        return any(_refers(one.lower(), other.lower(), modifiers) for one in there for other in others)
    if not isinstance(wanted, str):
        wanted = (
            str(wanted).lower() if isinstance(wanted, bool) else str(int(wanted) if wanted == int(wanted) else wanted)
        )
    alternatives = [_tokens(wanted)]
    for modifier in modifiers:
        alternatives = [made for tokens in alternatives for made in _modified(tokens, modifier, modifiers)]
    if "cased" in modifiers:
        return any(_fits(tokens, text) for tokens in alternatives for text in there)
    folded = [tuple(t if t in (STAR, ONE) else t.lower() for t in tokens) for tokens in alternatives]
    return any(_fits(tokens, text.lower()) for tokens in folded for text in there)


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda one, other: one < other,
    "lte": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "gte": lambda one, other: one >= other,
}
_FLAGS = {"i": re.I, "m": re.M, "s": re.S}


def _refers(one: str, other: str, modifiers: Sequence[str]) -> bool:
    if "startswith" in modifiers:
        return one[: len(other)] == other
    if "endswith" in modifiers:
        return one[len(one) - len(other) :] == other if len(other) <= len(one) else False
    if "contains" in modifiers:
        return one.find(other) >= 0
    return one == other


def _is_number(text: str) -> bool:
    try:
        json.loads(text)
        return not set(text) & set('"[]{}tfnNI ')
    except ValueError:
        return False


def _in_network(text: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(text) in ipaddress.ip_network(network)
    except ValueError:
        return False


def _tokens(text: str) -> Tokens:
    """A backslash takes the meaning of a wildcard or of another backslash; before others it stands for itself."""
    found: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in ("*", "?", "\\") and at + 1 < len(text):
            found.append(text[at + 1])
            at += 2
            continue
        found.append({"*": STAR, "?": ONE}.get(text[at], text[at]))
        at += 1
    return tuple(found)


def _modified(tokens: Tokens, modifier: str, modifiers: Sequence[str]) -> list[Tokens]:
    plain = "".join(tokens)
    match modifier:
        case "contains":
            return [(STAR, *tokens, STAR)]
        case "startswith":
            return [(*tokens, STAR)]
        case "endswith":
            return [(STAR, *tokens)]
        case "wide":
            return [tuple(itertools.chain.from_iterable((t,) if t in (STAR, ONE) else (t, "\0") for t in tokens))]
        case "utf16be":
            return [tuple(itertools.chain.from_iterable((t,) if t in (STAR, ONE) else ("\0", t) for t in tokens))]
        case "utf16":
            return [("\ufeff", *_modified(tokens, "wide", modifiers)[0])]
        case "base64":
            return [tuple(base64.b64encode(_bytes(plain)).decode())]
        case "base64offset":
            return [tuple(_at_offset(_bytes(plain), offset)) for offset in range(3)]
        case "windash":
            places = [i for i, t in enumerate(tokens) if t in "-/" and _is_dash(plain, i)]
            dashes = itertools.product("-/\u2013\u2014\u2015", repeat=len(places))
            return [_with(tokens, dict(zip(places, chosen, strict=True))) for chosen in dashes]
    return [tokens]


def _is_dash(text: str, at: int) -> bool:
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    return not re.fullmatch(r"\w", before) and bool(re.fullmatch(r"\w", after))


def _with(tokens: Tokens, others: Mapping[int, str]) -> Tokens:
    return tuple(others.get(index, token) for index, token in enumerate(tokens))


def _bytes(text: str) -> bytes:
    """A byte-order mark is one of UTF-16 by then."""
    return b"\xff\xfe" + text[1:].encode() if text.startswith("\ufeff") else text.encode()


def _at_offset(data: bytes, offset: int) -> str:
    """What of the encoded text is the same whatever stands before and behind it."""
    one, other = (
        base64.b64encode(fill * offset + data + fill * (-(len(data) + offset) % 3)) for fill in (b"\0", b"\xff")
    )
    same = [a == b for a, b in zip(one, other, strict=True)]
    first, last = same.index(True), len(same) - same[::-1].index(True)
    return one[first:last].decode()


def _fits(tokens: Tokens, text: str) -> bool:
    """Which lengths of the text the tokens so far can be is all that matters."""
    reached = {0}
    for token in tokens:
        if token == STAR:
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and token in (ONE, text[at])}
    return len(text) in reached
