"""The way of an event into the archive and out of it."""

from collections.abc import Mapping
from dataclasses import fields
from itertools import compress
from operator import attrgetter
from typing import Any, Final

import orjson
from sqlalchemy import Dialect, RowMapping

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, ArchivedEvent, place
from pricing.usage import Usage

_ENUMS: Final[Mapping[str, Any]] = {"kind": Kind, "status": Status, "source": Source}
_PLAIN: Final = tuple(
    f.name for f in fields(UsageEvent) if f.name in EVENTS.c and f.name not in {"metadata", *_ENUMS}
)
_LEFT: Final = tuple(
    f.name for f in fields(UsageEvent) if f.name not in EVENTS.c and f.name != "usage"
)
"""What has no column of its own; with the usage buckets it makes up `details`."""

_USAGE: Final = tuple(f.name for f in fields(Usage))
# Not `.value`: a property in Python, where this is an attribute. A row is made in C where it can.
_plain_values = attrgetter(*_PLAIN, "kind._value_", "status._value_")
_left_values = attrgetter(*_LEFT)
_usage_values = attrgetter(*_USAGE)

WRITTEN: Final = (
    *("partition", "once", "stream_ms", "stream_seq"),
    *_PLAIN,
    *("kind", "status", "source"),
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "unresolved_pico"),
    *("metadata", "details"),
)
"""The columns of `to_row`, in its order."""

KEEP_LATER: Final = (
    "ON CONFLICT (once, partition) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in WRITTEN)
    + " WHERE (excluded.stream_ms, excluded.stream_seq) > (events.stream_ms, events.stream_seq)"
)
"""Of two rows for one thing the later stays; the same one again changes nothing."""


def insert_once(dialect: Dialect) -> str:
    """Insert rows of `to_row`; of those that stand for the same thing, keep the latest.

    Raises:
        ValueError: a database that the archive does not know.
    """
    if dialect.name != "sqlite":
        raise ValueError(f"the archive does not speak {dialect.name} yet: use SQLite")
    columns, places = ", ".join(WRITTEN), ", ".join("?" * len(WRITTEN))
    return f"INSERT INTO {EVENTS.name} ({columns}) VALUES ({places}) {KEEP_LATER}"  # noqa: S608


def to_row(archived: ArchivedEvent) -> tuple[Any, ...]:
    """As positional parameters: SQLAlchemy's handling of named ones costs more than SQLite."""
    event = archived.event
    request_id = event.request_id
    source = event.source
    left, usage = _left_values(event), _usage_values(event.usage)
    details: dict[str, Any] = dict(compress(zip(_LEFT, left, strict=True), left))
    details["usage"] = dict(compress(zip(_USAGE, usage, strict=True), usage))
    return (
        archived.partition,
        request_id + ADJUST_SUFFIX if _corrects_orphan(event) else request_id,
        *place(archived.stream_id),
        *_plain_values(event),
        None if source is None else source._value_,
        *event.usage.totals,
        event.unresolved_pico,
        None if event.metadata is None else orjson.dumps(event.metadata).decode(),
        orjson.dumps(details).decode(),
    )


def _corrects_orphan(event: UsageEvent) -> bool:
    """It shares that one's id; a re-rating has an id of its own."""
    return event.kind is Kind.ADJUST and event.adjusts is None


def from_row(row: RowMapping) -> ArchivedEvent:
    known = {name: row[name] for name in _PLAIN}
    for name, enum in _ENUMS.items():
        known[name] = None if row[name] is None else enum(row[name])
    if row["metadata"] is not None:
        known["metadata"] = orjson.loads(row["metadata"])
    details = orjson.loads(row["details"])
    usage = details.pop("usage")
    if "fees" in usage:
        usage["fees"] = tuple((name, count) for name, count in usage["fees"])
    event = UsageEvent(usage=Usage(**usage), **known, **details)
    return ArchivedEvent(row["partition"], f"{row['stream_ms']}-{row['stream_seq']}", event)
