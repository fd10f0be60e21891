"""Which server of a cluster has which slot, as one of its servers tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from redis.asyncio.connection import AbstractConnection

from gateway.store.address import Node
from gateway.store.keys import CLUSTER_SLOTS
from gateway.store.sentinel import asked
from gateway.store.wire import packed


@dataclass(frozen=True, slots=True)
class SlotMap:
    """The owner of each slot; None where nobody has it."""

    owners: tuple[Node | None, ...]

    @property
    def masters(self) -> frozenset[Node]:
        return frozenset(node for node in self.owners if node is not None)


@dataclass(frozen=True, slots=True)
class Told:
    """What a server said; one that is cut off from the others says `is_whole` False."""

    slots: SlotMap
    is_whole: bool


async def told(connection: AbstractConnection, node: Node) -> Told:
    """Ask `node`.

    Raises:
        redis.RedisError, OSError, TimeoutError: it does not answer, or is no cluster's.
    """
    entries, info = await asked(connection, packed("CLUSTER", "SLOTS"), packed("CLUSTER", "INFO"))
    return Told(read(entries, node), b"cluster_state:ok" in info)


def read(entries: list[Any], node: Node) -> SlotMap:
    """Read the answer of `node` to ``CLUSTER SLOTS``."""
    owners: list[Node | None] = [None] * CLUSTER_SLOTS
    for first, last, (host, port, *_), *_replicas in entries:
        if not 0 <= first <= last < CLUSTER_SLOTS:
            raise redis.ResponseError("CLUSTER SLOTS names slots that there are not")
        if host == b"?":  # its address is not known yet
            continue
        # Without a host: the one that was asked.
        owner = Node(host.decode() if host else node.host, int(port))
        owners[first : last + 1] = [owner] * (last + 1 - first)
    return SlotMap(tuple(owners))


def vanished(before: Mapping[Node, object], now: SlotMap) -> bool:
    """Whether a master of before has slots no more: another took its place, or emptied it."""
    return not before.keys() <= now.masters
