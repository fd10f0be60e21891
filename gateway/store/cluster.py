"""The way to a cluster: each command to the server that has its slot, on a link of its own.

A server says when a slot is elsewhere (MOVED), on its way (ASK, TRYAGAIN) or without an
owner (CLUSTERDOWN): nothing was done then, and the command is sent again, until
`REDIRECT_SECONDS_MAX` have passed. A server that is gone is asked for again once the slots
have been read anew from the others.

Commands that wait for that are parked. Reading the slots anew also tells whether a master
has been replaced, which may have lost what it acknowledged; so commands that were sent
away go on only behind it (`Changes`).
"""

import asyncio
import logging
from binascii import crc_hqx
from collections.abc import Sequence
from typing import Final

import redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ResponseError,
    TryAgainError,
)

from gateway.store import slots
from gateway.store.address import Address, Node
from gateway.store.identity import Changes
from gateway.store.keys import CLUSTER_SLOTS
from gateway.store.link import Link
from gateway.store.replies import Command, resolve, unavailable
from gateway.store.scripts import Script
from gateway.store.wire import packed

PARKED_COMMANDS_MAX: Final = 100_000
REDIRECT_SECONDS_MAX: Final = 5.0
PAUSE_SECONDS: Final = 0.05
NODES_ASKED_MAX: Final = 16

log = logging.getLogger(__name__)


class Cluster:
    """A `Way` of one link a master."""

    def __init__(
        self, address: Address, scripts: Sequence[Script], changes: Changes, *, durable: bool
    ) -> None:
        self._address = address
        self._scripts = scripts
        self._changes = changes
        self._durable = durable
        self._all: dict[Node, Link] = {}
        self._masters: dict[Node, Link] = {}
        self._owners: list[Link | None] = [None] * CLUSTER_SLOTS
        self._parked: list[Command] = []
        self._asked: set[Node] = set()
        """Nodes that an ASK named since the slots were read; they may own none yet."""
        self._hints: list[Node] = []
        self._is_stale = True
        self._is_away = False
        self._closing = False
        self._tending: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(self._masters.values())

    @property
    def is_up(self) -> bool:
        return any(link.is_up for link in self._masters.values())

    def start(self) -> None:
        self._tend_soon()

    async def close(self) -> None:
        self._closing = True
        while self._tending is not None and not self._tending.done():
            await self._tending
        await asyncio.gather(*self._retiring, *(link.close() for link in self._all.values()))
        if self._tending is not None:  # the last replies may have been redirections
            await self._tending

    def submit(self, command: Command, key: str | None) -> None:
        command.slot = -1 if key is None else slot_of(key)
        link = self._link_for(command)
        if link is None:
            self._park(command)
        else:
            link.submit(command)

    def link_of(self, key: str) -> Link | None:
        return self._owners[slot_of(key)]

    def refused(self, link: Link, command: Command, reply: ResponseError) -> bool:
        """As `link.Elsewhere`."""
        if isinstance(reply, MovedError):
            command.slot = reply.slot_id  # it knows best where a command has its keys
            self._hints.append(_node(reply, link))
            self._is_stale = True
        elif isinstance(reply, AskError):
            if self._may_go_on(command, reply):
                self._ask(_node(reply, link), command)
            return True
        elif isinstance(reply, (ClusterDownError, MasterDownError)):
            self._is_stale = True
        elif not isinstance(reply, TryAgainError):
            return False
        if self._may_go_on(command, reply):
            self._park(command)
        return True

    def broken(self, _link: Link, batch: list[Command], problem: Exception | None) -> None:
        """As `link.Elsewhere`."""
        self._is_stale = not self._closing
        for command in batch:
            command.tries += 1
            if self._may_go_on(command, problem):
                self._park(command)
        if self._is_stale:
            self._tend_soon()

    def _may_go_on(self, command: Command, problem: Exception | None) -> bool:
        """Within its time; else its caller is told, and why."""
        now = asyncio.get_running_loop().time()
        if not command.until:
            command.until = now + REDIRECT_SECONDS_MAX
        # A connection that broke leaves open whether it was done; a later refusal does not tell.
        if problem and (command.problem is None or not isinstance(problem, ResponseError)):
            command.problem = problem
        if now < command.until:
            return True
        resolve(command.future, unavailable(cause=command.problem))
        return False

    def _ask(self, node: Node, command: Command) -> None:
        """Send to where the slot is going: ASKING lets in the one command behind it."""
        self._asked.add(node)
        link = self._link_to(node)
        nobody: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        nobody.add_done_callback(_forget)
        link.submit(Command(packed("ASKING"), nobody))
        link.submit(command)

    def _park(self, command: Command) -> None:
        if len(self._parked) >= PARKED_COMMANDS_MAX:
            resolve(command.future, unavailable("The ledger does not keep up."))
            return
        self._parked.append(command)
        self._tend_soon()

    def _tend_soon(self) -> None:
        if self._tending is None or self._tending.done():
            self._tending = asyncio.create_task(self._tend(), name="store-cluster")

    async def _tend(self) -> None:
        """Read the slots anew where that is due, and send what is parked."""
        while self._parked or self._is_stale:
            if self._is_stale:
                self._is_stale = False
                await self._read_slots()
            parked, self._parked = self._parked, []
            for command in parked:
                self._send_again(command)
            await asyncio.sleep(PAUSE_SECONDS)

    def _send_again(self, command: Command) -> None:
        link = self._link_for(command)
        # Told at once while the server is away; who must get through repeats it.
        is_away = self._is_away if link is None else command.tries and not link.is_up
        if is_away or command.born not in {-1, self._changes.count}:
            resolve(command.future, unavailable(cause=command.problem))
        elif link is not None:
            link.submit(command)
        elif self._may_go_on(command, None):
            self._parked.append(command)

    async def _read_slots(self) -> None:
        found: slots.SlotMap | None = None
        for node in self._candidates():
            try:
                told = await slots.told(self._address.connection(node), node)
            except (redis.RedisError, OSError, TimeoutError, ValueError) as exc:
                if not self._is_away:
                    log.warning(
                        "store_node_unavailable server=%s error=%s", node, type(exc).__name__
                    )
                continue
            if told.is_whole or found is None:
                found = told.slots
            if told.is_whole:
                break
        self._hints.clear()
        self._is_away = found is None
        if found is not None:
            self._adopt(found)

    def _candidates(self) -> list[Node]:
        """Whom to ask for the slots: who was named, then who is up, then the configured."""
        up = [node for node, link in self._all.items() if link.is_up]
        rest = [node for node, link in self._all.items() if not link.is_up]
        order = [*self._hints, *up, *self._address.nodes, *rest]
        return list(dict.fromkeys(order))[:NODES_ASKED_MAX]

    def _adopt(self, found: slots.SlotMap) -> None:
        replaced = slots.vanished(self._masters, found)
        self._masters = {node: self._link_to(node) for node in found.masters}
        self._owners = [None if node is None else self._masters[node] for node in found.owners]
        for node in self._all.keys() - self._masters.keys() - self._asked:
            task = asyncio.create_task(self._all.pop(node).close(), name="store-retiring")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        self._asked.clear()
        if replaced:
            log.warning("store_changed cluster=%s", self._address)
            self._changes.note()

    def _link_for(self, command: Command) -> Link | None:
        if command.slot >= 0:
            return self._owners[command.slot]
        return next(iter(self._masters.values()), None)

    def _link_to(self, node: Node) -> Link:
        link = self._all.get(node)
        if link is None:

            async def locate() -> AbstractConnection:
                return self._address.connection(node)

            link = Link(locate, self._scripts, self._changes, durable=self._durable, elsewhere=self)
            self._all[node] = link
            link.start()
        return link


def slot_of(key: str) -> int:
    """The slot of a key: of what is in its first braces, if there is anything."""
    start = key.find("{")
    if start >= 0:
        end = key.find("}", start)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key.encode(), 0) % CLUSTER_SLOTS


def _node(reply: AskError, link: Link) -> Node:
    """Whom a redirection names; without a host it is the one who said it."""
    return Node(reply.host or link.place.rsplit(":", 1)[0].strip("[]"), reply.port)


def _forget(future: asyncio.Future[object]) -> None:
    """Nobody waits for this; an error in it is its neighbour's too."""
    if not future.cancelled():
        future.exception()
