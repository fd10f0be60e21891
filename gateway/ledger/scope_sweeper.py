"""The scope sweeper: ends what groups and apps hold for calls that nobody can end any more.

Their holds have no lease: the event that ends the customer's hold takes them off. Where that
hold was lost before an event could name it, none ever will: a server of a cluster came back
without its newest writes, and the disk of the call's gateway is gone as well.

A hold is such a one when its id is so old that no end would be booked without a customer's
hold, no partition has that hold, and all that was posted up to then is counted on the scope.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Final, NamedTuple

from redis.exceptions import ResponseError

from gateway.errors import LedgerUnavailable
from gateway.ledger.requests import is_request_id, made_ms
from gateway.store.client import Store
from gateway.store.keys import SCOPES, TOO_OLD_SECONDS, Partition
from gateway.store.stream_ids import halves

PAUSE_SECONDS: Final = 3_600.0
SCANNED_AT_ONCE: Final = 500
COUNTED_TRIES_MAX: Final = 10
COUNTED_PAUSE_SECONDS: Final = 1.0
"""Cursors follow the streams within about a second."""
EXPIRED: Final = 1

log = logging.getLogger(__name__)


class _Stale(NamedTuple):
    scope: str
    request_id: str


class ScopeSweeper:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop."""
        while True:
            try:
                await self.step()
            except LedgerUnavailable:
                log.info("scopes_not_swept")
            except Exception:  # the loop outlives whatever a step meets
                log.exception("scope_sweeper_failed")
            await asyncio.sleep(PAUSE_SECONDS)

    async def step(self) -> int:
        """Look at every scope's holds; how many were ended.

        Raises:
            LedgerUnavailable: the store is away.
        """
        names = await self._store.command("SMEMBERS", SCOPES)
        homes = {self._store.keyspace.partition_of(name.decode()) for name in names}
        return sum([await self._sweep(home) for home in homes])

    async def _sweep(self, home: Partition) -> int:
        since = self._store.changes
        try:
            stale = [hold async for hold in self._stale(home)]
            if not stale:
                return 0
            lost = await self._without_customer(stale)
            if not lost or not await self._all_counted(home):
                return 0
            return sum([await self._expire(home, hold, since) for hold in lost])
        except ResponseError as exc:  # what is damaged there must not keep the others waiting
            log.error("scopes_stuck index=%d error=%s", home.index, exc)  # noqa: TRY400 - every step
            return 0

    async def _stale(self, home: Partition) -> AsyncIterator[_Stale]:
        latest_ms = await self._store.time_ms(home) - TOO_OLD_SECONDS * 1_000
        cursor = b"0"
        while True:
            cursor, fields = await self._store.command(
                "HSCAN", home.scope_holds, cursor, "COUNT", SCANNED_AT_ONCE
            )
            for member in fields[::2]:
                scope, _, request_id = member.decode(errors="replace").rpartition(" ")
                if is_request_id(request_id) and made_ms(request_id) < latest_ms:
                    yield _Stale(scope, request_id)
            if int(cursor) == 0:
                return

    async def _without_customer(self, holds: Iterable[_Stale]) -> Collection[_Stale]:
        """Those whose call no partition holds: which one would, the scope does not know."""
        lost = []
        for hold in holds:
            held = await self._store.commands(
                [("HEXISTS", p.holds, hold.request_id) for p in self._store.keyspace.partitions]
            )
            if not any(held):
                lost.append(hold)
        return lost

    async def _all_counted(self, home: Partition) -> bool:
        """Whether `home` has counted all that is in the streams now."""
        sources = self._store.keyspace.partitions
        ends = await self._store.commands(
            [("XREVRANGE", source.stream, "+", "-", "COUNT", 1) for source in sources]
        )
        last = [halves(end[0][0].decode()) if end else (0, 0) for end in ends]
        for _ in range(COUNTED_TRIES_MAX):
            places = await self._store.command(
                "HMGET", home.cursors, *(f"g:{source.index}" for source in sources)
            )
            passed = [halves((place or b"").decode()) for place in places]
            if all(at >= end for at, end in zip(passed, last, strict=True)):
                return True
            await asyncio.sleep(COUNTED_PAUSE_SECONDS)
        return False

    async def _expire(self, home: Partition, hold: _Stale, since: int) -> bool:
        outcome = await self._store.script(
            "scope_expire",
            [home.scope_account(hold.scope), home.scope_holds],
            [hold.scope, hold.request_id],
            since=since,
        )
        if outcome == EXPIRED:
            log.warning("scope_hold_expired scope=%s request_id=%s", *hold)
        return bool(outcome == EXPIRED)
