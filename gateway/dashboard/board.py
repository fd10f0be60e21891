"""Board: how customers with a limit stand with it, read in the background.

No page reads all customers. What has to compare them all (who is over, who is near) asks
the board, which goes through the roster in pieces, when it has grown old and somebody looks.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.api.customers import Customers
from gateway.api.services import Services
from gateway.customers.profile import Profile
from gateway.dashboard.budgets import Standing, standing
from gateway.dashboard.kept import Kept
from gateway.dashboard.people import Person, person
from gateway.ledger.ledger import Balance
from gateway.metering.roster.roster import PAGE_SIZE_MAX, Wanted
from gateway.metering.roster.rows import Row

CUSTOMERS_MAX: Final = 100_000
ROUNDS_MAX: Final = CUSTOMERS_MAX // PAGE_SIZE_MAX
AT_ONCE: Final = 250


@dataclass(frozen=True, slots=True)
class Entry:
    """A customer that has a limit, or is blocked."""

    row: Row
    person: Person
    standing: Standing


@dataclass(frozen=True, slots=True)
class Everybody:
    """As they were when the roster was last gone through.

    Attributes:
        entries: Those with a limit and those that are blocked; the fullest first.
        limited: Those with a limit, in the same order.
        count: How many customers there are in all.
    """

    entries: Sequence[Entry]
    limited: Sequence[Entry]
    count: int

    def between(self, least: float, below: float) -> Sequence[Entry]:
        """Those of `limited` that have used so many percent."""
        start, end = (bisect_right(self.limited, -x, key=_emptiness) for x in (below, least))
        return self.limited[start:end]


class Board:
    def __init__(self, services: Services, customers: Customers) -> None:
        self._services = services
        self._customers = customers
        self._kept = Kept(services.clock)

    async def everybody(self) -> Everybody:
        """Raises StillAdding."""
        return await self._kept.get("board", self._read)

    async def soon(self) -> Everybody | None:
        """None: nobody has looked for a while, and they are being read."""
        return await self._kept.soon("board", self._read)

    def forget(self) -> None:
        """Something was changed here: whoever looks next sees it."""
        self._kept.forget()

    async def standings(self, rows: Sequence[Row]) -> list[Entry]:
        """How these stand, in two round trips; who is gone meanwhile is left out."""
        profiles = await self._customers.profiles({row.number: row.partition for row in rows})
        found = [(row, profiles[row.number]) for row in rows if row.number in profiles]
        stand = await standings_of(self._services, [profile for _, profile in found])
        return [
            Entry(row, person(profile), stands)
            for (row, profile), stands in zip(found, stand, strict=True)
        ]

    async def _read(self) -> Everybody:
        entries: list[Entry] = []
        after, count = None, 0
        for _ in range(ROUNDS_MAX):
            found = await self._services.users.page(Wanted(size=PAGE_SIZE_MAX, after=after))
            count = count or found.count
            for start in range(0, len(found.rows), AT_ONCE):
                some = await self.standings(found.rows[start : start + AT_ONCE])
                entries += [e for e in some if e.standing.limits or e.person.blocked]
                await asyncio.sleep(0)  # calls come first
            after = found.following
            if after is None:
                break
        entries.sort(key=_emptiness)
        return Everybody(entries, [e for e in entries if e.standing.limits], count)


def _emptiness(entry: Entry) -> float:
    return -entry.standing.share


async def standings_of(services: Services, profiles: Sequence[Profile]) -> list[Standing]:
    """In their order, in one round trip."""
    directory, now_ms = services.directory, services.clock.now_ms()
    replies = await services.store.commands(
        [("HGETALL", directory.partition_of(p.identifier).account(p.number)) for p in profiles]
    )
    count = services.ledger.rules.count
    found = []
    for profile, reply in zip(profiles, replies, strict=True):
        terms = directory.terms(profile, now_ms)
        account = dict(zip(reply[::2], reply[1::2], strict=True))
        balance = Balance.of(account, terms.windows.ids)
        found.append(standing(profile, terms, balance, count))
    return found
