"""Board: who there is, and how each stands with its budget, read in the background.

No page reads all customers. One that needs to search or compare them asks the board, which
is read again, in chunks, when it is older than a few seconds and somebody looks.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.api.services import Services
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.dashboard.budgets import Standing, standing
from gateway.dashboard.people import Person, person
from gateway.ledger.ledger import Balance
from gateway.store.keys import CUSTOMERS_BY_FIRST_SEEN

CHUNK: Final = 250
CUSTOMERS_MAX: Final = 100_000
FRESH_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Entry:
    """Attributes:
    partition: Its index.
    text: What is searched, in lower case.
    """

    person: Person
    partition: int
    first_seen_ms: int
    standing: Standing
    group: str | None
    text: str


class Board:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._entries: Sequence[Entry] = ()
        self._read_ms = 0
        self._reading: asyncio.Task[None] | None = None

    async def entries(self) -> Sequence[Entry]:
        """Newest first. A few seconds old at most, but for who comes after a pause."""
        if self._services.clock.now_ms() - self._read_ms > FRESH_MS and self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="dashboard-board")
            self._reading.add_done_callback(self._done)
        if self._read_ms == 0 and self._reading is not None:
            await asyncio.shield(self._reading)
        return self._entries

    def forget(self) -> None:
        """Something was changed here: whoever looks next sees it."""
        self._read_ms = 0

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()

    async def _read(self) -> None:
        found: list[Entry] = []
        store = self._services.store
        for start in range(0, CUSTOMERS_MAX, CHUNK):
            reply = await store.command(
                "ZRANGE", CUSTOMERS_BY_FIRST_SEEN, start, start + CHUNK - 1, "REV", "WITHSCORES"
            )
            if not reply:
                break
            seen = {
                name.decode(): int(float(score))
                for name, score in zip(reply[::2], reply[1::2], strict=True)
            }
            found += await self._chunk(seen)
            await asyncio.sleep(0)  # calls come first
        self._entries, self._read_ms = found, self._services.clock.now_ms()

    async def _chunk(self, seen: dict[str, int]) -> list[Entry]:
        profiles = await profiles_of(self._services, list(seen))
        standings = await standings_of(self._services, profiles)
        directory = self._services.directory
        return [
            Entry(
                person(profile),
                directory.partition_of(profile.identifier).index,
                seen[profile.identifier],
                stands,
                profile.group,
                " ".join(
                    (profile.identifier, profile.text("name") or "", profile.text("email") or "")
                ).lower(),
            )
            for profile, stands in zip(profiles, standings, strict=True)
            if profile.identifier != ANONYMOUS
        ]


async def profiles_of(services: Services, identifiers: Sequence[str]) -> list[Profile]:
    """Of those that exist, in two round trips."""
    store, directory = services.store, services.directory
    partitions = [directory.partition_of(name) for name in identifiers]
    numbers = await store.commands(
        [("GET", p.number(i)) for p, i in zip(partitions, identifiers, strict=True)]
    )
    found = [
        (identifier, partition, int(number))
        for identifier, partition, number in zip(identifiers, partitions, numbers, strict=True)
        if number is not None
    ]
    replies = await store.commands([("HGETALL", p.profile(number)) for _, p, number in found])
    return [
        Profile.from_reply(identifier, number, reply)
        for (identifier, _, number), reply in zip(found, replies, strict=True)
    ]


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
