"""Which customers a report is about, and who stands behind the numbers in its rows."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from gateway.api.query import Query
from gateway.api.services import Services
from gateway.api.user_fields import IDENTIFIER, looked_up
from gateway.api.user_rows import Json, row
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.errors import NotFound
from gateway.metering.roster.rows import row_of

Numbers = Mapping[int, int]
"""Customer number -> index of its partition."""


class Customers:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def wanted(self, query: Query) -> tuple[int, ...] | None:
        """The numbers that ``customer_identifier`` selects: one, or none; None: everybody."""
        text = query.text(IDENTIFIER)
        if text is None:
            return None
        try:
            number = await self.number(looked_up(text))
        except NotFound:
            return ()
        return () if number is None else (number,)

    async def numbers(self, identifiers: Iterable[str]) -> set[int]:
        """Of those of them that exist."""
        found = set()
        for text in identifiers:
            with suppress(NotFound):
                found.add(await self.number(looked_up(text)))
        return {number for number in found if number is not None}

    async def anonymous(self) -> int | None:
        return await self.number(ANONYMOUS)

    async def number(self, identifier: str) -> int | None:
        partition = self._services.directory.partition_of(identifier)
        found = await self._services.store.command("GET", partition.number(identifier))
        return None if found is None else int(found)

    async def profiles(self, numbers: Numbers) -> dict[int, Profile]:
        """Of those that still exist, in one round trip."""
        store = self._services.store
        partitions = store.keyspace.partitions
        replies = await store.commands(
            [("HGETALL", partitions[p].profile(n)) for n, p in numbers.items()]
        )
        found = {}
        for number, reply in zip(numbers, replies, strict=True):
            profile = Profile.from_reply("", number, reply)
            identifier = profile.text("identifier")
            if identifier is not None:
                found[number] = Profile(identifier, number, profile.version, profile.stored)
        return found

    async def card(self, profile: Profile) -> Json:
        """The customer as a row of the users list."""
        partition = self._services.directory.partition_of(profile.identifier)
        lifetime = await self._services.counters.lifetime(partition, profile.number)
        return row(row_of(partition, profile, lifetime))
