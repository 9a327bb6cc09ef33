"""What a scan would read at most, from what S3 and the table's metadata say, without a query."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from trapline.detection.inference.predicate import Path, paths
from trapline.query.athena.catalog import AthenaTable
from trapline.query.athena.errors import explained
from trapline.query.athena.locations import Location
from trapline.query.athena.partitions import bounds, holds, partitions, spellings
from trapline.query.athena.statement import Asking, Locate
from trapline.query.athena.store import Store, Stored
from trapline.query.embedded.files import below
from trapline.query.engine import ScanRequest, Wanted
from trapline.query.where import named
from trapline.window import Window

if TYPE_CHECKING:
    from trapline.query.athena.session import Clients

MOST_OBJECTS = 100_000
_FOOTER = 64 * 1024  # bytes, enough for most
_MAGIC = b"PAR1"


def read_at_most(
    table: AthenaTable, request: ScanRequest, wanted: Wanted, clients: Clients, store: Store, locate: Locate
) -> int | None:
    """The size of what the window touches, of the columns that are read; None where that cannot be told."""
    if table.view:
        return None
    columns = _columns(table, request, wanted, locate)
    if table.metadata is not None:
        return _of_snapshot(table, table.metadata, request.window, columns, clients)
    total, newest = 0, None
    for number, found in enumerate(_objects(table, request.window, clients, store)):
        if number >= MOST_OBJECTS:
            return None
        total += found.size
        if found.size and (newest is None or found.modified > newest.modified):
            newest = found
    if columns is None or newest is None:
        return total
    return int(total * _share(store, newest, columns))


def _of_snapshot(
    table: AthenaTable, metadata: str, window: Window, columns: Collection[Path] | None, clients: Clients
) -> int | None:
    """What an Iceberg table's metadata says of the files that may have records of the window."""
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan, Reference
    from pyiceberg.expressions.literals import literal
    from pyiceberg.table import StaticTable

    from trapline.query.embedded.snapshot import Snapshot

    time = Reference(table.settings.time)
    start, end = (literal(moment.astimezone(UTC)) for moment in (window.start, window.end))
    rows = And(GreaterThanOrEqual(term=time, value=start), LessThan(term=time, value=end))
    try:
        found = StaticTable.from_metadata(metadata, clients.file_io())
        scan = found.scan(row_filter=rows)
        return Snapshot(table.settings.time, scan, list(scan.plan_files())).size(columns)
    except (OSError, ValueError):
        return None


def _objects(table: AthenaTable, window: Window, clients: Clients, store: Store) -> Iterator[Stored]:
    for prefix in dict.fromkeys(_prefixes(table, window, clients)):
        yield from store.objects(prefix)


def _prefixes(table: AthenaTable, window: Window, clients: Clients) -> Iterator[Location]:
    """Where the objects of the partitions lie that the window touches."""
    if not table.keys:
        yield _folder(table.location)
        return
    found = partitions(table, window)
    if table.parameters.get("projection.enabled", "").lower() == "true":
        template = table.parameters.get("storage.location.template") or _hive_template(table)
        for values in found:
            yield from _projected(template, values)
        return
    with explained(table=table.name):
        pages = clients.glue.get_paginator("get_partitions").paginate(
            DatabaseName=table.database,
            TableName=table.glue_name,
            Expression=bounds(table, window),
            ExcludeColumnSchema=True,
        )
        for page in pages:
            for partition in page["Partitions"]:
                values = dict(zip(table.keys, partition["Values"], strict=True))
                if holds(table, values, found):
                    yield _folder(partition["StorageDescriptor"]["Location"])


def _projected(template: str, values: Mapping[str, str]) -> Iterator[Location]:
    """Where Athena looks for a partition that Glue does not list; of other columns every value."""
    for spell in (max, min):  # the spelling with leading zeros is the longest
        filled = template
        for column, value in values.items():
            filled = filled.replace(f"${{{column}}}", spell(spellings(value), key=len))
        yield Location.parse(filled.partition("${")[0])


def _hive_template(table: AthenaTable) -> str:
    return str(_folder(table.location)) + "".join(f"{key}=${{{key}}}/" for key in table.keys)


def _folder(location: str) -> Location:
    at = Location.parse(location)
    return at if not at.key or at.key.endswith("/") else at / "/"


def _columns(table: AthenaTable, request: ScanRequest, wanted: Wanted, locate: Locate) -> set[Path] | None:
    """The columns that the query reads; None where these are all."""
    statement = Asking(table, request.window).rows(wanted, locate)
    if statement is None:
        return set()
    if not statement.located or wanted.reads is None:
        return None
    asked = {path for part in wanted.parts for path in paths(part.predicate)}
    asked |= {path for where in wanted.wheres for path in map(attrgetter("path"), named(where))}
    asked |= {read.path for read in wanted.reads}
    return asked | {(table.settings.time,), tuple((table.settings.id or "").split("."))}


def _share(store: Store, newest: Stored, columns: Collection[Path]) -> float:
    """What part of a file these columns are, by the footer of one; all of it where it is no Parquet file."""
    metadata = _footer(store, newest)
    if metadata is None:
        return 1.0
    prefixes = below(columns)
    read = whole = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(metadata.num_columns)):
            whole += chunk.total_compressed_size
            read += chunk.total_compressed_size if f"{chunk.path_in_schema.lower()}.".startswith(prefixes) else 0
    return read / whole if whole else 1.0


def _footer(store: Store, found: Stored) -> Any:
    tail = store.tail(found.at, min(found.size, _FOOTER))
    if tail[-4:] != _MAGIC:
        return None
    size = struct.unpack("<I", tail[-8:-4])[0] + 8
    if size > len(tail):
        tail = store.tail(found.at, min(found.size, size))
    try:
        return pq.read_metadata(pa.BufferReader(_MAGIC + tail[-size:]))
    except pa.ArrowException:
        return None
