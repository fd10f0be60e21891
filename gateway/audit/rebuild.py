"""Writing counters anew from the events: of those customers whose counters differ.

Counters are a fold of events, so nothing is lost by replacing them. Balances are not
touched: what an account has spent decides who may call, and a tool that rewrites it could
give money away. It works beside a flusher that runs, and past one that is stuck: see
``rebuild.lua``.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit.check import counter_differences, keys_of
from gateway.audit.differences import Difference
from gateway.audit.history import Counted
from gateway.audit.names import named
from gateway.audit.reading import Reading, batches
from gateway.audit.snapshot import Snapshot, snapshot, spelled
from gateway.audit.survey import Known
from gateway.metering.counters import day_fields, lifetime_fields, month_of
from gateway.metering.totals import Lifetime
from gateway.store.client import Store
from gateway.store.keys import Partition

TRIES_MAX: Final = 200
PAUSE_SECONDS_MAX: Final = 0.05
"""Between tries, at which the flusher may have been first."""

CUSTOMERS_MAX: Final = 20
PASSED_MAX: Final = 20
"""In one script: customers to mend, and events that its cursor passes."""

REBUILT: Final = 1


@dataclass(slots=True)
class Mended:
    """Of one partition.

    Attributes:
        differences: What was found, and is mended unless its customer is in `busy`.
        busy: Customers for whom the flusher was first every time.
    """

    differences: list[Difference]
    customers: int
    busy: list[int]


class Rebuild:
    """Of one partition, whose `reading` has its whole history.

    Args:
        dry: Only say what differs.
    """

    def __init__(
        self, store: Store, reading: Reading, known: Known, chance: random.Random, *, dry: bool
    ) -> None:
        assert reading.history is not None
        self._store = store
        self._reading = reading
        self._history = reading.history
        self._known = known
        self._chance = chance
        self._dry = dry

    @property
    def _partition(self) -> Partition:
        return self._reading.partition

    async def run(self, numbers: Sequence[int]) -> Mended:
        """Mend the counters of these customers, where they differ.

        Raises:
            Trimmed: events went before they could be read.
            LedgerUnavailable: the store is away; what is not mended is as it was.
        """
        done = Mended([], len(numbers), [])
        for batch in batches(numbers, self._keys):
            waiting, first = list(batch), True
            for _ in range(TRIES_MAX):
                seen = await self._see(waiting)
                found = {number: self._differences(number, seen) for number in waiting}
                if first:
                    done.differences += [d for of_number in found.values() for d in of_number]
                    first = False
                waiting = [number for number, differences in found.items() if differences]
                if self._dry or not waiting:
                    break
                await self._write(waiting, seen)
                await asyncio.sleep(self._chance.uniform(0, PAUSE_SECONDS_MAX))
            else:
                done.busy += waiting
        done.differences = await named(self._store, self._partition, done.differences)
        return done

    async def _see(self, numbers: Sequence[int]) -> Snapshot:
        keys = [key for number in numbers for key in self._keys(number)]
        seen = await snapshot(self._store, self._partition, keys)
        await self._reading.read_to(seen.last)
        return seen

    def _keys(self, number: int) -> list[str]:
        return keys_of(self._reading, number, self._known)

    def _differences(self, number: int, seen: Snapshot) -> list[Difference]:
        return list(counter_differences(self._reading, number, self._known, seen))

    async def _write(self, numbers: Sequence[int], seen: Snapshot) -> None:
        """Replace counters, if the cursor stands as the snapshot saw it; the next look tells.

        Where events wait, the cursor is moved past some of them, as the flusher would.
        """
        cursor = seen.cursor("flush")
        self._reading.tally.count_to(cursor)
        passed = self._reading.tally.waiting(PASSED_MAX)
        until = passed[-1].at if passed else cursor
        touched = {entry.number for entry in passed}
        for some in _shares(numbers):
            counted = {n: self._history.at(n, until) for n in {*some, *touched}}
            writes = {k: v for n, c in counted.items() for k, v in self._fields(n, c).items()}
            listed = [number for number in counted if number]
            args: list[Any] = [spelled(cursor), spelled(until), len(listed), *listed]
            for fields in writes.values():
                args += [len(fields) // 2, *fields]
            home = self._partition
            outcome = await self._store.script(
                "rebuild", [home.cursors, home.stream, home.changed, *writes], args
            )
            if outcome != REBUILT or passed:
                return  # the cursor stands elsewhere now

    def _fields(self, number: int, counted: Counted) -> dict[str, list[str]]:
        """By key; a month without days is emptied."""
        writes = {
            self._partition.counters(number): lifetime_fields(Lifetime(), counted.lifetime),
        }
        for month in sorted(self._reading.months(number, self._known)):
            writes[self._partition.days(number, month)] = [
                part
                for day, totals in counted.days.items()
                if month_of(day) == month
                for part in day_fields(day, totals)
            ]
        return writes


def _shares(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """So many customers as one script takes."""
    for start in range(0, len(numbers), CUSTOMERS_MAX):
        yield numbers[start : start + CUSTOMERS_MAX]
