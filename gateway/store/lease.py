"""A lease: one worker at a time does the background work.

It only saves work. What the flusher and the sweeper do is safe when two do it at once.
"""

import secrets
from typing import Final

from gateway.store.client import Store
from gateway.store.keys import BACKGROUND_LEASE

LEASE_MS: Final = 15_000
RENEW_SECONDS: Final = 5.0
TAKEN: Final = 1


class Lease:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._mine = secrets.token_hex(8)

    async def take(self) -> bool:
        """Take the lease, or keep it; False while somebody else has it."""
        return await self._ask(LEASE_MS)

    async def give_up(self) -> None:
        await self._ask(0)

    async def _ask(self, lease_ms: int) -> bool:
        taken = await self._store.script("lease", [BACKGROUND_LEASE], [self._mine, lease_ms])
        return bool(taken == TAKEN)
