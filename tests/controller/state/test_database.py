"""The state database: migrated once, transactional, and readable while somebody writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from trapline.errors import TraplineError
from trapline.state.database import MIGRATIONS, Database
from trapline.state.schema import UTCDateTime, checkpoints, events, meta, overrides

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def positions(database: Database) -> list[datetime]:
    with database.reading() as connection:
        return list(connection.execute(sa.select(checkpoints.c.position)).scalars())


def insert(connection: sa.Connection, identity: str) -> None:
    connection.execute(checkpoints.insert().values(identity=identity, table_name="t", position=NOW))


def test_what_is_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    with Database.in_home(tmp_path).transaction() as connection:
        insert(connection, "a")
    assert positions(Database.in_home(tmp_path)) == [NOW]


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database.in_home(tmp_path)
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        insert(connection, "a")
        _ = 1 / 0
    assert positions(database) == []


def test_reading_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    database = Database.in_home(tmp_path)
    with database.transaction() as connection:
        insert(connection, "a")
        assert positions(database) == []  # the state before, at once
    assert positions(database) == [NOW]


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    database = Database.in_home(tmp_path)
    with database.transaction() as connection:
        connection.execute(meta.update().where(meta.c.key == "schema").values(value=len(MIGRATIONS) + 1))
    with pytest.raises(TraplineError, match="newer Trapline") as caught:
        Database.in_home(tmp_path)
    assert "upgrade" in caught.value.remedy


def test_the_first_schema_is_migrated_and_loses_nothing(tmp_path: Path) -> None:
    old = Database.in_home(tmp_path)
    with old.transaction() as connection:
        connection.execute(events.insert().values(at=NOW, identity="a", kind="deployed", revision="r"))
        for table in ("overrides", "builds", "leases"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
        for column in ("deploy_digest", "path"):
            connection.exec_driver_sql(f"ALTER TABLE events DROP COLUMN {column}")
        connection.execute(meta.update().where(meta.c.key == "schema").values(value=1))
    old.close()
    new = Database.in_home(tmp_path)
    with new.reading() as connection:
        [event] = connection.execute(sa.select(events)).mappings()
        assert connection.execute(sa.select(overrides)).all() == []
    assert (event["identity"], event["deploy_digest"], event["path"]) == ("a", "", "")


def test_one_that_is_made_now_is_as_one_that_was_migrated_step_by_step(tmp_path: Path) -> None:
    Database.in_home(tmp_path / "new").close()
    old = sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with old.begin() as connection:
        for migrate in MIGRATIONS:
            migrate(connection)
    new = sa.create_engine(f"sqlite:///{tmp_path / 'new' / 'trapline.db'}")
    schemas = []
    for engine in (old, new):
        with engine.connect() as connection:
            query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
            schemas.append(connection.exec_driver_sql(query).all())
        engine.dispose()
    assert schemas[0] == schemas[1]


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "trapline.db").write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(TraplineError, match="cannot be opened"):
        Database.in_home(tmp_path)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30))])))
def test_times_come_back_as_they_went_in(moment: datetime) -> None:
    column = UTCDateTime()
    dialect = sa.create_engine("sqlite://").dialect
    assert column.result_processor(dialect, None)(column.bind_processor(dialect)(moment)) == moment


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UTCDateTime().bind_processor(sa.create_engine("sqlite://").dialect)(datetime(2026, 1, 1))
