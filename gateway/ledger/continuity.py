"""Continuity: a store that comes back without its newest writes is told them again.

A store that was restarted, failed over or restored from a copy may lack what it has
acknowledged. Its gateways have it: the ends of the replay window in their logs, the holds
of running calls in memory. Both are put back, idempotently, and until every gateway has
done so no new hold is granted, so that none is granted from room that is already taken.

The gateways are in ``{fb}gateways``, each with the identity of the store that it has last
restored; one that does not report in time is taken for dead.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Final

from gateway.clock import Clock
from gateway.errors import LedgerUnavailable
from gateway.ledger.endings import Endings
from gateway.ledger.wal.debts import Debts
from gateway.ledger.wal.files import Segment
from gateway.ledger.wal.log import Log
from gateway.store.client import NOT_REACHABLE, Store
from gateway.store.keys import GATEWAYS

WAIT_SECONDS_MAX: Final = 2.0
POLL_SECONDS: Final = 0.05
AWAY_PAUSE_SECONDS: Final = 0.25

Inheritance = tuple[Debts, list[Segment]]
"""What a dead process owes, and where that stands."""

log = logging.getLogger(__name__)


class Continuity:
    """Of one gateway process.

    Args:
        put_back: Puts the holds of all running calls back.
        count_again: Counts what applications have reported, for customers as they were.

    Attributes:
        restored: How often the store came back as another.
        replayed: Calls of dead processes that were ended from their logs, by outcome, as
            `Debts.outcomes` names it.
    """

    def __init__(
        self,
        store: Store,
        endings: Endings,
        wal: Log | None,
        clock: Clock,
        *,
        put_back: Callable[[], Awaitable[None]],
        count_again: Callable[[Debts], Awaitable[None]],
    ) -> None:
        self._store = store
        self._endings = endings
        self._wal = wal
        self._clock = clock
        self._put_back = put_back
        self._count_again = count_again
        self._inherited: list[Inheritance] = []
        self._begun: str | None = None
        self._gateway = secrets.token_hex(8)
        self._opened = asyncio.Event()
        self._opened.set()
        self._closed_until = 0.0
        self._changed = asyncio.Event()
        self._identity: str | None = None
        self.restored = 0
        self.replayed: Counter[str] = Counter()
        store.on_change(self._close)

    @property
    def is_open(self) -> bool:
        """New holds may be granted at once."""
        return self._opened.is_set() or self._clock.monotonic() >= self._closed_until

    async def wait(self) -> None:
        """Until new holds may be granted; a while at most after each change of the store.

        Raises:
            LedgerUnavailable: there is no store to wait for.
        """
        while not self.is_open:
            if not self._store.is_up:
                raise LedgerUnavailable(NOT_REACHABLE)
            left = self._closed_until - self._clock.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(min(left, WAIT_SECONDS_MAX), 0)):
                    await self._opened.wait()

    async def run(self) -> None:
        """Take over what dead processes owe, then restore after each change, for ever."""
        self._close()
        self._closed_until = inf  # until there is a store, whenever that is
        while True:
            await self._changed.wait()
            try:
                await self.step()
            except LedgerUnavailable:
                await asyncio.sleep(AWAY_PAUSE_SECONDS)

    async def step(self) -> None:
        """Restore the store that is there now.

        Raises:
            LedgerUnavailable: it is away, or went away: again.
        """
        await self._store.command("PING")
        self._changed.clear()
        identity = self._store.identity
        try:
            if self._identity is None:
                self._shut()
                await self._begin(identity)
            elif self._identity != identity:
                await self._restore()
            self._identity = identity
            if self._wal is not None:
                self._wal.sent_to(identity)
            await self._report(identity)
        except LedgerUnavailable:
            self._changed.set()
            raise
        if not self._changed.is_set():
            self._opened.set()

    async def leave(self) -> None:
        """Nobody needs to wait for this gateway any more."""
        try:
            await self._store.command("HDEL", GATEWAYS, self._gateway)
        except LedgerUnavailable:
            log.info("gateway_not_deregistered")

    def _close(self) -> None:
        self._shut()
        self._changed.set()

    def _shut(self) -> None:
        self._opened.clear()
        self._closed_until = self._clock.monotonic() + WAIT_SECONDS_MAX

    async def _restore(self) -> None:
        started = self._clock.monotonic()
        await self._put_back()
        count = 0
        if self._wal is not None:
            async for debts in self._wal.history():
                count += await self._tell_again(debts)
        self.restored += 1
        log.warning(
            "store_restored endings=%d seconds=%.2f", count, self._clock.monotonic() - started
        )

    async def _tell_again(self, debts: Debts) -> int:
        endings = debts.endings()
        await self._endings.tell_all(endings, debts.profiles, repeated=True)
        await self._count_again(debts)
        return len(endings) + len(debts.reports)

    async def _begin(self, identity: str) -> None:
        """Take over, as often as the store goes away meanwhile."""
        if self._begun not in (None, identity):
            await self._restore()
        self._begun = identity
        await self._take_over(identity)

    async def _take_over(self, identity: str) -> None:
        """End the calls of processes that were killed."""
        if self._wal is None:
            return
        self._inherited += await self._wal.take_over()
        while self._inherited:
            debts, segments = self._inherited[0]
            changed = debts.identity != identity
            if changed:
                await self._tell_again(debts)
            unpaid = debts.unpaid()
            await self._endings.tell_all(unpaid, debts.profiles if changed else None)
            self._wal.unpin(segments, unpaid)
            self.replayed += debts.outcomes()
            del self._inherited[0]
            if unpaid:
                log.warning("log_replayed file=%s calls=%d", segments[0].path.name, len(unpaid))

    async def _report(self, identity: str) -> None:
        """Say that we are done, and wait for the others."""
        await self._store.command("HSET", GATEWAYS, self._gateway, identity)
        while missing := await self._behind(identity):
            if self._clock.monotonic() >= self._closed_until or self._changed.is_set():
                break
            await asyncio.sleep(POLL_SECONDS)
        if missing and not self._changed.is_set():
            log.warning("gateways_silent count=%d", len(missing))
            await self._store.command("HDEL", GATEWAYS, *missing)

    async def _behind(self, identity: str) -> list[bytes]:
        reply = await self._store.command("HGETALL", GATEWAYS)
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return [gateway for gateway, told in pairs if told.decode() != identity]
