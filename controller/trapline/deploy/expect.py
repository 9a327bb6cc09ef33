"""What a test case expects, beside what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trapline.config.units import format_duration
from trapline.detection.case import Expectation
from trapline.detection.model import AlertSettings
from trapline.workers.answer import Answer
from trapline_sandbox.record import jsonable

if TYPE_CHECKING:
    from trapline.alerts.fold import Change

_SHOWN = 200
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a case, in a line; `keys` lead to the part of the case that it is about.

    Where `what` is not as it should be, the two values are `expected` and `got`.
    """

    text: str
    keys: tuple[str | int, ...] = ()
    what: str = ""
    expected: Any = None
    got: Any = None

    def __str__(self) -> str:
        return self.text


def compare_count(wanted: int, got: int) -> Iterator[Complaint]:
    """Says where there are not as many matches as wanted."""
    if wanted != got:
        text = f"expected {_counted(wanted, 'match')}, got {_counted(got, 'match')}"
        yield Complaint(text, ("match",), "matches", wanted, got)


def compare_answer(expected: Expectation, answers: Sequence[Answer]) -> Iterator[Complaint]:
    """Says what of the first match is not as expected."""
    if answers:
        fields = {name: getattr(answers[0], name) for name in expected.stated}
        yield from _differences(expected, fields, ("expect",))
    elif expected.stated:
        yield Complaint("there is no match to compare with `expect`", ("expect",))


def compare_alerts(
    expected: Sequence[Expectation], changes: Sequence[Change], *, matches: int, settings: AlertSettings
) -> Iterator[Complaint]:
    """Says what of the alerts is not as expected; nothing of each, where there are not as many of them."""
    if len(expected) != len(changes):
        got = ", ".join(_named(change.after) for change in changes[:_LISTED])
        more = f" and {len(changes) - _LISTED} more" if len(changes) > _LISTED else ""
        why = f"{got}{more}" if changes else f"{_counted(matches, 'match')} came, and {_rule(settings)}"
        text = f"expected {_counted(len(expected), 'alert')}, got {_counted(len(changes), 'alert')}: {why}"
        yield Complaint(text, ("alerts",), "alerts", len(expected), len(changes))
        return
    for index, (wanted, change) in enumerate(zip(expected, changes, strict=True)):
        fields = {**change.after, "matches": change.after["match_count"]}
        of = f" of alert {index + 1}" if len(expected) > 1 else " of the alert"
        yield from _differences(wanted, fields, ("alerts", index), of)


def _differences(
    expected: Expectation, fields: Mapping[str, Any], keys: tuple[str | int, ...], of: str = ""
) -> Iterator[Complaint]:
    for name, value in expected.stated.items():
        wanted, got = jsonable(value), jsonable(fields[name])
        if wanted != got:
            text = f"expected {name}{of} {_short(wanted)}, got {_short(got)}"
            yield Complaint(text, (*keys, name), f"{name}{of}", wanted, got)


def _named(alert: Mapping[str, Any]) -> str:
    return f"{_short(alert['title'])} with {_counted(alert['match_count'], 'match')}"


def _rule(settings: AlertSettings) -> str:
    if settings.threshold == 1:
        return "each opens one"
    return f"one opens with {settings.threshold} of one dedupe key within {format_duration(settings.window)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _counted(count: int, noun: str) -> str:
    if count == 1:
        return f"{'an' if noun[0] in 'a' else 'a'} {noun}"
    return f"{count or 'no'} {noun}{'es' if noun == 'match' and count else '' if not count else 's'}"
