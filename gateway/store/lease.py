"""A lease: one worker at a time does the background work.

It only saves work. What the flusher and the sweeper do is safe when two do it at once.
"""

import secrets
from typing import Final

from gateway.store.client import Store
from gateway.store.keys import BACKGROUND_LEASE

LEASE_MS: Final = 15_000
RENEW_SECONDS: Final = 5.0


class Lease:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._mine = secrets.token_hex(8)

    async def take(self) -> bool:
        """Take the lease, or keep it; False while somebody else has it."""
        taken = await self._store.command("SET", BACKGROUND_LEASE, self._mine, "NX", "PX", LEASE_MS)
        if taken is not None:
            return True
        if await self._store.command("GET", BACKGROUND_LEASE) != self._mine.encode():
            return False
        await self._store.command("PEXPIRE", BACKGROUND_LEASE, LEASE_MS)
        return True

    async def give_up(self) -> None:
        if await self._store.command("GET", BACKGROUND_LEASE) == self._mine.encode():
            await self._store.command("DEL", BACKGROUND_LEASE)
