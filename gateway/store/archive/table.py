"""The table of events: its columns and indexes, and what makes two rows one.

A row is what one call came to, wherever its event stood: it is keyed by `once`, not by its
place in the stream. A store that lost its tail gets the same events again, under new ids;
the later one takes the row of the earlier.
"""

from typing import Final

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

from gateway.event import UsageEvent
from gateway.store.stream_ids import halves

SCHEMA_VERSION: Final = 7
_INT64: Final = 2**63 - 1

ADJUST_SUFFIX: Final = "+adjust"
"""Of the row beside its orphan's; all other kinds end a call, or stand for themselves."""


class ArchivedEvent(Struct, frozen=True, gc=False):
    """An event, and where in the streams it stood.

    Attributes:
        stream_id: As the stream has it; `gateway.store.stream_ids` compares them.
    """

    partition: int
    stream_id: str
    event: UsageEvent


METADATA: Final = MetaData()

# SQLite's INTEGER is 64 bits wide; as a primary key it must be spelled so to be the rowid.
ROW_ID: Final = BigInteger().with_variant(Integer, "sqlite")

# Compared byte by byte, as SQLite does: an id's range must not hang on a server's language.
Bytewise: Final = Text().with_variant(Text(collation="C"), "postgresql")

NOT_OK: Final = text("status <> 'ok'")
UNPRICED: Final = text("unpriced")
"""Said to the database in these words, or it does not find the index that is made of them."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("once", Bytewise, nullable=False),
    Column("stream_ms", BigInteger, nullable=False),  # the stream id, in halves that compare
    Column("stream_seq", BigInteger, nullable=False),
    Column("request_id", Bytewise, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Bytewise, nullable=False),
    Column("customer_number", BigInteger, nullable=False),
    Column("app", Bytewise, nullable=False),
    Column("endpoint", Bytewise, nullable=False),
    Column("model", Bytewise, nullable=False),
    Column("served_model", Bytewise),
    Column("provider", Bytewise, nullable=False),
    Column("upstream", Bytewise, nullable=False),
    Column("status", Bytewise, nullable=False),
    Column("status_code", Integer, nullable=False),
    Column("error_code", Bytewise),
    Column("stream", Boolean, nullable=False),
    Column("cost_pico", BigInteger, nullable=False),
    Column("charge_pico", BigInteger, nullable=False),
    Column("hold_pico", BigInteger, nullable=False),
    Column("unpriced", Boolean, nullable=False),
    Column("markup_ppm", BigInteger, nullable=False),
    Column("latency_ms", BigInteger),
    Column("first_token_ms", BigInteger),
    Column("finish_reason", Bytewise),
    Column("source", Bytewise),
    Column("price_id", Bytewise),
    Column("book_version", Bytewise),
    Column("upstream_request_id", Bytewise),
    # Derived, to be summed and filtered: totals as OpenAI counts them.
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("unresolved_pico", BigInteger, nullable=False),
    # JSON, as text: written and read by orjson, never searched.
    Column("metadata", Text),
    Column("details", Text, nullable=False),
    Index("events_once", "once", "partition", unique=True),
    Index("events_by_stream", "partition", "stream_ms", "stream_seq"),
    Index("events_by_time", "at_ms"),
    Index("events_by_customer", "customer_number", "at_ms"),
    Index("events_by_model", "model", "at_ms"),
    Index("events_by_app", "app", "at_ms"),
    # Most calls are well: an index of the others is small, and theirs are the ones sought.
    Index("events_by_status", "status", "at_ms", sqlite_where=NOT_OK, postgresql_where=NOT_OK),
    Index("events_in_trouble", "at_ms", sqlite_where=NOT_OK, postgresql_where=NOT_OK),
    Index("events_unpriced", "at_ms", sqlite_where=UNPRICED, postgresql_where=UNPRICED),
)

STREAM_ORDER: Final = (EVENTS.c.stream_ms, EVENTS.c.stream_seq)


def place(stream_id: str) -> tuple[int, int]:
    """A stream id as two columns. Its halves have 64 bits, a column's number has 63."""
    ms, seq = halves(stream_id)
    return (ms, seq) if max(ms, seq) <= _INT64 else (min(ms, _INT64), min(seq, _INT64))
