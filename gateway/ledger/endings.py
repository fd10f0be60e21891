"""Endings: how calls ended, told to the store until it has taken them.

The verbs are idempotent by request id, so an end is told as often as it takes: by the call
itself, later when the store was away, after a restart from the log of the process that
died, and again when the store came back without its newest writes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from redis.exceptions import ResponseError

from gateway import crash
from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.dead_letters import DeadLetters
from gateway.ledger.leases import ending_keys
from gateway.ledger.requests import made_ms
from gateway.ledger.results import Hold
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Ending, KnownProfile
from gateway.store.client import Part, Store

TOO_OLD: Final = 4
"""What ``settle.lua``, ``release.lua`` and ``event.lua`` say to what may have been told before."""

WAITING_MAX: Final = 10_000
"""More are remembered by the log alone, where there is one that can be written."""

AT_ONCE_MAX: Final = 200
PAUSE_SECONDS_MIN: Final = 0.05
PAUSE_SECONDS_MAX: Final = 1.0

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """An end, and since when it waits, on the monotonic clock."""

    ending: Ending
    since: float


class Endings:
    """Tells the store, and remembers what it could not tell.

    Args:
        announce: Makes the groups and apps known again that the events name.
        announce_named: Makes those known that an event names, given its details: of a call
            that was not held, or not in this store, nobody has announced them.

    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        wal: Log | None,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        announce: Callable[[], Awaitable[None]],
        announce_named: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._announce = announce
        self._announce_named = announce_named
        self._store = store
        self._directory = directory
        self._wal = wal
        self._dead_letters = dead_letters
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._on_disk = 0
        self._on_disk_since = 0.0
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    async def tell(self, ending: Ending, *, repeated: bool = False) -> None:
        """Have the store book it; once, whatever is repeated.

        Args:
            repeated: The store has confirmed it before, and may have lost it since.

        Raises:
            LedgerUnavailable: tell it again.
        """
        since = self._store.changes  # one that has lost the names may not be told what names them
        try:
            number = ending.number or await self._number_of(ending)
            await self._announce()
            if not ending.number:
                await self._announce_named(ending.details)
        except ResponseError as exc:
            self._give_up(ending, exc, repeated=repeated)
            return
        sent = self._store.script(*script_of(self._directory, ending, number), since=since)
        await self._heard(ending, sent, repeated=repeated)

    async def _heard(
        self, ending: Ending, sent: asyncio.Future[Any], *, repeated: bool = False
    ) -> None:
        try:
            outcome = await sent
        except ResponseError as exc:
            self._give_up(ending, exc, repeated=repeated)
            return
        if outcome == TOO_OLD and not repeated:
            self._dead_letters.add(ending, "too old")
        if crash.is_armed:
            crash.at("after_settle")
        if self._wal is not None and not repeated:
            self._wal.confirm(ending.request_id)

    def _give_up(self, ending: Ending, error: ResponseError, *, repeated: bool) -> None:
        """What the store has of it is damaged: a human must decide."""
        self._dead_letters.add(ending, f"store: {str(error)[:200]}")
        if self._wal is not None and not repeated:
            self._wal.confirm(ending.request_id)

    async def tell_or_keep(self, ending: Ending) -> None:
        """Have the store book it, now or when it is back."""
        try:
            await self.tell(ending)
        except LedgerUnavailable:
            self.later(ending)
        except asyncio.CancelledError:
            self.later(ending)
            raise

    def withdraw(self, ending: Ending) -> None:
        """Release a hold that may have landed, whoever is cancelled.

        It is sent at once, so that it reaches the store after the hold itself.
        """
        if self._wal is not None:
            self._wal.end(ending)
        sent = self._store.script(*script_of(self._directory, ending, ending.number))

        async def heard() -> None:
            try:
                await self._heard(ending, sent)
            except LedgerUnavailable:
                self.later(ending)

        task = asyncio.create_task(heard())
        self._withdrawals.add(task)
        task.add_done_callback(self._withdrawals.discard)

    def later(self, ending: Ending) -> None:
        """Tell it when the store is back."""
        wal = self._wal if len(self._waiting) >= WAITING_MAX else None
        now = self._clock.monotonic()
        if wal is not None and wal.leave_on_disk(ending.request_id):
            self._on_disk_since = self._on_disk_since if self._on_disk else now
            self._on_disk += 1
        else:
            known = self._waiting.get(ending.request_id)
            self._waiting[ending.request_id] = _Waiting(ending, known.since if known else now)
        self._wake.set()

    async def run(self) -> None:
        """Tell what is waiting, for ever."""
        pause = PAUSE_SECONDS_MIN
        while True:
            await self._wake.wait()
            try:
                await self.step()
                pause = PAUSE_SECONDS_MIN
            except LedgerUnavailable:
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def step(self) -> None:
        """Tell all that is waiting.

        Raises:
            LedgerUnavailable: some of it still is.
        """
        self._wake.clear()
        try:
            while self._waiting:
                some = islice(self._waiting.values(), AT_ONCE_MAX)
                await self._tell_some([waiting.ending for waiting in some])
            if self._on_disk and self._wal is not None:
                count = self._on_disk
                segments, left = self._wal.left_on_disk()
                await self.tell_all(left)
                self._on_disk -= count
                self._wal.unpin(segments, left)
        except BaseException:  # whatever it was: what waits is told again
            self._wake.set()
            raise

    async def tell_all(
        self,
        endings: list[Ending],
        profiles: Mapping[str, KnownProfile] | None = None,
        *,
        repeated: bool = False,
    ) -> None:
        """Those of a log.

        Args:
            profiles: The store may have lost its newest writes: the customers that it lost
                come back under the numbers they had, with what these say of them.
            repeated: As in `tell`.

        Raises:
            LedgerUnavailable: some have not been told.
        """
        numbers: dict[str, int] = {}
        for start in range(0, len(endings), AT_ONCE_MAX):
            batch = endings[start : start + AT_ONCE_MAX]
            if profiles is not None:
                missing = {e.customer: e for e in batch if e.customer not in numbers}
                found = await asyncio.gather(
                    *(self._restored(e, profiles.get(name)) for name, e in missing.items())
                )
                numbers |= dict(zip(missing, found, strict=True))
                for ending in batch:
                    await self._announce_named(ending.details)
                batch = [replace(e, number=numbers[e.customer]) for e in batch]
            await all_of(self.tell(e, repeated=repeated) for e in batch)

    async def _restored(self, ending: Ending, known: KnownProfile | None) -> int:
        if not ending.number:
            return await self._number_of(ending)
        stored = known.stored if known is not None and known.number == ending.number else {}
        number = await self._directory.restore(ending.customer, ending.number, stored)
        return ending.number if number is None else number

    async def _number_of(self, ending: Ending) -> int:
        return await self._directory.number_of(
            ending.customer, ending.change or {}, started_ms=made_ms(ending.request_id)
        )

    async def _tell_some(self, endings: list[Ending]) -> None:
        async def told(ending: Ending) -> None:
            await self.tell(ending)
            self._waiting.pop(ending.request_id, None)

        await all_of(told(ending) for ending in endings)

    @property
    def waiting(self) -> int:
        """Ends that the store has not taken, in memory and on disk."""
        return len(self._waiting) + self._on_disk

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest of them has waited; 0.0: none does."""
        since = [self._on_disk_since] if self._on_disk else []
        since += [waiting.since for waiting in islice(self._waiting.values(), 1)]
        return self._clock.monotonic() - min(since) if since else 0.0


def ending_of(hold: Hold, event: UsageEvent) -> Ending:
    """As the scripts take it. An unheld call's customer is looked up when it is told."""
    if not hold.is_held:
        event = replace(event, unheld=True)
    return Ending(
        request_id=hold.request_id,
        customer=hold.profile.identifier,
        verb="settle" if event.kind is Kind.SETTLE else "release",
        kind=event.kind,
        number=hold.profile.number if hold.is_held else 0,
        window_ids=hold.window_ids,
        charge_pico=event.charge_pico,
        cost_pico=event.cost_pico,
        details=event.details(),
        change=hold.change,
    )


def script_of(
    directory: Directory, ending: Ending, number: int
) -> tuple[str, list[str], list[Part]]:
    """The name, keys and arguments of the script that books it."""
    keys = ending_keys(directory.partition_of(ending.customer), number, ending.request_id)
    told: list[Part] = [ending.window_ids, ending.details]
    if ending.verb == "settle":
        told[:0] = [ending.charge_pico, ending.cost_pico]
    else:
        told.append(ending.kind.value)
    return ending.verb, keys, [ending.request_id, number, *told]


async def all_of(awaitables: Iterable[Awaitable[object]]) -> None:
    """All of them to their end; then the first that failed is raised."""
    for outcome in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
