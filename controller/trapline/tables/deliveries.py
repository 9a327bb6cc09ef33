"""Reading CloudTrail deliveries: files of raw events, as AWS writes them to a bucket and as people copy them.

A file is read whole or reported whole; an event that cannot be used is reported alone. Nothing is dropped silently.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapline.errors import Problem, TraplineError

_SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_GZIP = b"\x1f\x8b"
_FETCH_AGAIN = "copy the file from its bucket again; the other files are imported without it"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file: its raw events, what was wrong, and a digest of its content that names what is made from it.

    A digest file (`is_digest`), which CloudTrail writes beside the deliveries to sign them, has no events.
    """

    path: Path
    digest: str
    events: tuple[dict[str, Any], ...] = ()
    problems: tuple[Problem, ...] = ()
    is_digest: bool = False


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
        documents = _documents(text)
    except json.JSONDecodeError as error:
        return _broken(path, digest, "delivery-not-json", f"is not valid JSON: {error.msg}", line=error.lineno)
    except (ValueError, RecursionError) as error:
        return _broken(path, digest, "delivery-not-json", f"is not valid JSON: {error}")
    if len(documents) == 1 and isinstance(documents[0], dict) and "digestS3Object" in documents[0]:
        return Delivery(path, digest, is_digest=True)
    return _events(path, digest, documents)


def _documents(content: bytes) -> list[Any]:
    """The one JSON document of a delivery, or one for each line (what log shippers make of deliveries)."""
    try:
        return [json.loads(content)]
    except json.JSONDecodeError as whole:
        lines = content.splitlines()
        try:
            json.loads(lines[0])
        except (ValueError, IndexError):
            raise whole from None
    documents = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                documents.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise json.JSONDecodeError(error.msg, "\n" * (number - 1), number - 1) from None
    return documents


def _events(path: Path, digest: str, documents: list[Any]) -> Delivery:
    events: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for document in documents:
        records = _records(document)
        if records is None:
            return _broken(path, digest, "delivery-no-records", 'has no list of "Records" and is no CloudTrail event')
        for number, record in enumerate(records, start=1):
            if isinstance(record, dict):
                events.append(record)
            else:
                message = f"record {number} is {type(record).__name__}, not an object, and is left out"
                problems.append(Problem(str(path), 0, "error", "record-not-object", message, _FETCH_AGAIN))
    return Delivery(path, digest, tuple(events), tuple(problems))


def _records(document: Any) -> list[Any] | None:
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("Records"), list):
        records: list[Any] = document["Records"]
        return records
    return [document] if "eventTime" in document or "eventName" in document else None


def _broken(path: Path, digest: str, code: str, message: str, *, line: int = 0) -> Delivery:
    return Delivery(path, digest, problems=(Problem(str(path), line, "error", code, message, _FETCH_AGAIN),))
