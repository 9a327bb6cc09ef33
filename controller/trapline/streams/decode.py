"""What an object or a message holds, as parcels of a table's records: Parquet, JSON, or CloudTrail's events.

What cannot be read is set aside with the reason, never raised; an event that can be no record is so alone.
"""

from __future__ import annotations

import io
import json
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trapline.settings import StreamSettings
from trapline.streams.columns import conform
from trapline.streams.foreign import logged, packed, without_checks
from trapline.streams.source import Parcel, Spoiled
from trapline.streams.values import Misfit, table_of
from trapline.tables.cloudtrail import SCHEMA
from trapline.tables.deliveries import Unusable, documents, events_of, records_of

log = logging.getLogger("trapline")

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_EXPANDED = 4
"""So many times the largest object's size is what one may hold: in memory, records take more room than in a file."""
_PIECE = 2**20
_ROWS = 8_192


class Undecodable(Exception):
    """Bytes that no records can be made of; the message says why."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """Makes records of one table. `schema` is what its engine says: a column that is new in a file is left out until
    the engine knows it, which it does once the file is in the lake."""

    schema: pa.Schema
    settings: StreamSettings

    def parcels(
        self, content: bytes, *, key: str, landed_at: datetime, origin: str, name: str = ""
    ) -> list[Parcel | Spoiled]:
        """The records of an object or a message, and each event that can be none as a Spoiled whose origin is the
        event itself. `name` is the object's, and may end with what the content is."""
        unusable: list[Unusable] = []
        try:
            records = self._records(content, name, unusable)
        except Undecodable as error:
            return [Spoiled(key, landed_at, str(error), origin)]
        alone = [
            Spoiled(f"{key}!{event.number}", landed_at, event.fault, json.dumps(event.event)) for event in unusable
        ]
        return [Parcel(key, landed_at, records), *alone]

    def again(self, content: bytes, *, key: str, landed_at: datetime, origin: str, name: str = "") -> Parcel | Spoiled:
        """What was set aside, decoded once more. Events of it that can be no records go to the log."""
        first, *alone = self.parcels(content, key=key, landed_at=landed_at, origin=origin, name=name)
        for event in alone:
            log.warning("%s: %s, and is left out", key, event.reason if isinstance(event, Spoiled) else event.key)
        if isinstance(first, Parcel) and alone and not first.records.num_rows and isinstance(alone[0], Spoiled):
            return Spoiled(key, landed_at, alone[0].reason, origin)
        return first

    def _records(self, content: bytes, name: str, unusable: list[Unusable]) -> pa.Table:
        """Raises Undecodable."""
        limit = self.settings.largest * _EXPANDED
        if content.startswith(_GZIP) or (content and name.endswith(".gz")):
            content = _unzipped(content, limit)
            name = name.removesuffix(".gz")
        if not content.strip():
            return self.schema.empty_table()
        if reason := packed(content):
            raise Undecodable(reason)
        try:
            if content.startswith(_PARQUET) or name.endswith(".parquet"):
                return conform(_parquet(content, limit), self.schema)
            return self._of_json(content, unusable)
        except Misfit as misfit:
            place = f"column {misfit.path}, " if misfit.path else ""
            raise Undecodable(f"{place}{misfit.why}") from None
        except (pa.ArrowException, OverflowError) as error:
            raise Undecodable(f"it does not fit the table: {error}") from None

    def _of_json(self, content: bytes, unusable: list[Unusable]) -> pa.Table:
        try:
            found: Sequence[Any] = documents(content)
            if "logevents" not in self._names():
                if reason := logged(found):
                    raise Undecodable(reason)
                found = without_checks(found)
            if self.settings.format == "cloudtrail":
                records = list(records_of(events_of(found), unusable))
                return conform(pa.Table.from_pylist(records, schema=SCHEMA), self.schema)
            return table_of(self._rows(found), self.schema)
        except json.JSONDecodeError as error:
            raise Undecodable(f"it is neither Parquet nor valid JSON: line {error.lineno}: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise Undecodable(f"it is neither Parquet nor valid JSON: {error}") from None

    def _rows(self, found: Sequence[Any]) -> Sequence[Any]:
        if len(found) == 1:
            [only] = found
            if isinstance(only, list):
                return only
            if isinstance(only, dict) and isinstance(only.get("Records"), list) and "records" not in self._names():
                rows: list[Any] = only["Records"]
                return rows
        return found

    def _names(self) -> set[str]:
        return {name.lower() for name in self.schema.names}


def too_large(size: int, settings: StreamSettings) -> str | None:
    """Why an object of so many bytes is not fetched; None where it may be."""
    if size <= settings.largest:
        return None
    return f"it is too large, and is left to the sweep: {size:,} bytes, where `largest` is {settings.largest:,}"


def _unzipped(content: bytes, limit: int) -> bytes:
    """What one gzip stream holds, or several one after another."""
    parts: list[bytes] = []
    size = 0
    rest = content
    try:
        while rest:
            stream = zlib.decompressobj(wbits=31)
            while not stream.eof:
                part = stream.decompress(rest, _PIECE)
                rest = stream.unconsumed_tail or stream.unused_data
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise Undecodable(f"it is too large, and is left to the sweep: unpacked, more than {limit:,} bytes")
                if not part and not rest and not stream.eof:
                    raise Undecodable("its gzip stream is cut off")
            rest = rest.lstrip(b"\0")  # padding, which gzip(1) skips too
    except zlib.error as error:
        raise Undecodable(f"it is no valid gzip stream: {error}") from None
    return b"".join(parts)


def _parquet(content: bytes, limit: int) -> pa.Table:
    if not content.startswith(_PARQUET):
        raise Undecodable("it is no Parquet file, though its name says so")
    if not content.endswith(_PARQUET):
        raise Undecodable("its Parquet footer is missing: the file is cut off, or still being written")
    try:
        with pq.ParquetFile(io.BytesIO(content)) as file:
            batches: list[Any] = []
            size = 0
            for batch in file.iter_batches(_ROWS):
                batches.append(batch)
                size += batch.nbytes
                if size > limit:
                    raise Undecodable(f"it is too large, and is left to the sweep: unpacked, more than {limit:,} bytes")
            return pa.Table.from_batches(batches, schema=file.schema_arrow)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Undecodable(f"it is no readable Parquet file: {str(error).splitlines()[0]}") from None
