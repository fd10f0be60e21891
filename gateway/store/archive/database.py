"""The database below the archive: a SQLite file of ours, or a PostgreSQL that machines share.

What is one dialect's own stands here, and in `schema.py` (versions, triggers) and `rows.py`
(how a row is inserted).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

FILE_NAME: Final = "archive.sqlite3"
BUSY_SECONDS_MAX: Final = 10.0
CONNECT_SECONDS_MAX: Final = 5
CONNECTIONS_MAX: Final = 8

_SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_WRITERS: Final = 0x6661726562  # "fareb": whoever writes holds this advisory lock
_DRIVER_MISSING: Final = "needs a driver that is not installed: pip install 'farebox[postgres]'"


def sqlite_engine(path: Path) -> Engine:
    """Of a file; nothing is opened yet."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        connect_args={"timeout": BUSY_SECONDS_MAX},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def postgres_engine(url: str) -> Engine:
    """Of a ``postgresql://`` URL; nothing is opened yet.

    Raises:
        ValueError: says what is wrong with the URL, without repeating it.
    """
    settings = {
        # The cursor moves once a batch is committed, and the stream may then be trimmed: a
        # server that confirms before it writes would lose what stands nowhere else.
        "options": "-c synchronous_commit=on -c timezone=UTC",
        "connect_timeout": CONNECT_SECONDS_MAX,
        "tcp_user_timeout": 1_000 * int(BUSY_SECONDS_MAX),  # a peer that is gone says nothing
        "application_name": "farebox",
    }
    try:
        return create_engine(
            _postgres_url(url),
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=settings,
        )
    except ModuleNotFoundError as exc:
        raise ValueError(_DRIVER_MISSING) from exc


def check_url(url: str) -> None:
    """Raises ValueError: it is no URL of a database that the archive can use."""
    _postgres_url(url)


def name_of(engine: Engine) -> str:
    """For messages; never a password."""
    if engine.dialect.name == "sqlite":
        return FILE_NAME
    return engine.url.set(drivername="postgresql", password=None).render_as_string()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: one at a time, so that what it has read stays true.

    SQLite locks the file; in PostgreSQL an advisory lock stands for that, which goes with
    the transaction, however it ends.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
        yield connection
        connection.commit()


def _postgres_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("must be a URL like postgresql://user:password@host/database") from None
    if parsed.drivername not in _SCHEMES:
        raise ValueError("must begin with postgresql://; without it the archive is a SQLite file")
    return parsed.set(drivername="postgresql+psycopg")


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    """Set up a new connection.

    WAL, so that readers and the writer do not wait for each other. FULL, because the cursor
    moves once a batch is committed, and the stream may then be trimmed: with NORMAL, a power
    failure could take back a commit whose events are nowhere else. One sync a batch.
    What is deleted is overwritten: it was somebody's who is to be forgotten.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
