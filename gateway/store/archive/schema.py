"""Making the archive's tables, and bringing those of an earlier version along."""

from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.store.archive.outbox import ALERTS, DELIVERIES
from gateway.store.archive.past import PAST
from gateway.store.archive.rows import KEEP_LATER, WRITTEN
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, SCHEMA_VERSION, TRIGGERS

_TABLES: Final = (EVENTS, PAST, ALERTS, DELIVERIES)


def create(engine: Engine, name: str) -> None:
    """Create what is missing. Workers that start together wait for each other at BEGIN.

    Raises:
        RuntimeError: a later version of farebox has written it; `name` is for the message.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version > SCHEMA_VERSION:
            raise RuntimeError(
                f"{name} has schema {version}, this farebox knows {SCHEMA_VERSION}:"
                " run the version that wrote it, or a later one"
            )
        if version == 1:
            _leave_first_version(connection)
        else:
            _create_tables(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.commit()


def _create_tables(connection: Connection) -> None:
    for table in _TABLES:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: index.name or ""):
            connection.execute(CreateIndex(index, if_not_exists=True))
    for trigger in TRIGGERS:
        connection.exec_driver_sql(trigger)


def _leave_first_version(connection: Connection) -> None:
    """Version 1 keyed rows by their place in the stream: one call may have had several."""
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
