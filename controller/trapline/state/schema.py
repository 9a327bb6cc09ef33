"""The tables of the state database. Times are UTC; JSON columns hold plain values."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table

metadata = MetaData()


class UTCDateTime(sa.types.UserDefinedType[datetime]):
    """An aware datetime, kept as integer microseconds since 1970 so that every engine orders and compares it alike."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "BIGINT"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[datetime | None], int | None]:
        return _microseconds

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _moment


def _microseconds(value: datetime | None) -> int | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a time in the database carries its time zone")
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    seconds, microseconds = divmod(int(value), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


class JsonText(sa.types.UserDefinedType[Any]):
    """A mapping or list as JSON. A text is JSON already and kept as it is: nobody need read it for that."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], str | None]:
        return _text

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[str | None], Any]:
        return _value


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _value(value: str | None) -> Any:
    return None if value is None else json.loads(value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

meta = Table("meta", metadata, Column("key", sa.String, primary_key=True), Column("value", sa.JSON, nullable=False))

# One row per detection that git or the engine knows of, by identity.
detections = Table(
    "detections",
    metadata,
    Column("identity", sa.String, primary_key=True),
    Column("name", sa.String, nullable=False),
    Column("path", sa.String, nullable=False),
    Column("sync", sa.String, nullable=False),  # the values of deploy.ledger.Sync
    Column("message", sa.Text, nullable=False, default=""),
    Column("revision", sa.String, nullable=False),
    Column("tried", sa.String, nullable=False, default=""),  # what the attempts were made with
    Column("attempts", sa.Integer, nullable=False, default=0),
    Column("retry_at", UTCDateTime, nullable=True),
    Column("updated_at", UTCDateTime, nullable=False),
)

# What is live: one row per identity. Its absence means that nothing of the detection runs.
deployments = Table(
    "deployments",
    metadata,
    Column("identity", sa.String, primary_key=True),
    Column("name", sa.String, nullable=False),
    Column("build_digest", sa.String, nullable=False),
    Column("deploy_digest", sa.String, nullable=False),
    Column("revision", sa.String, nullable=False),
    Column("mode", sa.String, nullable=False),
    Column("config", sa.JSON, nullable=False),
    Column("deployed_at", UTCDateTime, nullable=False),
    Column("failing_since", UTCDateTime, nullable=True),  # health: None while runs succeed
    Column("health_message", sa.Text, nullable=False, default=""),
    Column("strikes", sa.Integer, nullable=True),  # windows in a row that this version could not get through
)

# What happened, for people: deployed, reconfigured, retired, stalled, ...
events = Table(
    "events",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("identity", sa.String, nullable=False, index=True),
    Column("kind", sa.String, nullable=False),
    Column("revision", sa.String, nullable=False),
    Column("build_digest", sa.String, nullable=False, default=""),
    Column("deploy_digest", sa.String, nullable=False, default=""),
    Column("path", sa.String, nullable=False, default=""),  # where the detection was at that revision
    Column("message", sa.Text, nullable=False, default=""),
)

# What people decided by hand, against git, until they take it back: one row per detection and kind of decision.
overrides = Table(
    "overrides",
    metadata,
    Column("identity", sa.String, primary_key=True),
    Column("kind", sa.String, primary_key=True),  # pinned, suspended, quarantined
    Column("revision", sa.String, nullable=False, default=""),  # pinned: the version is this path at this revision
    Column("path", sa.String, nullable=False, default=""),
    Column("deploy_digest", sa.String, nullable=False, default=""),
    Column("reason", sa.Text, nullable=False, default=""),
    Column("at", UTCDateTime, nullable=False),
)

# What a build looked like when it was made, as its backend tells it: another look since then is somebody's hand.
builds = Table(
    "builds",
    metadata,
    Column("digest", sa.String, primary_key=True),
    Column("seal", sa.String, nullable=False),
    Column("built_at", UTCDateTime, nullable=False),
)

# The script of every live build, to tell from it which records it can say something of.
scripts = Table(
    "scripts",
    metadata,
    Column("build_digest", sa.String, primary_key=True),
    Column("source", sa.LargeBinary, nullable=False),
)

# What it may import: the other Python files of the same builds.
modules = Table(
    "modules",
    metadata,
    Column("build_digest", sa.String, primary_key=True),
    Column("path", sa.String, primary_key=True),
    Column("source", sa.LargeBinary, nullable=False),
)

# Who does what only one may do at a time, and until when it counts as alive.
leases = Table(
    "leases",
    metadata,
    Column("name", sa.String, primary_key=True),
    Column("holder", sa.String, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
)

# The resolved requirements of a requirements.txt on a platform, kept until either changes.
locks = Table(
    "locks",
    metadata,
    Column("key", sa.String, primary_key=True),
    Column("text", sa.Text, nullable=False),
    Column("locked_at", UTCDateTime, nullable=False),
)

# Up to where a detection has seen a table: everything from `start` to before `position`.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("identity", sa.String, primary_key=True),
    Column("table_name", sa.String, primary_key=True),
    Column("position", UTCDateTime, nullable=False),
    Column("start", UTCDateTime, nullable=True),  # None where an earlier Trapline made the row
    Column("streamed", UTCDateTime, nullable=True),  # since when it sees records as they land; None: it does not
)

# The streams that are listened to, and how each gets on; a row is written now and then, not with each record.
streams = Table(
    "streams",
    metadata,
    Column("table_name", sa.String, primary_key=True),
    Column("kind", sa.String, nullable=False),
    Column("since", UTCDateTime, nullable=False),  # listened to without a gap
    Column("positions", sa.JSON, nullable=False),  # how far, where the source leaves it to us to know
    Column("told_at", UTCDateTime, nullable=False),
    Column("trouble", sa.Text, nullable=False, default=""),  # why the source cannot be asked now
    Column("parcels", sa.BigInteger, nullable=False, default=0),
    Column("records", sa.BigInteger, nullable=False, default=0),
    Column("per_second", sa.Float, nullable=False, default=0.0),  # records, over the last minute
    Column("lag_seconds", sa.Float, nullable=True),  # from landing to being recorded, the last time
    Column("waiting", sa.BigInteger, nullable=True),  # at the source
    Column("oldest", UTCDateTime, nullable=True),  # of what waits
)

# What came by a stream and is recorded, so that what is handed over again is known; of each table the latest.
landed = Table(
    "landed",
    metadata,
    Column("table_name", sa.String, primary_key=True),
    Column("key", sa.String, primary_key=True),
    Column("at", UTCDateTime, nullable=False, index=True),
)

# What came by a stream and no records could be made of, set aside until it is settled.
spoiled = Table(
    "spoiled",
    metadata,
    Column("table_name", sa.String, primary_key=True),
    Column("key", sa.String, primary_key=True),
    Column("landed_at", UTCDateTime, nullable=False),
    Column("reason", sa.Text, nullable=False),
    Column("origin", sa.Text, nullable=False),  # where the object lies, or the message itself
    Column("set_aside_at", UTCDateTime, nullable=False),
    Column("settled_at", UTCDateTime, nullable=True),
)

scans = Table(
    "scans",
    metadata,
    Column("id", sa.String, primary_key=True),  # the engine's query id
    Column("table_name", sa.String, nullable=False),
    Column("window_start", UTCDateTime, nullable=False),
    Column("window_end", UTCDateTime, nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("seconds", sa.Float, nullable=False),
    Column("records", sa.BigInteger, nullable=False),
    Column("bytes_scanned", sa.BigInteger, nullable=False),
    Column("detections", sa.JSON, nullable=False),
)

# What was read of a table on a day, in UTC: by a detection its share, by all together where there is no identity.
costs = Table(
    "costs",
    metadata,
    Column("day", sa.String, primary_key=True),
    Column("table_name", sa.String, primary_key=True),
    Column("identity", sa.String, primary_key=True),
    Column("queries", sa.Integer, nullable=False),
    Column("bytes", sa.BigInteger, nullable=False),
)

matches = Table(
    "matches",
    metadata,
    Column("id", sa.String, primary_key=True),  # a digest of (detection, table, record): a repeat is no second match
    Column("identity", sa.String, nullable=False),
    Column("table_name", sa.String, nullable=False),
    Column("scan_id", sa.String, nullable=False),
    Column("revision", sa.String, nullable=False),
    Column("build_digest", sa.String, nullable=False),
    Column("event_at", UTCDateTime, nullable=False),
    Column("found_at", UTCDateTime, nullable=False),
    Column("dedupe", sa.String, nullable=False),
    Column("title", sa.Text, nullable=False),
    Column("severity", sa.String, nullable=False),
    Column("destinations", JsonText, nullable=False),
    Column("description", sa.Text, nullable=True),
    Column("runbook", sa.Text, nullable=True),
    Column("context", JsonText, nullable=False),
    Column("record", JsonText, nullable=True),
    Column("alert_id", sa.String, nullable=True, index=True),  # None while below the threshold
    Column("suppressed_by", sa.String, nullable=True),  # the suppression that kept it out of every alert
    Column("late", sa.Boolean, nullable=True),  # whether a stream should have brought its record; None: there was none
    Index("matches_by_key", "identity", "dedupe", "event_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", sa.String, primary_key=True),
    Column("identity", sa.String, nullable=False),
    Column("detection", sa.String, nullable=False),
    Column("dedupe", sa.String, nullable=False),
    Column("title", sa.Text, nullable=False),
    Column("severity", sa.String, nullable=False),
    Column("status", sa.String, nullable=False),  # open, resolved
    Column("destinations", JsonText, nullable=False),
    Column("description", sa.Text, nullable=True),
    Column("runbook", sa.Text, nullable=True),
    Column("context", JsonText, nullable=False),
    Column("match_count", sa.Integer, nullable=False),
    Column("first_match_at", UTCDateTime, nullable=False),
    Column("last_match_at", UTCDateTime, nullable=False),
    Column("window_end", UTCDateTime, nullable=False),
    Column("opened_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("provenance", JsonText, nullable=False),
    Column("told", JsonText, nullable=True),  # the destinations that heard of it; None: all (an earlier Trapline's row)
    Column("told_at", UTCDateTime, nullable=True),  # when they last did
    Column("storm_id", sa.String, nullable=True, index=True),  # the alert that tells of this one among many
    Column("resolved_at", UTCDateTime, nullable=True),
    Column("resolved_by", sa.String, nullable=False, default=""),
    Column("resolution", sa.Text, nullable=False, default=""),
    Index("alerts_by_key", "identity", "dedupe", "first_match_at"),
    Index("alerts_told", "identity", "told_at"),
    Index("alerts_open", "identity", "status", "window_end"),
)

_unsettled = sa.text("settled_at IS NULL")

# The outbox. A row is written with the state change it tells of, in one transaction, and settled by delivery.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", sa.String, primary_key=True),  # stable over attempts: the idempotency key
    Column("sequence", sa.Integer, nullable=False, unique=True, index=True),  # the order within (destination, alert)
    Column("destination", sa.String, nullable=False),
    Column("alert_id", sa.String, ForeignKey("alerts.id"), nullable=False),
    Column("kind", sa.String, nullable=False),  # opened, updated, resolved
    Column("notification", JsonText, nullable=False),
    Column("state", sa.String, nullable=False),  # pending, unknown, delivered, dead
    Column("attempts", sa.Integer, nullable=False, default=0),
    Column("next_attempt_at", UTCDateTime, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("settled_at", UTCDateTime, nullable=True),
    Column("ref", sa.String, nullable=False, default=""),
    Column("reason", sa.Text, nullable=False, default=""),
    Column("strikes", sa.Integer, nullable=True),  # failures that were its own, not its destination's; None: none
    Index("deliveries_due", "state", "destination", "next_attempt_at"),
    Index("deliveries_told", "alert_id", "destination", "sequence"),
    # What is settled is most of the table, and in neither of these.
    Index("deliveries_queue", "destination", "next_attempt_at", "sequence", sqlite_where=_unsettled),
    Index("deliveries_order", "destination", "alert_id", "sequence", sqlite_where=_unsettled),
)

# The destinations that failed the last time they were spoken to; one that works has no row.
circuits = Table(
    "circuits",
    metadata,
    Column("destination", sa.String, primary_key=True),
    Column("failures", sa.Integer, nullable=False),  # in a row, those of one delivery alone counted once
    Column("failing_since", UTCDateTime, nullable=False),
    Column("failed_at", UTCDateTime, nullable=False),
    Column("held_until", UTCDateTime, nullable=True),  # nothing is sent before
    Column("delivery_id", sa.String, nullable=False),  # the last that failed
    Column("reason", sa.Text, nullable=False),
)

# What a rule failed on, set aside until a replay settles it: with the reason, and the record where it was one.
failures = Table(
    "failures",
    metadata,
    Column("id", sa.String, primary_key=True),  # a digest of (detection, table, record or window, function)
    Column("identity", sa.String, nullable=False, index=True),
    Column("table_name", sa.String, nullable=False),
    Column("revision", sa.String, nullable=False, default=""),
    Column("build_digest", sa.String, nullable=False),
    Column("deploy_digest", sa.String, nullable=False, default=""),  # the version that failed on it last
    Column("outcome", sa.String, nullable=False, default=""),  # raised, or the limit that it exceeded
    Column("function", sa.String, nullable=False),
    Column("error", sa.Text, nullable=False),
    Column("file", sa.String, nullable=False),
    Column("line", sa.Integer, nullable=False),
    Column("event_at", UTCDateTime, nullable=False),
    Column("window_start", UTCDateTime, nullable=True),
    Column("window_end", UTCDateTime, nullable=True),
    Column("failed_at", UTCDateTime, nullable=False),
    Column("settled_at", UTCDateTime, nullable=True),  # when a version got through it
    Column("record", sa.JSON, nullable=True),  # for people; None where a whole window failed
    Column("record_key", sa.String, nullable=False, default=""),  # what its matches are identified by
    Column("payload", sa.LargeBinary, nullable=True),  # the record with its types, as one Arrow batch
    Index("failures_open", "identity", "settled_at"),
)

# What a rule printed, newest kept; bounded for each detection.
logs = Table(
    "logs",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("identity", sa.String, nullable=False, index=True),
    Column("at", UTCDateTime, nullable=False),
    Column("build_digest", sa.String, nullable=False),
    Column("source", sa.String, nullable=False),  # where it ran: a table and window, or its own tests
    Column("text", sa.Text, nullable=False),
)
