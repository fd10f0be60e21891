"""How full the store's memory is, by its own word.

A full server refuses what would need more (holds, registrations); what ends a call, counts
it or makes room goes on.
"""

import asyncio
from dataclasses import dataclass

from gateway.store.client import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of all servers.

    Attributes:
        used_bytes: As a server counts towards its bound: without the buffers of replicas.
        share: Of its bound, what the fullest server uses; 1.0 and above is full. None where
            no server has a bound.
    """

    used_bytes: int
    share: float | None


async def memory(store: Store) -> Memory:
    """Raises LedgerUnavailable: the store is away, or does not let this user ask."""
    replies = await asyncio.gather(
        *(store.command("INFO", "memory", node_of=key) for key in store.key_a_server())
    )
    used = 0
    shares: list[float] = []
    for fields in map(_fields, replies):
        mine = int(fields["used_memory"]) - int(fields.get("mem_not_counted_for_evict", 0))
        used += mine
        if bound := int(fields.get("maxmemory", 0)):
            shares.append(mine / bound)
    return Memory(used_bytes=used, share=max(shares, default=None))


def _fields(info: bytes) -> dict[str, str]:
    lines = info.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
