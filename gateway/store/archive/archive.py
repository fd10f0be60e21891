"""The archive's face: async methods over blocking SQL, which runs in threads."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Engine, Executable, RowMapping, func, select, tuple_, update

from gateway.store.archive import summing
from gateway.store.archive.answers import Answers
from gateway.store.archive.askers import Askers
from gateway.store.archive.database import (
    FILE_NAME,
    name_of,
    postgres_engine,
    sqlite_engine,
    writing,
)
from gateway.store.archive.listing import Listed, Place, Wanted, listed, logs, usage_behind
from gateway.store.archive.outbox import Outbox
from gateway.store.archive.past import Fold, PastDay, past_of, retire
from gateway.store.archive.payloads import Payloads
from gateway.store.archive.queries import (
    LogFilter,
    ModelUse,
    Summary,
    conditions,
    models,
    read_summary,
    summary,
)
from gateway.store.archive.recent import Recent
from gateway.store.archive.reratings import (
    Rerated,
    UnpricedUse,
    adjusts,
    read_reratings,
    read_unpriced,
    reratings,
    unpriced,
    unpriced_customers,
)
from gateway.store.archive.rows import (
    ONCE,
    for_postgres,
    from_row,
    insert_new,
    insert_once,
    to_row,
)
from gateway.store.archive.schema import create, version_of
from gateway.store.archive.slots import (
    TIMINGS_MAX,
    Slotting,
    SlotUse,
    Timing,
    callers,
    in_slots,
    read_slot_use,
    timings,
)
from gateway.store.archive.sums import state_of
from gateway.store.archive.table import EVENTS, STREAM_ORDER, ArchivedEvent, place

PAGE_SIZE_MAX: Final = 1_000
OFFSET_MAX: Final = 10_000
"""Further away pages are reached by where the one before ended."""

EXPORTED_AT_ONCE: Final = 1_000
MODELS_MAX: Final = 1_000
EVENTS_MAX: Final = 10_000
"""In one reading of `events_of`."""

ADJUSTMENTS_MAX: Final = 100
"""Shown of one call."""

RETIRED_MAX: Final = 2_000
FORGOTTEN_MAX: Final = 2_000
"""In one transaction of `retire`, of `forget`: others who write wait that long."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and how many the whole list has."""

    rows: Sequence[ArchivedEvent]
    count: int


class Archive:
    """A SQLite file or a PostgreSQL database; any number of processes may read, one writes.

    Raises, from every method:
        sqlalchemy.exc.SQLAlchemyError: the file is damaged, read-only, or the disk is full;
            the server is away.
    """

    def __init__(self, engine: Engine, zone: str) -> None:
        self._engine = engine
        self._zone = zone
        self._is_prepared = False
        self._insert_new = insert_new(engine.dialect)
        self._insert_once = insert_once(engine.dialect)

    @property
    def payloads(self) -> Payloads:
        return Payloads(self._engine)

    @property
    def answers(self) -> Answers:
        """What was used, by time and by who used it."""
        return Answers(self._engine)

    @property
    def recent(self) -> Recent:
        return Recent(self._engine)

    @property
    def askers(self) -> Askers:
        return Askers(self._engine)

    @property
    def outbox(self) -> Outbox:
        """In the same database."""
        return Outbox(self._engine)

    @classmethod
    def at(cls, data_dir: Path, url: str | None = None, *, zone: str = "UTC") -> Self:
        """The archive in `data_dir`, or at a ``postgresql://`` URL; nothing is opened yet.

        Args:
            zone: Of reports, whose days are summed up.

        Raises:
            ValueError: the URL cannot be used; says why, without repeating it.
        """
        if url is not None:
            return cls(postgres_engine(url), zone)
        return cls(sqlite_engine(data_dir / FILE_NAME), zone)

    @classmethod
    async def open(cls, data_dir: Path, url: str | None = None, *, zone: str = "UTC") -> Self:
        """The same, prepared."""
        archive = cls.at(data_dir, url, zone=zone)
        await archive.prepare()
        return archive

    @property
    def is_shared(self) -> bool:
        """Whether it is a server, which may be away, and not a file of ours."""
        return self._engine.dialect.name != "sqlite"

    @property
    def name(self) -> str:
        """For messages; never a password."""
        return name_of(self._engine)

    async def prepare(self) -> None:
        """Create the file and its tables where they are missing. `add` does it, too.

        Raises:
            RuntimeError: a later version of farebox has written it.
        """
        await asyncio.to_thread(self._prepare)

    async def version(self) -> int:
        """Of the tables that are there; 0: there are none yet. Creates nothing.

        Raises:
            RuntimeError: a later version of farebox has written it.
        """
        return await asyncio.to_thread(version_of, self._engine)

    async def ping(self) -> None:
        """Say by an error that it is away."""
        await asyncio.to_thread(self._rows, select(1))

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.dispose)

    async def add(self, events: Sequence[ArchivedEvent]) -> None:
        """Write rows, durably, all or none.

        One row for each thing (`table.py`): what is there already is left alone, and what
        comes again under a later stream id takes the place of the earlier.
        """
        if events:
            await asyncio.to_thread(self._add, events)

    async def logs(
        self, wanted: LogFilter, *, page: int = 1, page_size: int = 100, newest_first: bool = True
    ) -> Page:
        """A page of rows by time, and the count of all that match. Pages count from 1.

        Raises:
            ValueError: no such page, or more than `PAGE_SIZE_MAX` rows to it.
        """
        if page < 1 or not 1 <= page_size <= PAGE_SIZE_MAX:
            raise ValueError(f"page {page} of {page_size} rows; from 1, of 1 to {PAGE_SIZE_MAX}")
        rows = logs(wanted, newest_first=newest_first)
        return await asyncio.to_thread(
            self._page,
            rows.limit(page_size).offset((page - 1) * page_size),
            select(func.count()).select_from(EVENTS).where(*conditions(wanted)),
        )

    async def page(self, wanted: Wanted) -> Listed:
        """A page of logs; its cost has a bound, however many rows there are.

        Raises:
            ValueError: it is larger, or further away, than a page may be.
        """
        if not (1 <= wanted.size <= PAGE_SIZE_MAX and 0 <= wanted.offset <= OFFSET_MAX):
            raise ValueError(f"a page of {wanted.size} rows after {wanted.offset}")
        return await asyncio.to_thread(self._listed, wanted)

    async def usage(self, wanted: LogFilter) -> AsyncIterator[list[ArchivedEvent]]:
        """Calls, reported usage and corrections, the oldest first, in batches."""
        after: Place | None = None
        while True:
            found = usage_behind(wanted, after).limit(EXPORTED_AT_ONCE)
            rows = await asyncio.to_thread(self._mappings, found)
            if rows:
                yield [from_row(row) for row in rows]
            if len(rows) < EXPORTED_AT_ONCE:
                return
            after = Place(rows[-1]["at_ms"], rows[-1]["id"])

    async def one(self, request_id: str) -> ArchivedEvent | None:
        """The call, event or refusal of that id; adjustments of it are rows of their own."""
        statement = select(EVENTS).where(EVENTS.c.once == request_id)
        rows = await asyncio.to_thread(self._rows, statement.order_by(EVENTS.c.id).limit(1))
        return from_row(rows[0]._mapping) if rows else None  # noqa: SLF001 - its public name

    async def adjustments(self, request_id: str) -> list[ArchivedEvent]:
        """What has been added to the call of that id since it ended, in the order of the stream."""
        found = select(EVENTS).where(adjusts(request_id)).order_by(*STREAM_ORDER)
        rows = await asyncio.to_thread(self._rows, found.limit(ADJUSTMENTS_MAX))
        return [from_row(row._mapping) for row in rows]  # noqa: SLF001 - its public name

    async def rerated(self, partition: int, after: str) -> dict[str, Rerated]:
        """Request id -> what re-ratings after a stream id have added to that call."""
        rows = await asyncio.to_thread(self._rows, reratings(partition, after))
        return read_reratings(rows)

    async def unpriced(self, wanted: LogFilter) -> list[UnpricedUse]:
        """The names whose calls have no price yet, the most called first."""
        rows = await asyncio.to_thread(self._rows, unpriced(wanted, MODELS_MAX))
        names = [(row.provider, row.model) for row in rows]
        customers = await asyncio.to_thread(self._rows, unpriced_customers(wanted, names))
        return read_unpriced(rows, customers)

    async def summary(self, wanted: LogFilter) -> Summary:
        rows = await asyncio.to_thread(self._rows, summary(wanted))
        return read_summary(rows[0])

    async def models(self, wanted: LogFilter) -> list[ModelUse]:
        """The models that were called, the most called first, at most `MODELS_MAX`."""
        rows = await asyncio.to_thread(self._rows, models(wanted, MODELS_MAX))
        return [ModelUse(model=name, requests=n, cache_hits=hits) for name, n, hits in rows]

    async def use(
        self, wanted: LogFilter, *, slots: Slotting | None = None, by: str | None = None
    ) -> list[SlotUse]:
        """Sums by slot of time, by ``customer``, ``model`` or ``app``, or by both."""
        rows = await asyncio.to_thread(self._rows, in_slots(wanted, slots, by))
        return [read_slot_use(row) for row in rows]

    async def callers(self, wanted: LogFilter, slots: Slotting) -> list[tuple[int, int, int]]:
        """Who called in which slot, once each: slot, number, index of the partition."""
        rows = await asyncio.to_thread(self._rows, callers(wanted, slots))
        return [tuple(row) for row in rows]

    async def timings(self, wanted: LogFilter, slots: Slotting, calls: int) -> list[Timing]:
        """How long calls took, of `calls` that match; above `TIMINGS_MAX` an even share."""
        every = -(-calls // TIMINGS_MAX)
        rows = await asyncio.to_thread(self._rows, timings(wanted, slots, every))
        return [Timing(slot=s, latency_ms=whole, first_token_ms=first) for s, whole, first in rows]

    async def oldest_ms(self) -> int | None:
        """When the earliest of what is archived happened, Unix ms."""
        return await asyncio.to_thread(self._scalar, select(func.min(EVENTS.c.at_ms)))

    async def newest_id(self) -> int:
        """Of the row archived last; 0: there is none."""
        return await asyncio.to_thread(self._scalar, select(func.max(EVENTS.c.id))) or 0

    async def events_of(
        self, partition: int, after: str = "", limit: int = EVENTS_MAX
    ) -> list[ArchivedEvent]:
        """The rows after a stream id ('' is the start), in the order of the stream.

        With `past`, all that was ever archived of the partition, each thing once.
        """
        statement = (
            select(EVENTS)
            .where(EVENTS.c.partition == partition, tuple_(*STREAM_ORDER) > tuple_(*place(after)))
            .order_by(*STREAM_ORDER)
            .limit(min(limit, EVENTS_MAX))
        )
        rows = await asyncio.to_thread(self._rows, statement)
        return [from_row(row._mapping) for row in rows]  # noqa: SLF001 - its public name

    async def forget(self, customer_number: int, since_ms: int = 0) -> int:
        """Remove `metadata`, what a customer's calls said of it, from its oldest rows.

        Of those from `since_ms` on, at most `FORGOTTEN_MAX`. Returns how many they were.
        """
        return await asyncio.to_thread(self._forget, customer_number, since_ms)

    async def sum_up(self) -> int:
        """Put some rows of before into the sums; how many. 0: all are, `retire` may remove them."""
        return await asyncio.to_thread(self._sum_up)

    async def past(self, partition: int) -> list[PastDay]:
        """What has been removed from the partition, summed up; by customer, then by day."""
        return await asyncio.to_thread(self._past, partition)

    async def retire(self, partition: int, until: str, fold: Fold) -> int:
        """Remove the oldest rows up to the stream id `until`, at most `RETIRED_MAX`; how many.

        What `fold` makes of them is added to `past` in the same transaction.
        """
        return await asyncio.to_thread(self._retire, partition, until, fold)

    def _forget(self, customer_number: int, since_ms: int) -> int:
        said = select(EVENTS.c.id).where(
            EVENTS.c.customer_number == customer_number,
            EVENTS.c.at_ms >= since_ms,
            EVENTS.c.metadata.is_not(None),
        )
        forget = update(EVENTS).values(metadata=None)
        with self._engine.begin() as connection:
            some = said.order_by(EVENTS.c.at_ms).limit(FORGOTTEN_MAX)
            return connection.execute(forget.where(EVENTS.c.id.in_(some))).rowcount

    def _prepare(self) -> None:
        if not self._is_prepared:
            _prepared(self._engine, self._zone)
            self._is_prepared = True

    def _sum_up(self) -> int:
        self._prepare()
        with writing(self._engine) as connection:
            return summing.more(connection)

    def _past(self, partition: int) -> list[PastDay]:
        with self._engine.connect() as connection:
            return past_of(connection, partition)

    def _retire(self, partition: int, until: str, fold: Fold) -> int:
        # What is read here must be what is removed: nobody else may write in between.
        with writing(self._engine) as connection:
            if not state_of(connection).is_whole:
                return 0  # what is not summed up yet must not go
            return retire(connection, partition, until, RETIRED_MAX, fold)

    def _add(self, events: Sequence[ArchivedEvent]) -> None:
        self._prepare()  # a server may have been away when we started
        # By what is unique in them: ids begin with the time, so that neighbours in the indexes
        # are written together, and fewer pages are sought and split.
        rows = sorted(map(to_row, events), key=ONCE)
        if self._engine.dialect.name != "sqlite":
            rows = [for_postgres(row) for row in rows]
        with writing(self._engine) as connection:
            if summing.insert_all(connection, self._insert_new, rows):
                return
            connection.rollback()
        with writing(self._engine) as connection:
            summing.insert_some(connection, self._insert_once, rows)

    def _scalar(self, statement: Executable) -> Any:
        return self._rows(statement)[0][0]

    def _rows(self, statement: Executable) -> Sequence[Any]:
        with self._engine.connect() as connection:
            return connection.execute(statement).all()

    def _mappings(self, statement: Executable) -> Sequence[RowMapping]:
        with self._engine.connect() as connection:
            return connection.execute(statement).mappings().all()

    def _listed(self, wanted: Wanted) -> Listed:
        with self._engine.connect() as connection:
            return listed(connection, wanted)

    def _page(self, rows: Executable, count: Executable) -> Page:
        with self._engine.connect() as connection:
            found = connection.execute(rows).mappings().all()
            return Page([from_row(row) for row in found], connection.execute(count).scalar_one())


def _prepared(engine: Engine, zone: str) -> None:
    if engine.dialect.name == "sqlite":
        path = Path(engine.url.database or "")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)  # who used what, and what it cost: its owner's business
    create(engine, zone)
