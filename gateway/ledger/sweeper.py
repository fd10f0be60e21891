"""The sweeper: ends the holds of calls whose gateway is gone."""

import asyncio
import logging
from typing import Final

from redis.exceptions import ResponseError

from gateway.errors import LedgerUnavailable
from gateway.ledger.leases import LEASE_MS
from gateway.ledger.requests import hour_of
from gateway.store.client import Store
from gateway.store.keys import Partition

EXPIRED_A_STEP_MAX: Final = 100
PAUSE_SECONDS: Final = 5.0
EXPIRED: Final = 1

log = logging.getLogger(__name__)


class Sweeper:
    """Waits one lease after the store has changed, so that calls which run can renew theirs.

    And when it starts: it may be the first to come after such a change.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._not_before = float("-inf")
        store.on_change(self._wait)

    def _wait(self) -> None:
        self._not_before = asyncio.get_running_loop().time() + LEASE_MS / 1000

    async def run(self) -> None:
        self._wait()
        while True:
            try:
                expired = await self.step()
            except LedgerUnavailable:
                expired = 0
            except Exception:  # the loop outlives whatever a step meets
                log.exception("sweeper_failed")
                expired = 0
            if not expired:
                await asyncio.sleep(PAUSE_SECONDS)

    async def step(self) -> int:
        """Expire a bounded number of holds whose lease has run out; how many were."""
        if asyncio.get_running_loop().time() < self._not_before:
            return 0
        since = self._store.changes
        seconds, micros = await self._store.command("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        partitions = self._store.keyspace.partitions
        due = await asyncio.gather(*(self._due(partition, now_ms) for partition in partitions))
        outcomes = await asyncio.gather(
            *(
                self._expire(partition, request_id.decode(errors="replace"), since)
                for partition, ids in zip(partitions, due, strict=True)
                for request_id in ids
            )
        )
        return sum(outcomes)

    async def _due(self, partition: Partition, now_ms: int) -> list[bytes]:
        try:
            found: list[bytes] = await self._store.command(
                *("ZRANGEBYSCORE", partition.expiries, "-inf", now_ms),
                *("LIMIT", 0, EXPIRED_A_STEP_MAX),
            )
        except ResponseError as exc:
            log.error("sweeper_stuck index=%d error=%s", partition.index, exc)  # noqa: TRY400 - every step
            return []
        return found

    async def _expire(self, partition: Partition, request_id: str, since: int) -> bool:
        try:
            record = await self._store.command("HGET", partition.holds, request_id)
            if record is None:
                return False
            number = int(record.split(b"|", 1)[0])
            hour = hour_of(request_id)
            outcome = await self._store.script(
                "expire",
                [
                    partition.account(number),
                    partition.holds,
                    partition.expiries,
                    partition.stream,
                    partition.tombstones(hour),
                    partition.orphans(hour),
                ],
                [request_id, number],
                since=since,  # a store that lost a renewal must not be told to expire
            )
        except (ResponseError, ValueError) as exc:
            # What is damaged, say. The others' holds must not wait for it.
            log.error("hold_not_expired request_id=%s error=%s", request_id, exc)  # noqa: TRY400 - every step
            return False
        if outcome == EXPIRED:
            log.warning("hold_expired request_id=%s", request_id)
        return bool(outcome == EXPIRED)
