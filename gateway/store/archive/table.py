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

from gateway.event import RERATED, UsageEvent
from gateway.store.stream_ids import halves

SCHEMA_VERSION: Final = 2
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

NOT_OK: Final = text("status <> 'ok'")
"""Said to the database in these words, or it does not find the index that is made of them."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("once", Text, nullable=False),
    Column("stream_ms", BigInteger, nullable=False),  # the stream id, in halves that compare
    Column("stream_seq", BigInteger, nullable=False),
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
    Index("events_once", "once", "partition", unique=True),
    Index("events_by_stream", "partition", "stream_ms", "stream_seq"),
    Index("events_by_time", "at_ms"),
    Index("events_by_customer", "customer_number", "at_ms"),
    Index("events_by_model", "model", "at_ms"),
    # Most calls are well: an index of the others is small, and theirs are the ones sought.
    Index("events_by_status", "status", "at_ms", sqlite_where=NOT_OK),
)

_PAST_RERATED: Final = chr(ord(RERATED) + 1)

STREAM_ORDER: Final = (EVENTS.c.stream_ms, EVENTS.c.stream_seq)

TRIGGERS: Final = (
    f"""
    CREATE TRIGGER IF NOT EXISTS events_replaced AFTER UPDATE OF stream_ms ON events BEGIN
        DELETE FROM events WHERE once = OLD.once || '{ADJUST_SUFFIX}' AND partition = OLD.partition
            AND (stream_ms, stream_seq) < (NEW.stream_ms, NEW.stream_seq);
    END""",  # noqa: S608 - a constant
    f"""
    CREATE TRIGGER IF NOT EXISTS events_rerated AFTER UPDATE OF stream_ms ON events BEGIN
        DELETE FROM events WHERE partition = OLD.partition
            AND once > OLD.once || '{RERATED}' AND once < OLD.once || '{_PAST_RERATED}'
            AND (stream_ms, stream_seq) < (NEW.stream_ms, NEW.stream_seq);
    END""",  # noqa: S608 - constants
    """
    CREATE TRIGGER IF NOT EXISTS events_outdated BEFORE INSERT ON events
    WHEN NEW.kind = 'adjust' BEGIN
        SELECT RAISE(IGNORE) FROM events
        WHERE once = NEW.request_id AND partition = NEW.partition
            AND (stream_ms, stream_seq) > (NEW.stream_ms, NEW.stream_seq);
    END""",
)
"""An adjust corrects the orphan before it; what comes in that one's place needs none. A
re-rating follows its call: where that one comes again behind it, the store has lost both."""


def place(stream_id: str) -> tuple[int, int]:
    """A stream id as two columns. Its halves have 64 bits, a column's number has 63."""
    ms, seq = halves(stream_id)
    return (ms, seq) if max(ms, seq) <= _INT64 else (min(ms, _INT64), min(seq, _INT64))
