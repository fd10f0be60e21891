"""The table of events: its columns, its indexes, and the way of an event in and out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.event import Kind, Source, Status, UsageEvent
from pricing.usage import Usage

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    """An event, and where in the streams it stood."""

    partition: int
    stream_id: str
    event: UsageEvent


METADATA: Final = MetaData()

# SQLite's INTEGER is 64 bits wide; as a primary key it must be spelled so to be the rowid.
_RowId = BigInteger().with_variant(Integer, "sqlite")

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", _RowId, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("customer_number", BigInteger, nullable=False),
    Column("app", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("served_model", Text),
    Column("provider", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_code", Integer, nullable=False),
    Column("error_code", Text),
    Column("stream", Boolean, nullable=False),
    Column("cost_pico", BigInteger, nullable=False),
    Column("charge_pico", BigInteger, nullable=False),
    Column("hold_pico", BigInteger, nullable=False),
    Column("unpriced", Boolean, nullable=False),
    Column("markup_ppm", BigInteger, nullable=False),
    Column("latency_ms", BigInteger),
    Column("first_token_ms", BigInteger),
    Column("finish_reason", Text),
    Column("source", Text),
    Column("price_id", Text),
    Column("book_version", Text),
    Column("upstream_request_id", Text),
    # Derived, to be summed and filtered: totals as OpenAI counts them.
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("unresolved_pico", BigInteger, nullable=False),
    # JSON, as text: written and read by orjson, never searched.
    Column("metadata", Text),
    Column("details", Text, nullable=False),
    UniqueConstraint("partition", "stream_id"),
    Index("events_by_request", "request_id"),
    Index("events_by_time", "at_ms"),
    Index("events_by_customer", "customer_number", "at_ms"),
    Index("events_by_model", "model", "at_ms"),
    Index("events_by_status", "status", "at_ms"),
)

_ENUMS: Final[Mapping[str, Any]] = {"kind": Kind, "status": Status, "source": Source}
_PLAIN: Final = tuple(
    f.name for f in fields(UsageEvent) if f.name in EVENTS.c and f.name not in {"metadata", *_ENUMS}
)
_LEFT: Final = ("group", "service_tier", "raw_usage", "output_cap_tokens")
"""What has no column of its own; with the usage buckets it makes up `details`."""

_USAGE: Final = tuple(f.name for f in fields(Usage))
_plain_values = attrgetter(*_PLAIN)
_left_values = attrgetter(*_LEFT)
_usage_values = attrgetter(*_USAGE)

WRITTEN: Final = (
    *("partition", "stream_id"),
    *_PLAIN,
    *("kind", "status", "source"),
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "unresolved_pico"),
    *("metadata", "details"),
)
"""The columns of `to_row`, in its order."""


def insert_ignoring(dialect: Dialect) -> str:
    """Insert rows of `to_row`; where partition and stream id are there already, do nothing.

    Raises:
        ValueError: a database that the archive does not know.
    """
    if dialect.name != "sqlite":
        raise ValueError(f"the archive does not speak {dialect.name} yet: use SQLite")
    columns, places = ", ".join(WRITTEN), ", ".join("?" * len(WRITTEN))
    return f"INSERT INTO {EVENTS.name} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608


def to_row(archived: ArchivedEvent) -> tuple[Any, ...]:
    """As positional parameters: SQLAlchemy's handling of named ones costs more than SQLite."""
    event = archived.event
    usage = event.usage
    details = dict(_set(_LEFT, _left_values(event)))
    details["usage"] = dict(_set(_USAGE, _usage_values(usage)))
    return (
        archived.partition,
        archived.stream_id,
        *_plain_values(event),
        event.kind.value,
        event.status.value,
        None if event.source is None else event.source.value,
        usage.input_total,
        usage.cached_total,
        usage.output_total,
        usage.reasoning_tokens,
        event.unresolved_pico,
        None if event.metadata is None else orjson.dumps(event.metadata).decode(),
        orjson.dumps(details).decode(),
    )


def _set(names: tuple[str, ...], values: tuple[Any, ...]) -> list[tuple[str, Any]]:
    return [pair for pair in zip(names, values, strict=True) if pair[1]]


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
    return ArchivedEvent(row["partition"], row["stream_id"], event)
