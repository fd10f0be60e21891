"""The roster against the profiles and counters that it follows.

It follows them by a moment. So a row is only wrong if its customer is not marked as changed,
and has not changed while this looked.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from gateway.audit.differences import Difference, Finding, Unit
from gateway.customers.profile import Profile
from gateway.metering.counters import lifetime_command, shown_lifetime
from gateway.metering.roster.indexer import VERSION, Indexer
from gateway.metering.roster.rows import SCORES, TEXTS, Row, row_of, text_entry, unpacked
from gateway.store.client import Store
from gateway.store.keys import (
    META,
    PROFILES_PATTERN,
    ROSTER_ROWS,
    Partition,
    profile_of,
    roster_order,
)

AT_ONCE_MAX: Final = 200
KEYS_A_STEP: Final = 1_000


class _Customer(NamedTuple):
    partition: Partition
    number: int

    @property
    def member(self) -> str:
        return f"{self.partition.index}:{self.number}"


async def roster_differences(store: Store) -> list[Difference]:
    """Rows that are wrong, missing, in no or in another place of an order, or nobody's.

    Nothing where no roster has been written yet.

    Raises:
        LedgerUnavailable: the store is away.
    """
    if await store.command("HGET", META, "roster") != VERSION:
        return []
    found: list[Difference] = []
    async for some in _everybody(store):
        found += await _differences(store, some)
    return found


async def write_roster(store: Store) -> int:
    """Write every row anew, and take off whose customer is gone; how many were written.

    Raises:
        LedgerUnavailable: the store is away; what is not written is marked.
    """
    written = await _write(store)
    rows, *orders = await store.commands(
        [("HLEN", ROSTER_ROWS), *(("ZCARD", roster_order(o)) for o in (*SCORES, *TEXTS))]
    )
    foul = [o for o, length in zip((*SCORES, *TEXTS), orders, strict=True) if length != rows]
    if foul:  # they have entries of nobody; or somebody was entered just now
        await store.command("DEL", *map(roster_order, foul))
        written = await _write(store)
    return written


async def _write(store: Store) -> int:
    indexer, written = Indexer(store), 0
    async for some in _everybody(store):
        by_partition: dict[Partition, list[int]] = {}
        for partition, number in some:
            by_partition.setdefault(partition, []).append(number)
        await asyncio.gather(
            *(store.script("mark", [p.changed], numbers) for p, numbers in by_partition.items())
        )
        written += await indexer.refresh(*some)
    return written


async def _everybody(store: Store) -> AsyncIterator[list[_Customer]]:
    """Customers that have a profile, then those that have a row alone; so many at once."""
    for server in store.key_a_server():
        cursor = b""
        while cursor != b"0":
            cursor, keys = await store.command(
                *("SCAN", cursor or b"0", "MATCH", PROFILES_PATTERN, "COUNT", KEYS_A_STEP),
                node_of=server,
            )
            named = filter(None, map(profile_of, keys))
            partitions = store.keyspace.partitions
            for some in _shares(_Customer(partitions[p], number) for p, number in named):
                yield some
    async for some in _listed(store):
        there = await store.commands([("EXISTS", p.profile(number)) for p, number in some])
        if gone := [c for c, is_there in zip(some, there, strict=True) if not is_there]:
            yield gone


async def _listed(store: Store) -> AsyncIterator[list[_Customer]]:
    cursor = b""
    while cursor != b"0":
        cursor, flat = await store.command(
            "HSCAN", ROSTER_ROWS, cursor or b"0", "COUNT", KEYS_A_STEP
        )
        partitions = store.keyspace.partitions
        members = (member.decode().split(":") for member in flat[::2])
        for some in _shares(_Customer(partitions[int(p)], int(number)) for p, number in members):
            yield some


def _shares(customers: Iterable[_Customer]) -> Iterator[list[_Customer]]:
    waiting = iter(customers)
    while some := list(islice(waiting, AT_ONCE_MAX)):
        yield some


async def _differences(store: Store, customers: Sequence[_Customer]) -> list[Difference]:
    before = await _states(store, customers)
    rows = await store.command("HMGET", ROSTER_ROWS, *(c.member for c in customers))
    places = await store.commands(
        [("ZMSCORE", roster_order(o), *(c.member for c in customers)) for o in SCORES]
    )
    expected = [_expected(c, state) for c, state in zip(customers, before, strict=True)]
    texts = await store.commands(
        [
            (
                *("ZMSCORE", roster_order(order)),
                *(text_entry(text(row), row.member) if row else b"-" for row in expected),
            )
            for order, text in TEXTS.items()
        ]
    )
    after = await _states(store, customers)
    found: list[Difference] = []
    for i, customer in enumerate(customers):
        if before[i] == after[i] and before[i][0] is None:
            stored = None if rows[i] is None else unpacked(rows[i])
            scores = [scores[i] for scores in places], [scores[i] for scores in texts]
            found += _of_one(customer, expected[i], stored, scores)
    return found


async def _states(store: Store, customers: Sequence[_Customer]) -> list[tuple[Any, Any, Any]]:
    """Whether each is marked as changed, its profile and its counters."""
    replies = await store.commands(
        [
            command
            for partition, number in customers
            for command in (
                ("ZSCORE", partition.changed, number),
                ("HGETALL", partition.profile(number)),
                lifetime_command(partition, number),
            )
        ]
    )
    return list(zip(replies[::3], replies[1::3], replies[2::3], strict=True))


def _expected(customer: _Customer, state: tuple[Any, Any, Any]) -> Row | None:
    """None: there is no such customer, or what there is cannot be read."""
    partition, number = customer
    try:
        profile = Profile.from_reply("", number, state[1])
        identifier = profile.text("identifier")
        if identifier is None:
            return None
        known = Profile(identifier, number, profile.version, profile.stored)
        return row_of(partition, known, shown_lifetime(state[2]))
    except ValueError:  # a number that is none
        return None


def _of_one(
    customer: _Customer,
    expected: Row | None,
    stored: Row | None,
    scores: tuple[Sequence[bytes | None], Sequence[bytes | None]],
) -> Iterator[Difference]:
    if expected != stored:
        yield _difference(customer, expected, "row")
    by_score, by_text = scores
    for (order, score), found in zip(SCORES.items(), by_score, strict=True):
        wanted = None if expected is None else score(expected)
        if wanted != (None if found is None else float(found)):
            yield _difference(customer, expected, f"order {order}")
    for order, found in zip(TEXTS, by_text, strict=True):
        if (expected is None) != (found is None):
            yield _difference(customer, expected, f"order {order}")


def _difference(customer: _Customer, expected: Row | None, subject: str) -> Difference:
    there = 0 if expected is None else 1
    return Difference(
        finding=Finding.ROSTER,
        partition=customer.partition.index,
        subject=subject,
        expected=there,
        found=1 - there,
        unit=Unit.COUNT,
        customer_number=customer.number,
        customer=expected.identifier if expected else None,
    )
