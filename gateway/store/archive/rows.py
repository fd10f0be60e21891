"""The way of an event into the archive and out of it."""

from collections.abc import Mapping
from operator import attrgetter, itemgetter
from typing import Any, Final

import msgspec
import orjson
from sqlalchemy import Dialect, RowMapping

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, ArchivedEvent, place
from pricing.usage import Usage

_ENUMS: Final[Mapping[str, Any]] = {"kind": Kind, "status": Status, "source": Source}
_FLAGS: Final = ("stream", "unpriced")
_PLAIN: Final = tuple(
    name
    for name in UsageEvent.__struct_fields__
    if name in EVENTS.c and name not in {"metadata", *_ENUMS, *_FLAGS}
)
_LEFT: Final = tuple(
    f for f in msgspec.structs.fields(UsageEvent) if f.name not in EVENTS.c and f.name != "usage"
)
"""What has no column of its own; with the usage buckets it makes up `details`."""

_Details: Final = msgspec.defstruct(
    "_Details",
    [("usage", Usage), *((f.name, f.type, f.default) for f in _LEFT)],
    omit_defaults=True,
    gc=False,
)
# Not `.value`: a property in Python, where this is an attribute. A row is made in C where it can.
_plain_values = attrgetter(*_PLAIN, "kind._value_", "status._value_")
_details_values = attrgetter("usage", *(f.name for f in _LEFT))
_json = msgspec.json.Encoder().encode

WRITTEN: Final = (
    *("partition", "once", "stream_ms", "stream_seq"),
    *_PLAIN,
    *("kind", "status", "source", *_FLAGS),
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "unresolved_pico"),
    *("metadata", "details"),
)
"""The columns of `to_row`, in its order."""

ONCE: Final = itemgetter(WRITTEN.index("once"))
"""Of a row of `to_row`."""

KEEP_LATER: Final = (
    "ON CONFLICT (once, partition) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in WRITTEN)
    + " WHERE (excluded.stream_ms, excluded.stream_seq) > (events.stream_ms, events.stream_seq)"
)
"""Of two rows for one thing the later stays; the same one again changes nothing."""


def insert_new(dialect: Dialect) -> str:
    """Insert rows of `to_row`, and leave out those that stand for something that has a row.

    Most batches have none of these, and then this does what `insert_once` does at half the
    price: a statement that may fail half-way makes SQLite keep a copy of every page that it
    touches, row by row, as soon as the table has triggers. This one cannot fail: a row that
    breaks a constraint is left out, too, and `insert_once` says so. (PostgreSQL says so here.)
    """
    if dialect.name == "sqlite":
        return f"INSERT OR IGNORE {_rows(dialect)}"
    return f"INSERT {_rows(dialect)} ON CONFLICT (once, partition) DO NOTHING"


def insert_once(dialect: Dialect) -> str:
    """Insert rows of `to_row`; of those that stand for the same thing, keep the latest."""
    return f"INSERT {_rows(dialect)} {KEEP_LATER}"


def _rows(dialect: Dialect) -> str:
    mark = "?" if dialect.name == "sqlite" else "%s"
    values = ", ".join([mark] * len(WRITTEN))
    return f"INTO {EVENTS.name} ({', '.join(WRITTEN)}) VALUES ({values})"


_WRITTEN_FLAGS: Final = frozenset(WRITTEN.index(name) for name in _FLAGS)


def for_postgres(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of `to_row` as PostgreSQL takes it: no number for a truth, no NUL in a text."""
    return tuple(
        bool(value)
        if at in _WRITTEN_FLAGS
        else value.replace("\0", "\ufffd")
        if type(value) is str
        else value
        for at, value in enumerate(row)
    )


def to_row(archived: ArchivedEvent) -> tuple[Any, ...]:
    """As positional parameters: SQLAlchemy's handling of named ones costs more than SQLite."""
    event = archived.event
    request_id = event.request_id
    source = event.source
    metadata = event.metadata
    return (
        archived.partition,
        request_id + ADJUST_SUFFIX if _corrects_orphan(event) else request_id,
        *place(archived.stream_id),
        *_plain_values(event),
        None if source is None else source._value_,
        # Numbers: what is none of Python's own, sqlite3 looks for an adapter of.
        +event.stream,
        +event.unpriced,
        *event.usage.totals,
        event.unresolved_pico,
        None if metadata is None else _json(metadata).decode(),
        _json(_Details(*_details_values(event))).decode(),
    )


def _corrects_orphan(event: UsageEvent) -> bool:
    """It shares that one's id; a re-rating has an id of its own."""
    return event.kind is Kind.ADJUST and event.adjusts is None


def from_row(row: RowMapping) -> ArchivedEvent:
    known = {name: row[name] for name in (*_PLAIN, *_FLAGS)}
    for name, enum in _ENUMS.items():
        known[name] = None if row[name] is None else enum(row[name])
    if row["metadata"] is not None:
        known["metadata"] = msgspec.json.decode(row["metadata"])
    details = orjson.loads(row["details"])
    usage = details.pop("usage")
    if "fees" in usage:
        usage["fees"] = tuple((name, count) for name, count in usage["fees"])
    event = UsageEvent(usage=Usage(**usage), **known, **details)
    return ArchivedEvent(row["partition"], f"{row['stream_ms']}-{row['stream_seq']}", event)
