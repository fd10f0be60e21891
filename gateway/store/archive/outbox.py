"""The outbox: alerts, each noted once, and their deliveries, each tried until it is taken.

An alert and its deliveries are written in one transaction, so that neither is ever without
the other; what was noted once is not noted again, whoever sees it again.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from gateway.store.archive.table import METADATA, ROW_ID

KEPT_MS: Final = 30 * 24 * 3_600_000
"""How long deliveries are shown. An alert is remembered for as long again after its window."""

DUE_MAX: Final = 100
RESETS_MAX: Final = 100
CUSTOMERS_MAX: Final = 500
CUSTOMER: Final = "customer"
YEAR_MS: Final = 366 * 24 * 3_600_000

ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("once", Text, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("limit_name", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("told_over", Integer, nullable=False),
    Column("data", Text, nullable=False),
    Index("alerts_by_end", "told_over", "until_ms"),
    Index("alerts_by_subject", "subject"),
)

DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("number", ROW_ID, primary_key=True),
    Column("message_id", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status_code", Integer),
    Column("problem", Text),
    Column("taken_ms", BigInteger),
    Index("deliveries_by_due", "state", "due_ms"),
    Index("deliveries_by_time", "made_ms"),
    Index("deliveries_by_subject", "subject"),
)


def subject_of(kind: str, identifier: str) -> str:
    """What an alert about a customer or a group is stored under."""
    return f"{kind}:{identifier}"


class State(StrEnum):
    PENDING = "pending"
    TAKEN = "taken"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """An alert as the outbox takes it; `gateway.alerts.alert` says what each field is."""

    once: str
    topic: str
    subject: str
    limit: str
    at_ms: int
    until_ms: int
    data: Mapping[str, Any]
    body: bytes
    urls: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One alert on its way to one address.

    Attributes:
        due_ms: When it is to be tried next.
        status_code, problem: What came of the last attempt.
    """

    message_id: str
    url: str
    topic: str
    body: bytes
    state: State
    made_ms: int
    due_ms: int
    attempts: int
    status_code: int | None = None
    problem: str | None = None
    taken_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Over:
    """A window that alerts were about, and that has ended."""

    subject: str
    limit: str
    until_ms: int
    data: Mapping[str, Any]


class Outbox:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def note(self, alerts: Sequence[Noted]) -> int:
        """Write those that are new, with a delivery to each address; says how many were."""
        return await asyncio.to_thread(self._note, alerts) if alerts else 0

    async def due(self, now_ms: int) -> list[Delivery]:
        """Some deliveries that are to be tried now, the oldest first."""
        wanted = (
            select(DELIVERIES)
            .where(DELIVERIES.c.state == State.PENDING, DELIVERIES.c.due_ms <= now_ms)
            .order_by(DELIVERIES.c.due_ms)
            .limit(DUE_MAX)
        )
        return await asyncio.to_thread(self._deliveries, wanted)

    async def tried(self, delivery: Delivery) -> None:
        """Write down what came of an attempt, unless another has had a better one."""
        c = DELIVERIES.c
        statement = (
            update(DELIVERIES)
            .where(c.message_id == delivery.message_id, c.state == State.PENDING)
            .values(
                state=delivery.state.value,
                due_ms=delivery.due_ms,
                attempts=delivery.attempts,
                status_code=delivery.status_code,
                problem=delivery.problem,
                taken_ms=delivery.taken_ms,
            )
        )
        await asyncio.to_thread(self._write, lambda connection: connection.execute(statement))

    async def again(self, message_id: str, now_ms: int) -> bool:
        """Try a delivery that was given up once more; False: there is none."""
        c = DELIVERIES.c
        statement = (
            update(DELIVERIES)
            .where(c.message_id == message_id, c.state != State.TAKEN)
            .values(state=State.PENDING.value, due_ms=now_ms)
        )

        def write(connection: Connection) -> int:
            return connection.execute(statement).rowcount

        return bool(await asyncio.to_thread(self._write, write))

    async def page(
        self, first: int, count: int, state: State | None = None
    ) -> tuple[int, list[Delivery]]:
        """How many deliveries there are, and some of them, the newest first."""
        where = () if state is None else (DELIVERIES.c.state == state.value,)
        newest = select(DELIVERIES).where(*where).order_by(DELIVERIES.c.number.desc())
        total = select(func.count()).select_from(DELIVERIES).where(*where)
        return (
            await asyncio.to_thread(self._count, total),
            await asyncio.to_thread(self._deliveries, newest.limit(count).offset(first)),
        )

    async def over(self, now_ms: int) -> list[Over]:
        """Some windows that have ended since alerts were about them; each once."""
        return await asyncio.to_thread(self._over, now_ms)

    async def told_over(self, over: Over) -> None:
        """Its end has been noted."""
        c = ALERTS.c
        same = (c.subject == over.subject, c.limit_name == over.limit)
        ended = (c.told_over == 0, c.until_ms == over.until_ms)
        statement = update(ALERTS).where(*same, *ended).values(told_over=1)
        await asyncio.to_thread(self._write, lambda connection: connection.execute(statement))

    async def erase(self, subjects: Sequence[str]) -> int:
        """Forget all that names these, delivered or waiting; says how much that was."""

        def write(connection: Connection) -> int:
            return sum(
                connection.execute(delete(table).where(table.c.subject.in_(subjects))).rowcount
                for table in (DELIVERIES, ALERTS)
            )

        return int(await asyncio.to_thread(self._write, write)) if subjects else 0

    async def customers(self, after: str = "") -> list[str]:
        """Some of those whom it names, in order, beginning behind `after`."""
        first = subject_of(CUSTOMER, "")
        c = ALERTS.c.subject
        wanted = select(c).where(c.startswith(first)).distinct().order_by(c).limit(CUSTOMERS_MAX)
        if after:
            wanted = wanted.where(c > first + after)

        def read() -> list[str]:
            with self._engine.connect() as connection:
                found = connection.execute(wanted).scalars()
                return [subject.removeprefix(first) for subject in found]

        return await asyncio.to_thread(read)

    async def forget(self, now_ms: int) -> None:
        """Drop what is too old to be shown, or to be seen again."""

        def write(connection: Connection) -> None:
            c, a = DELIVERIES.c, ALERTS.c
            old = now_ms - KEPT_MS
            connection.execute(
                delete(DELIVERIES).where(c.made_ms < old, c.state != State.PENDING.value)
            )
            connection.execute(delete(ALERTS).where(a.until_ms > 0, a.until_ms < now_ms - YEAR_MS))

        await asyncio.to_thread(self._write, write)

    def _note(self, alerts: Sequence[Noted]) -> int:
        new = 0
        known = select(ALERTS.c.once).where(ALERTS.c.once.in_([a.once for a in alerts]))
        with self._engine.connect() as connection:
            seen = set(connection.execute(known).scalars())
        for alert in alerts:
            if alert.once not in seen:
                seen.add(alert.once)
                new += self._note_one(alert)
        return new

    def _note_one(self, alert: Noted) -> int:
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    insert(ALERTS).values(
                        once=alert.once,
                        topic=alert.topic,
                        subject=alert.subject,
                        limit_name=alert.limit,
                        at_ms=alert.at_ms,
                        until_ms=alert.until_ms,
                        told_over=0 if alert.until_ms else 1,
                        data=orjson.dumps(dict(alert.data)).decode(),
                    )
                )
                for url in alert.urls:
                    connection.execute(insert(DELIVERIES).values(**_new(alert, url)))
        except IntegrityError:  # another process saw it at the same time
            return 0
        return 1

    def _over(self, now_ms: int) -> list[Over]:
        c = ALERTS.c
        wanted = (
            select(c.subject, c.limit_name, c.until_ms, c.data)
            .where(c.told_over == 0, c.until_ms <= now_ms)
            .limit(RESETS_MAX)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
        return list({row[:3]: Over(*row[:3], orjson.loads(row.data)) for row in rows}.values())

    def _write(self, write: Callable[[Connection], Any]) -> Any:
        with self._engine.begin() as connection:
            return write(connection)

    def _count(self, statement: Any) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(statement).scalar_one())

    def _deliveries(self, statement: Any) -> list[Delivery]:
        with self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        return [
            Delivery(
                message_id=row["message_id"],
                url=row["url"],
                topic=row["topic"],
                body=row["body"].encode(),
                state=State(row["state"]),
                made_ms=row["made_ms"],
                due_ms=row["due_ms"],
                attempts=row["attempts"],
                status_code=row["status_code"],
                problem=row["problem"],
                taken_ms=row["taken_ms"],
            )
            for row in rows
        ]


def _new(alert: Noted, url: str) -> dict[str, Any]:
    return {
        "message_id": f"msg_{secrets.token_hex(16)}",
        "url": url,
        "topic": alert.topic,
        "subject": alert.subject,
        "body": alert.body.decode(),
        "state": State.PENDING.value,
        "made_ms": alert.at_ms,
        "due_ms": 0,
        "attempts": 0,
    }
