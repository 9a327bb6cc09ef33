"""Opening the state database: SQLite in the controller's home, the schema brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from trapline.errors import TraplineError
from trapline.state.schema import meta, metadata


def add_what_is_missing(connection: sa.Connection) -> None:
    """New tables, indexes and columns of text, empty where they cannot be null: all that most versions bring."""
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        known = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                name, type_ = column.name, column.type.compile(connection.dialect)
                default = "" if column.nullable else " NOT NULL DEFAULT ''"
                connection.exec_driver_sql(f'ALTER TABLE {table.name} ADD COLUMN "{name}" {type_}{default}')
        for index in table.indexes:
            index.create(connection, checkfirst=True)


# One entry per schema version, in order; entry N brings version N to N + 1. Entries are never changed once released.
# A database that is made now has today's schema at once.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (
    metadata.create_all,
    add_what_is_missing,
    add_what_is_missing,
    add_what_is_missing,
    add_what_is_missing,
    add_what_is_missing,
    add_what_is_missing,
)

_CHUNK = 500
_ANNOUNCED = "trapline announced"


class StateError(TraplineError):
    """The state database cannot be read or written now. Nothing of the transaction was kept."""


class Database:
    """The state database. Thread-safe; a transaction belongs to one thread."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._listeners: list[Callable[[], None]] = []
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _configure_sqlite)
            sa.event.listen(self._engine, "begin", _begin_immediate)
        self._migrate()

    @classmethod
    def in_home(cls, home: Path) -> Database:
        """The embedded database of a controller's home, made where there is none."""
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TraplineError(
                f"the home {home} cannot be made: {error.strerror}", remedy="name another home with --home"
            ) from error
        return cls(f"sqlite:///{home / 'trapline.db'}")

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """All or nothing. Writers wait for each other; keep network and workers out of it."""
        with self._explained(), self._engine.begin() as connection:
            connection.info.pop(_ANNOUNCED, None)  # left by one that was rolled back
            yield connection
            announced = connection.info.pop(_ANNOUNCED, False)
        if announced:
            for listener in self._listeners:
                listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Has `listener`, which must be quick, called after every commit of ours in which something was announced."""
        self._listeners.append(listener)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the state, waiting for nobody and holding nobody up. What is written in it is lost."""
        with self._explained(), self._reader() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what a database answers when its disk or its server fails it into our error, without what was said."""
        try:
            yield
        except sa.exc.OperationalError as error:
            raise StateError(
                f"the state database {self._shown_url} cannot be used now: {error.orig}",
                remedy="look whether its disk has room and can be written to, and whether anything holds it locked",
            ) from error

    def _reader(self) -> sa.Connection:
        return self._engine.connect().execution_options(trapline_read_only=True)

    def _migrate(self) -> None:
        try:
            with self._reader() as connection:
                if self._version(connection) == len(MIGRATIONS):
                    return
            with self._engine.begin() as connection:
                version = self._version(connection)  # once more: somebody else may have migrated meanwhile
                if version > len(MIGRATIONS):
                    raise TraplineError(
                        f"the state database {self._shown_url} was written by a newer Trapline (schema {version})",
                        remedy="upgrade Trapline, or name another home with --home",
                    )
                for migrate in MIGRATIONS[version:] if version else (metadata.create_all,):
                    migrate(connection)
                connection.execute(meta.delete().where(meta.c.key == "schema"))
                connection.execute(meta.insert().values(key="schema", value=len(MIGRATIONS)))
        except sa.exc.DBAPIError as error:
            raise TraplineError(
                f"the state database {self._shown_url} cannot be opened: {error.orig}",
                remedy="check the path, its permissions and the disk, or name another home with --home",
            ) from error

    @property
    def _shown_url(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    def _version(self, connection: sa.Connection) -> int:
        if not sa.inspect(connection).has_table("meta"):
            return 0
        value = connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema")).scalar()
        return int(value or 0)


def chunks(ids: Iterable[str]) -> Iterator[Sequence[str]]:
    """The ids in lists that fit into one statement: SQLite's limit on bound parameters is in the thousands."""
    all_of_them = list(ids)
    return (all_of_them[start : start + _CHUNK] for start in range(0, len(all_of_them), _CHUNK))


def announce(connection: sa.Connection) -> None:
    """Has those who listen woken once the caller's transaction is committed: there is something to be delivered."""
    connection.info[_ANNOUNCED] = True


def upsert(connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Updates the row with this key, or inserts it."""
    where = [table.c[column] == value for column, value in key.items()]
    if not connection.execute(table.update().where(*where).values(**values)).rowcount:
        connection.execute(table.insert().values(**key, **values))


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling is off, so that `begin` below is the only one.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut, not only a crash
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_immediate(connection: sa.Connection) -> None:
    # A read that later writes would otherwise fail with "database is locked" instead of waiting its turn.
    reading = connection.get_execution_options().get("trapline_read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
