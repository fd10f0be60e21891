"""The indexer: writes the rows of customers that have changed, in all orders of the roster.

Any number of them may work at once: a row carries the stamp of the change that it follows,
and gives way only to one of a later. What was read before a change is written with the
stamp of before it, and the customer stays marked.
"""

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from gateway import crash
from gateway.customers.profile import Profile
from gateway.metering.counters import lifetime_command, shown_lifetime
from gateway.metering.loop import repeat
from gateway.metering.roster.rows import SCORES, TEXTS, Row, packed, row_of
from gateway.store.client import Part, Store
from gateway.store.keys import (
    META,
    PROFILES_PATTERN,
    ROSTER_GONE,
    ROSTER_ROWS,
    Partition,
    profile_of,
    roster_order,
)

STEP_CUSTOMERS_MAX: Final = 250
"""In one step. With the pause behind it, about a thousand customers a second: calls come
first, and however often a customer calls meanwhile, it is written once."""

SCRIPT_CUSTOMERS_MAX: Final = 50
"""In one script: a millisecond of the server that has the roster."""

BUSY_SECONDS: Final = 0.2
IDLE_SECONDS: Final = 0.25

REMEMBERED_MICROS: Final = 24 * 3600 * 1_000_000
"""How long it is known that a customer was taken off."""

VERSION: Final = b"1"
"""Of what is stored. Another one in the store: all of it is written anew."""

KEYS_A_STEP: Final = 1_000
LAST_STAMP: Final = b"#"
ORDERS: Final = (*SCORES, *TEXTS)

log = logging.getLogger(__name__)


class Change(NamedTuple):
    """A customer whose row is out of date; `stamp` in microseconds."""

    partition: Partition
    number: int
    stamp: int


class Indexer:
    """Of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun = False
        self._doubted = False
        store.on_change(self._doubt)

    def _doubt(self) -> None:
        """A server may have lost rows whose customers another has marked as written."""
        self._doubted = True

    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop: no moment is a bad one."""
        await repeat("indexer", self.step, busy_seconds=BUSY_SECONDS, idle_seconds=IDLE_SECONDS)

    async def step(self) -> int:
        """Write the rows of some that have changed, those that wait longest; how many.

        Raises:
            LedgerUnavailable: the store is away.
        """
        if not self._begun or self._doubted:
            await self._begin()
        partitions = self._store.keyspace.partitions
        share = -(-STEP_CUSTOMERS_MAX // len(partitions))
        replies = await self._store.commands(
            [("ZRANGE", p.changed, 0, share, "WITHSCORES") for p in partitions]
        )
        changes = [
            Change(partition, int(number), int(float(stamp)))
            for partition, reply in zip(partitions, replies, strict=True)
            for number, stamp in zip(reply[::2], reply[1::2], strict=True)
            if number != LAST_STAMP
        ]
        await self._write(changes)
        return len(changes)

    async def refresh(self, *customers: tuple[Partition, int]) -> int:
        """Write the rows of these now, those that are out of date; how many there are.

        For who has changed one, and looks at the list.

        Raises:
            LedgerUnavailable: they are written later.
        """
        stamps = await self._store.commands([("ZSCORE", p.changed, n) for p, n in customers])
        changes = [
            Change(partition, number, int(float(stamp)))
            for (partition, number), stamp in zip(customers, stamps, strict=True)
            if stamp is not None
        ]
        await self._write(changes)
        return len(changes)

    async def mark_all(self) -> int:
        """Say of every customer that its row is out of date; how many there are.

        Raises:
            LedgerUnavailable: some may not have been marked.
        """
        count = 0
        for server in self._store.key_a_server():
            cursor = b""
            while cursor != b"0":
                cursor, keys = await self._store.command(
                    *("SCAN", cursor or b"0", "MATCH", PROFILES_PATTERN, "COUNT", KEYS_A_STEP),
                    node_of=server,
                )
                count += await self._mark(keys)
        return count

    async def _mark(self, keys: Sequence[bytes]) -> int:
        found: dict[int, list[int]] = {}
        for partition, number in filter(None, map(profile_of, keys)):
            found.setdefault(partition, []).append(number)
        partitions = self._store.keyspace.partitions
        await asyncio.gather(
            *(
                self._store.script("mark", [partitions[index].changed], numbers)
                for index, numbers in found.items()
            )
        )
        return sum(map(len, found.values()))

    async def _begin(self) -> None:
        """Write all anew, where another version or nobody has written it, or some may be lost."""
        doubted, self._doubted = self._doubted, False
        try:
            is_old = await self._store.command("HGET", META, "roster") != VERSION
            if is_old:
                await self._store.command("DEL", ROSTER_ROWS, ROSTER_GONE, *_order_keys())
            # What one server has lost, it has lost of marks and rows alike.
            if is_old or (doubted and len(self._store.key_a_server()) > 1):
                log.info("roster_begun customers=%d", await self.mark_all())
            if is_old:
                await self._store.command("HSET", META, "roster", VERSION)
            self._begun = True
        except BaseException:
            self._doubted |= doubted
            raise

    async def _write(self, changes: Sequence[Change]) -> None:
        waiting = iter(changes)
        while some := list(islice(waiting, SCRIPT_CUSTOMERS_MAX)):
            rows = await self._read(some)
            await self._index(some, rows)
            crash.at("roster_written")
            await self._acknowledge(some)

    async def _read(self, changes: Sequence[Change]) -> list[Row | None]:
        """As they are now; None for one that is not there any more.

        One whose counters cannot be read is shown with none: it must not hold the others up.
        """
        replies = await self._store.commands(
            [("HGETALL", c.partition.profile(c.number)) for c in changes]
            + [lifetime_command(c.partition, c.number) for c in changes]
        )
        profiles, lifetimes = replies[: len(changes)], replies[len(changes) :]
        rows: list[Row | None] = []
        for change, reply, numbers in zip(changes, profiles, lifetimes, strict=True):
            profile = Profile.from_reply("", change.number, reply)
            identifier = profile.text("identifier")
            if identifier is None:
                rows.append(None)
            else:
                known = Profile(identifier, change.number, profile.version, profile.stored)
                rows.append(row_of(change.partition, known, shown_lifetime(numbers)))
        return rows

    async def _index(self, changes: Sequence[Change], rows: Sequence[Row | None]) -> None:
        args: list[Part] = [len(SCORES), max(c.stamp for c in changes) - REMEMBERED_MICROS]
        for change, row in zip(changes, rows, strict=True):
            member = f"{change.partition.index}:{change.number}"
            args += [member, change.stamp]
            if row is None:
                args += [""] * (1 + len(ORDERS))
            else:
                args.append(packed(row))
                args += [repr(score(row)) for score in SCORES.values()]
                args += [text(row) for text in TEXTS.values()]
        await self._store.script("index", [ROSTER_ROWS, ROSTER_GONE, *_order_keys()], args)

    async def _acknowledge(self, changes: Sequence[Change]) -> None:
        done: dict[Partition, list[Part]] = {}
        for partition, number, stamp in changes:
            done.setdefault(partition, []).extend((number, stamp))
        await asyncio.gather(
            *(
                self._store.script("written", [partition.changed], args)
                for partition, args in done.items()
            )
        )


def _order_keys() -> list[str]:
    return [roster_order(order) for order in ORDERS]
