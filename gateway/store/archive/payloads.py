"""Payloads: what was asked and answered, beside the events and never among them.

Kept only where it is asked for, capped, and for a time of its own. Losing one loses no
money: nothing counts from here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Index,
    LargeBinary,
    Table,
    delete,
    insert,
    select,
)

from gateway.store.archive.database import writing
from gateway.store.archive.table import METADATA, ROW_ID, Bytewise

REMOVED_MAX: Final = 1_000
"""In one transaction: others who write wait that long."""

PAYLOADS: Final = Table(
    "payloads",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("request_id", Bytewise, nullable=False),
    Column("customer_number", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("cut", Boolean, nullable=False),
    Index("payloads_by_request", "request_id"),
    Index("payloads_by_customer", "customer_number"),
    Index("payloads_by_time", "at_ms"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Of one call.

    Attributes:
        request: The body that was forwarded; `answer` is what the client was sent.
        cut: One of them was longer than is kept.
    """

    request_id: str
    customer_number: int
    at_ms: int
    request: bytes
    answer: bytes
    cut: bool


class Payloads:
    """Of one archive. Raises SQLAlchemyError, from every method: it is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, payloads: Sequence[Payload]) -> None:
        if payloads:
            await asyncio.to_thread(self._add, payloads)

    async def one(self, request_id: str) -> Payload | None:
        return await asyncio.to_thread(self._one, request_id)

    async def drop(self, before_ms: int) -> int:
        """Remove what is older, at most `REMOVED_MAX`; how many they were."""
        some = select(PAYLOADS.c.id).where(PAYLOADS.c.at_ms < before_ms).limit(REMOVED_MAX)
        return await asyncio.to_thread(self._remove, delete(PAYLOADS).where(_ID.in_(some)))

    async def forget(self, customer_number: int) -> int:
        """Remove what a customer's calls said."""
        its_own = PAYLOADS.c.customer_number == customer_number
        some = select(PAYLOADS.c.id).where(its_own).limit(REMOVED_MAX)
        return await asyncio.to_thread(self._remove, delete(PAYLOADS).where(_ID.in_(some)))

    def _add(self, payloads: Sequence[Payload]) -> None:
        rows = [
            {column: getattr(payload, column) for column in Payload.__slots__}
            for payload in payloads
        ]
        with writing(self._engine) as connection:
            connection.execute(insert(PAYLOADS), rows)

    def _one(self, request_id: str) -> Payload | None:
        wanted = select(PAYLOADS).where(PAYLOADS.c.request_id == request_id)
        with self._engine.connect() as connection:
            row = connection.execute(wanted.order_by(_ID.desc()).limit(1)).mappings().first()
        return None if row is None else Payload(**{name: row[name] for name in Payload.__slots__})

    def _remove(self, statement: object) -> int:
        with writing(self._engine) as connection:
            return int(connection.execute(statement).rowcount)  # type: ignore[call-overload]


_ID: Final = PAYLOADS.c.id
