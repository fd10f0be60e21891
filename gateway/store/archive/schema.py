"""Making the archive's tables, and bringing those of an earlier version along.

SQLite keeps the version in the file's head, PostgreSQL in a table of one row.
"""

from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.store.archive import triggers
from gateway.store.archive.database import name_of, writing
from gateway.store.archive.past import PAST
from gateway.store.archive.rows import KEEP_LATER, WRITTEN
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, SCHEMA_VERSION

_TABLES: Final = (EVENTS, PAST)
_VERSION: Final = "archive_version"


def create(engine: Engine) -> None:
    """Create what is missing. Workers that start together wait for each other.

    Raises:
        RuntimeError: a later version of farebox has written it.
    """
    is_sqlite = engine.dialect.name == "sqlite"
    with writing(engine) as connection:
        version = _sqlite_version(connection) if is_sqlite else _postgres_version(connection)
        if version > SCHEMA_VERSION:
            raise RuntimeError(
                f"{name_of(engine)} has schema {version}, this farebox knows {SCHEMA_VERSION}:"
                " run the version that wrote it, or a later one"
            )
        if version == SCHEMA_VERSION:
            return
        if version == 1:
            _leave_first_version(connection)
        else:
            _create_tables(connection)
        if is_sqlite:
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        else:
            connection.exec_driver_sql(
                f"UPDATE {_VERSION} SET version = {SCHEMA_VERSION}"  # noqa: S608 - constants
            )


def _sqlite_version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _postgres_version(connection: Connection) -> int:
    """0: nothing is there yet. Looked for by name first: who may not create, may still use."""
    found = connection.exec_driver_sql(f"SELECT to_regclass('{_VERSION}')").scalar_one()
    if found is None:
        connection.exec_driver_sql(f"CREATE TABLE {_VERSION} (version integer NOT NULL)")
        connection.exec_driver_sql(f"INSERT INTO {_VERSION} VALUES (0)")  # noqa: S608 - constants
    version = connection.exec_driver_sql(f"SELECT version FROM {_VERSION}").scalar_one()  # noqa: S608
    return int(version)


def _create_tables(connection: Connection) -> None:
    for table in _TABLES:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: index.name or ""):
            connection.execute(CreateIndex(index, if_not_exists=True))
    is_sqlite = connection.dialect.name == "sqlite"
    for trigger in triggers.SQLITE if is_sqlite else triggers.POSTGRES:
        connection.exec_driver_sql(trigger)


def _leave_first_version(connection: Connection) -> None:
    """Version 1 keyed rows by their place in the stream: one call may have had several.

    It was SQLite's only: PostgreSQL came with version 3.
    """
    connection.exec_driver_sql("ALTER TABLE events RENAME TO events_1")
    for name in ("request", "time", "customer", "model", "status"):
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS events_by_{name}")
    _create_tables(connection)
    found = {
        "once": f"request_id || CASE kind WHEN 'adjust' THEN '{ADJUST_SUFFIX}' ELSE '' END",
        "stream_ms": "CAST(stream_id AS INTEGER)",
        "stream_seq": "CAST(substr(stream_id, instr(stream_id, '-') + 1) AS INTEGER)",
    }
    columns = ", ".join(WRITTEN)
    values = ", ".join(found.get(name, name) for name in WRITTEN)
    connection.exec_driver_sql(
        f"INSERT INTO events ({columns}) SELECT {values} FROM events_1"  # noqa: S608 - constants
        f" WHERE true ORDER BY partition, {found['stream_ms']}, {found['stream_seq']}"
        f" {KEEP_LATER}"
    )
    connection.exec_driver_sql("DROP TABLE events_1")
