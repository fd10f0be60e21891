"""Days from the counters: what each customer did on each day of the reporting zone.

The cost is by customers and days, whatever they did on them; calls are served in between.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final

from gateway.metering.counters import Counters
from gateway.metering.totals import DayTotals
from gateway.store.archive import Archive
from gateway.store.keys import Partition

AT_ONCE_MAX: Final = 64
"""Customers read in one turn of the loop."""

STRANGER: Final = 0
"""The number under which those are refused who are nobody's customer, in any partition."""


@dataclass(frozen=True, slots=True)
class CustomerDays:
    """What one customer did, on the days on which it did something."""

    number: int
    partition: int
    days: Sequence[tuple[date, DayTotals]]


async def everyone(
    archive: Archive, partitions: Sequence[Partition], only: Iterable[int] | None
) -> list[tuple[int, int]]:
    """Number and partition of each customer that ever did anything, or of `only` these."""
    known = await archive.customers()
    wanted = None if only is None else set(only)
    found = [
        (number, partition)
        for number, partition in known.items()
        if number != STRANGER and (wanted is None or number in wanted)
    ]
    if wanted is None or STRANGER in wanted:
        found += [(STRANGER, partition.index) for partition in partitions]
    return found


async def days_of(
    counters: Counters,
    partitions: Sequence[Partition],
    customers: Sequence[tuple[int, int]],
    days: tuple[date, date],
) -> list[CustomerDays]:
    """Those of them with something in [first, past-last), in their order."""
    found: list[CustomerDays] = []
    for some in _batched(customers):
        read = await counters.days_of_many(
            [(partitions[partition], number) for number, partition in some], *days
        )
        found += [
            CustomerDays(number, partition, of_customer)
            for (number, partition), of_customer in zip(some, read, strict=True)
            if of_customer
        ]
        await asyncio.sleep(0)
    return found


def _batched(customers: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    left = iter(customers)
    while batch := list(islice(left, AT_ONCE_MAX)):
        yield batch
