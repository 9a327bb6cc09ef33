"""Reading CloudTrail deliveries: files of raw events, as AWS writes them to a bucket and as people copy them.

A file is read whole or reported whole; an event that cannot be used is reported alone. Nothing is dropped silently.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapline.errors import Problem, TraplineError
from trapline.tables.cloudtrail import event_time, normalise

_SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_GZIP = b"\x1f\x8b"
_FETCH_AGAIN = "copy the file from its bucket again; the other files are imported without it"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file: its raw events as JSON has them, what was wrong, and a digest of its content that names what is made
    from it.

    A digest file, which CloudTrail writes beside the deliveries to sign them, has no events.
    """

    path: Path
    digest: str
    events: tuple[Any, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """An event that no record can be made of: its number, counted from 1, and what is wrong with it."""

    number: int
    code: str
    fault: str
    event: Any


def find_deliveries(source: Path) -> Iterator[Path]:
    """The file itself, or every delivery below a folder, in the order of their paths."""
    if source.is_file():
        yield source
    elif source.is_dir():
        yield from sorted(path for path in source.rglob("*") if path.name.endswith(_SUFFIXES) and path.is_file())
    else:
        raise TraplineError(f"{source} is neither a file nor a folder", remedy="name a CloudTrail delivery or a folder")


def read_delivery(path: Path) -> Delivery:
    """Reads one file. What is wrong with it is in `problems`; this raises nothing over a file's content."""
    try:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        text = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        return _broken(path, "", "delivery-unreadable", f"cannot be read: {error}")
    try:
        return Delivery(path, digest, tuple(events_of(documents(text))))
    except json.JSONDecodeError as error:
        return _broken(path, digest, "delivery-not-json", f"is not valid JSON: {error.msg}", line=error.lineno)
    except NoEvents as error:
        return _broken(path, digest, "delivery-no-records", str(error))
    except (ValueError, RecursionError) as error:
        return _broken(path, digest, "delivery-not-json", f"is not valid JSON: {error}")


def documents(content: bytes) -> list[Any]:
    """The one JSON document of a file, or one for each line. Raises ValueError and RecursionError."""
    try:
        return [json.loads(content)]
    except json.JSONDecodeError as whole:
        lines = content.splitlines()
        try:
            json.loads(next(filter(bytes.strip, lines), b""))
        except ValueError:
            raise whole from None
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise json.JSONDecodeError(error.msg, "\n" * (number - 1), number - 1) from None
    return found


class NoEvents(ValueError):
    """A JSON document that is no delivery."""


def events_of(found: Sequence[Any]) -> list[Any]:
    """The raw events of a delivery's documents, none for a digest file. Raises NoEvents."""
    if len(found) == 1 and isinstance(found[0], dict) and "digestS3Object" in found[0]:
        return []
    return [event for document in found for event in _events(document)]


def _events(document: Any) -> list[Any]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        if isinstance(document.get("Records"), list):
            records: list[Any] = document["Records"]
            return records
        if isinstance(document.get("detail"), dict) and "detail-type" in document:  # as EventBridge hands it on
            return [document["detail"]]
        if "eventTime" in document or "eventName" in document:
            return [document]
    raise NoEvents('has no list of "Records" and is no CloudTrail event')


def records_of(events: Iterable[Any], unusable: list[Unusable]) -> Iterator[dict[str, Any]]:
    """The records of the table that events are; those that can be none are added to `unusable` instead."""
    for number, event in enumerate(events, start=1):
        if not isinstance(event, dict):
            fault = f"record {number} is {type(event).__name__}, not an object"
            unusable.append(Unusable(number, "record-not-object", fault, event))
        elif event_time(event) is None:
            fault = f"event {number} has no valid eventTime: {str(event.get('eventTime'))[:60]!r}"
            unusable.append(Unusable(number, "event-unusable", fault, event))
        else:
            try:
                yield normalise(event)
            except RecursionError:
                unusable.append(Unusable(number, "event-unusable", f"event {number} is nested too deeply", event))


def _broken(path: Path, digest: str, code: str, message: str, *, line: int = 0) -> Delivery:
    return Delivery(path, digest, problems=(Problem(str(path), line, "error", code, message, _FETCH_AGAIN),))
