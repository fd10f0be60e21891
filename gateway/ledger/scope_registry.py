"""Which groups and apps count: told to the flusher before the first event that names one.

``{fb}scopes`` has their names. Whoever reads the streams asks it after he has read, so an
event never names a scope that its reader does not know. The first scope of a partition also
gets that partition its cursors, where each stream ends at that moment: no event before it
can name the scope, so nobody has to read the past.

A store that has lost its newest writes may lack cursors of a partition that has scopes. Then
somebody may have named one of them, and its cursors are set to where the streams begin.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from gateway.store.client import Store
from gateway.store.keys import SCOPES, Partition

KNOWN_MAX: Final = 100_000
AT_ONCE_MAX: Final = 1_000
START: Final = "0-0"


class ScopeRegistry:
    """Enters names, each once.

    Attributes:
        in_doubt: Names that were entered in a store which has changed since.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: set[str] = set()
        self.in_doubt: set[str] = set()
        store.on_change(self._doubt)

    def has(self, names: Iterable[str]) -> bool:
        """Whether the store has them all, and all others that it is to have."""
        return not self.in_doubt and self._known.issuperset(names)

    async def ensure(self, names: Iterable[str]) -> None:
        """Enter those that are not in it yet.

        Raises:
            LedgerUnavailable: the store does not take it; nothing may name them.
        """
        wanted = list(names)
        while not self.has(wanted):
            if self.in_doubt:
                await self._enter_again()
            for name in wanted:
                if name not in self._known:
                    await self._enter(name)

    def _doubt(self) -> None:
        """The store may have lost what it acknowledged."""
        self.in_doubt |= self._known
        self._known.clear()

    async def _enter_again(self) -> None:
        """All that are in doubt, however often the store changes meanwhile."""
        while names := list(islice(self.in_doubt, AT_ONCE_MAX)):
            since = self._store.changes
            homes = {self._store.keyspace.partition_of(name) for name in names}
            for home in homes:
                if not await self._has_cursors(home):
                    await self._begin(home, from_start=True)
            await self._store.command("SADD", SCOPES, *names)
            if since == self._store.changes:
                self.in_doubt.difference_update(names)
                self._known.update(names)

    async def _enter(self, name: str) -> None:
        since = self._store.changes
        home = self._store.keyspace.partition_of(name)
        if not await self._has_cursors(home):
            known = await self._store.command("SMEMBERS", SCOPES)
            homes = {self._store.keyspace.partition_of(other.decode()) for other in known}
            await self._begin(home, from_start=home in homes)
        # A full store takes no names, and still serves those that it has.
        if not await self._store.command("SISMEMBER", SCOPES, name):
            await self._store.command("SADD", SCOPES, name)
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        if since == self._store.changes:
            self._known.add(name)
        else:
            self.in_doubt.add(name)

    async def _has_cursors(self, home: Partition) -> bool:
        return bool(await self._store.command("HEXISTS", home.cursors, _cursor(0)))

    async def _begin(self, home: Partition, *, from_start: bool) -> None:
        sources = self._store.keyspace.partitions
        ends: list[Any] = [None] * len(sources)
        if not from_start:
            ends = await self._store.commands(
                [("XREVRANGE", source.stream, "+", "-", "COUNT", 1) for source in sources]
            )
        # Of two who do this at once the later finds the cursors of the earlier, which stand
        # before either's scope is named anywhere.
        await self._store.commands(
            [
                ("HSETNX", home.cursors, _cursor(source.index), end[0][0] if end else START)
                for source, end in zip(sources, ends, strict=True)
            ]
        )


def _cursor(source: int) -> str:
    return f"g:{source}"
