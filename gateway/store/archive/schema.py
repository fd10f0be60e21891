"""Making the archive's tables, and bringing those of an earlier version along.

SQLite keeps the version in the file's head, PostgreSQL in a table of one row.
"""

from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.store.archive import askers, summing, sums, triggers
from gateway.store.archive.database import name_of, writing
from gateway.store.archive.outbox import ALERTS, DELIVERIES
from gateway.store.archive.past import PAST
from gateway.store.archive.payloads import PAYLOADS
from gateway.store.archive.rows import KEEP_LATER, WRITTEN
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, SCHEMA_VERSION

_TABLES: Final = (EVENTS, PAST, ALERTS, DELIVERIES, PAYLOADS, askers.ASKERS, *sums.TABLES)
_VERSION: Final = "archive_version"

_ASKERS_NOTED: Final = 6
"""The first version that has written down who asked which model."""


def create(engine: Engine, zone: str) -> None:
    """Create what is missing. Workers that start together wait for each other.

    Args:
        zone: Whose days are summed up.

    Raises:
        RuntimeError: a later version of farebox has written it.
    """
    with writing(engine) as connection:
        version = _version(connection)
        if version == 1:
            _leave_first_version(connection)
        elif version < SCHEMA_VERSION:
            _create_tables(connection)
        if 0 < version < _ASKERS_NOTED:
            askers.note_all(connection)
        summing.begin(connection, zone)
        if version < SCHEMA_VERSION:
            _set_version(connection)


def version_of(engine: Engine) -> int:
    """0: nothing is there yet.

    Raises:
        RuntimeError: a later version of farebox has written it.
    """
    with engine.connect() as connection:
        return _version(connection)


def _version(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    elif connection.exec_driver_sql(f"SELECT to_regclass('{_VERSION}')").scalar_one() is None:
        return 0
    else:
        query = f"SELECT max(version) FROM {_VERSION}"  # noqa: S608 - a constant
        found = connection.exec_driver_sql(query).scalar_one()
    version = int(found or 0)
    if version > SCHEMA_VERSION:
        raise RuntimeError(
            f"{name_of(connection.engine)} has schema {version}, this farebox knows"
            f" {SCHEMA_VERSION}: run the version that wrote it, or a later one"
        )
    return version


def _set_version(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return
    for statement in (
        f"CREATE TABLE IF NOT EXISTS {_VERSION} (version integer NOT NULL)",
        f"DELETE FROM {_VERSION}",  # noqa: S608 - a constant
        f"INSERT INTO {_VERSION} VALUES ({SCHEMA_VERSION})",  # noqa: S608 - constants
    ):
        connection.exec_driver_sql(statement)


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
