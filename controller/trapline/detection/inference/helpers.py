"""The functions of `trapline_sandbox.helpers` on values: none of them raises, whatever stands in a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network

from trapline.detection.inference import regexes
from trapline.detection.inference.operations import some_text
from trapline.detection.inference.predicate import ANY_TEXT, TRUE, every, some
from trapline.detection.inference.values import Const, Field, Known, Truth, Value, is_harmless, tested, when

_ENCODINGS = frozenset({"utf-8", "utf-16-le", "utf-16", "ascii", "latin-1"})


def helped(name: str, value: Value, others: Sequence[Value], named: Mapping[str, Value]) -> Known | None:
    """`name(value, *others, **named)`."""
    texts = [each.value for each in others if isinstance(each, Const) and isinstance(each.value, str)]
    if name not in _HELPERS or not is_harmless(value) or len(texts) < len(others):
        return None
    if not named:
        return _HELPERS[name](value, texts, False)
    ignore_case = named.get("ignore_case")
    if len(named) > 1 or name not in _FOLDING or not isinstance(ignore_case, Const):
        return None
    return _HELPERS[name](value, texts, bool(ignore_case.value))


def _ip_in_network(value: Value, networks: Sequence[str], _: bool) -> Known | None:
    try:
        for network in networks:
            ip_network(network, strict=False)
    except ValueError:  # which it would raise too
        return None
    return _of_a_text(value) if networks else Known(Const(False))


def _is_public_ip(value: Value, others: Sequence[str], _: bool) -> Known | None:
    return None if others else _of_a_text(value)


def _wildcard_match(value: Value, patterns: Sequence[str], ignore_case: bool) -> Known | None:
    flags = int(re.DOTALL | (re.IGNORECASE if ignore_case else 0))
    found = [regexes.regex_of("".join(map(_sign, each)), "fullmatch", flags) for each in patterns]
    known = [regex for regex in found if regex]
    if not patterns or len(known) < len(found) or not (isinstance(value, Field) and value.path):
        return _of_a_text(value) if patterns else Known(Const(False))
    each = [tested(value, "match", regex) for regex in known]
    true = some(*(when(value, "match", regex) for regex in known))
    false = every(
        *(some(*(when(value, "match", regex, outcome=how) for how in ("false", "raises"))) for regex in known)
    )
    return Known(Truth(true, false), roughly=next((one.roughly for one in each if one.roughly), ""))


def _glob_match(value: Value, patterns: Sequence[str], _: bool) -> Known | None:
    plain = not any("[" in pattern for pattern in patterns)  # a class may be one that raises
    return _of_a_text(value) if plain and patterns else None


def _parse_time(value: Value, others: Sequence[str], _: bool) -> Known | None:
    return None if others else Known(some_text("plain"))


def _decode_base64(value: Value, others: Sequence[str], _: bool) -> Known | None:
    return Known(some_text("plain")) if len(others) < 2 and _ENCODINGS.issuperset(others) else None


def _of_a_text(value: Value) -> Known:
    """True of some texts, and false of anything else."""
    match value:
        case Const(constant) if not isinstance(constant, str):
            return Known(Const(False))
        case Field() if value.path:
            return Known(Truth(when(value, *ANY_TEXT), TRUE), roughly="it is asked of every text")
        case _:
            return Known(some_text("plain"))


def _sign(sign: str) -> str:
    return {"*": ".*", "?": "."}.get(sign) or re.escape(sign)


_FOLDING = frozenset({"wildcard_match", "glob_match"})
_HELPERS: Mapping[str, Callable[[Value, Sequence[str], bool], Known | None]] = {
    "ip_in_network": _ip_in_network,
    "is_public_ip": _is_public_ip,
    "wildcard_match": _wildcard_match,
    "glob_match": _glob_match,
    "parse_time": _parse_time,
    "decode_base64": _decode_base64,
}
