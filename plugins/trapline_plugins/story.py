"""What an alert says to a person, in the order an analyst asks: the parts that every readable destination lays out.

Every text of a `Story` is bounded, free of control characters, and has its URLs defanged, for attackers write logs.
A destination escapes it for its own format and cuts it to its own limits; it need not look at the notification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from trapline_plugins.api import Kind, Notification
from trapline_plugins.text import CUT, lines, one_line

_MOST_EVIDENCE = 20
_MOST_ITEMS = 10
_DEEPEST = 5
_LONGEST_VALUE = 300
_LONGEST_LINE = 500
_LONGEST_TITLE = 300
_LONGEST_COMMAND = 4000  # a replay command that is cut is worse than a long line

_URL = re.compile(r"\b([a-z][a-z0-9+.-]{0,30}):(?=//)(//[^\s/?#\\<>\"']{0,300})", re.IGNORECASE)
_SCRIPT = re.compile(r"\b(javascript|data|vbscript|mailto|tel):(?=\S)", re.IGNORECASE)
_WWW = re.compile(r"\bwww\.(?=\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fact:
    """A label, or a field's path, and what it says on one line."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """The parts of an alert. Facts without a text are left out; texts of several lines are joined by line feeds."""

    word: str
    """The severity in capitals, or RESOLVED: an alert that is over must not look like a new one."""
    title: str
    subject: str
    """Who or what it is about: the dedupe."""
    facts: tuple[Fact, ...]
    """What happened to whom: the dedupe, matches and their times, severity, status, detection, ATT&CK, tags."""
    evidence: tuple[Fact, ...]
    """The fields of the alert's context; of its first example record where the detection gives none."""
    description: str
    runbook: str
    false_positives: tuple[str, ...]
    references: tuple[str, ...]
    """Addresses from the detection's own file, http or https: the only ones a reader may be let to click."""
    origin: tuple[Fact, ...]
    """Where it comes from, and the command that shows it again."""

    @property
    def headline(self) -> str:
        """The word and the title, such as `HIGH: Brute force from 203.0.113.9`."""
        return f"{self.word}: {self.title}"


def tell(notification: Notification) -> Story:
    """The story of a notification's alert."""
    n = notification
    return Story(
        word=(n.kind.value if n.kind is Kind.RESOLVED else n.severity).upper(),
        title=defang(one_line(n.title, _LONGEST_TITLE)) or "(no title)",
        subject=defang(one_line(n.dedupe, _LONGEST_VALUE)),
        facts=_facts(n),
        evidence=_evidence(n),
        description=_text(n.description),
        runbook=_text(n.runbook),
        false_positives=_items(n.false_positives),
        references=tuple(address for address in n.references[:_MOST_ITEMS] if _is_web_address(address)),
        origin=_origin(n),
    )


def defang(text: str) -> str:
    """The text with every URL made one that no client links: `hxxp[:]//evil[.]example/x`."""
    text = _URL.sub(_defanged, text)
    return _WWW.sub("www[.]", _SCRIPT.sub(r"\1[:]", text))


def change(notification: Notification) -> str:
    """What an update or the end of an alert says, such as `9 matches, ..., severity high`: nothing a log brought."""
    n = notification
    matches = "1 match" if n.match_count == 1 else f"{n.match_count} matches"
    return f"{matches}, {span(n.first_match_at, n.last_match_at)}, severity {n.severity}"


def resolved_by(notification: Notification) -> str:
    """Who or what resolved the alert, and why; empty while it is open."""
    return defang(one_line(notification.resolution or "", _LONGEST_LINE))


def span(first: datetime, last: datetime) -> str:
    """A span of time in UTC: one moment where it is one, and the day once where it is the same."""
    if first == last:
        return moment(first)
    began, ended = (at.astimezone(UTC) for at in (first, last))
    same_day = began.date() == ended.date()
    return f"{began:%Y-%m-%d %H:%M:%S} to {ended:{'%H:%M:%S' if same_day else '%Y-%m-%d %H:%M:%S'}} UTC"


def moment(at: datetime) -> str:
    """A moment in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _facts(n: Notification) -> tuple[Fact, ...]:
    return _said(
        ("About", "" if n.dedupe == n.title else n.dedupe),
        ("Matches", str(n.match_count)),
        ("Seen", span(n.first_match_at, n.last_match_at)),
        ("Severity", n.severity),
        ("Status", n.kind.value),
        ("Resolved", resolved_by(n)),
        ("Detection", n.detection),
        ("ATT&CK", ", ".join(_items(n.attack)).upper()),
        ("Tags", ", ".join(_items(n.tags))),
    )


def _origin(n: Notification) -> tuple[Fact, ...]:
    table = f"{n.provenance.table}, {span(n.provenance.window_start, n.provenance.window_end)}"
    # Ours, word for word: it is there to be copied into a terminal.
    replay = Fact("Replay", one_line(n.provenance.replay, _LONGEST_COMMAND))
    return (*_said(("Alert", n.alert_id), ("Table", table), ("Revision", n.provenance.revision)), replay)


def _said(*facts: tuple[str, str]) -> tuple[Fact, ...]:
    shown = (Fact(label, defang(one_line(text, _LONGEST_LINE))) for label, text in facts)
    return tuple(fact for fact in shown if fact.text)


def _evidence(n: Notification) -> tuple[Fact, ...]:
    source: Mapping[str, Any] = n.context or (n.records[0] if n.records else {})
    fields = tuple(islice(_fields(source, "", _DEEPEST), _MOST_EVIDENCE + 1))
    if len(fields) <= _MOST_EVIDENCE:
        return fields
    return (*fields[: _MOST_EVIDENCE - 1], Fact(CUT, "more fields"))


def _fields(value: Any, path: str, depth: int) -> Iterator[Fact]:
    """Every leaf with the path that leads to it, as in `user.name`."""
    inner = _inner(value) if depth else {}
    for key, item in inner.items():
        name = defang(one_line(key, 60))
        yield from _fields(item, f"{path}.{name}" if path else name, depth - 1)
    if not inner:
        shown = _shown(value)
        if path and shown:
            yield Fact(path, shown)


def _inner(value: Any) -> Mapping[str, Any]:
    """What is inside of a value that takes several lines to show; a list of plain values takes one."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in islice(value.items(), _MOST_EVIDENCE + 1)}
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value):
        return {str(index): item for index, item in enumerate(value[: _MOST_EVIDENCE + 1])}
    return {}


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        if not value:
            return ""
        shown = [_shown(item) for item in value[:_MOST_ITEMS]]
        return one_line(", ".join([*shown, *([CUT] if len(value) > _MOST_ITEMS else [])]), _LONGEST_VALUE)
    if isinstance(value, Mapping):
        return CUT if value else ""
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    return defang(one_line(str(value), _LONGEST_VALUE))


def _text(text: str | None) -> str:
    return "\n".join(defang(line) for line in lines(text or "", limit=_LONGEST_LINE)).strip("\n")


def _items(items: tuple[str, ...]) -> tuple[str, ...]:
    shown = [item for item in (defang(one_line(item, _LONGEST_VALUE)) for item in items[:_MOST_ITEMS]) if item]
    return (*shown, CUT) if len(items) > _MOST_ITEMS else tuple(shown)


def _is_web_address(text: str) -> bool:
    """Whether it is a whole web address of harmless characters, so that it ends where it seems to end."""
    if len(text) > _LONGEST_LINE or not re.fullmatch(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%()-]+", text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.hostname) and parts.username is None


def _defanged(url: re.Match[str]) -> str:
    scheme = re.sub("^http", "hxxp", url[1], flags=re.IGNORECASE)
    return f"{scheme}[:]{url[2].replace('.', '[.]')}"
