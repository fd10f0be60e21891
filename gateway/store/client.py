"""The face of the store: commands and scripts, whatever the store is made of.

What it is made of (one server, the master that Sentinel names, a cluster) is behind
`Way`; how commands travel is told in `link.py`.

A command is encoded where it is given: one that cannot be sent fails its own caller, never
the batch it would have travelled in.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from gateway.errors import LedgerUnavailable
from gateway.store import address, scripts
from gateway.store.cluster import Cluster
from gateway.store.guarantees import Guarantees, audited
from gateway.store.identity import Changes
from gateway.store.keys import META, PARTITIONS, Keyspace, Partition, WrongPartitions
from gateway.store.link import Link
from gateway.store.replies import Command, failed, writes_nothing
from gateway.store.single import Single
from gateway.store.wire import Part, packed

__all__ = ["Part", "Store"]

GREETING_PAUSE_SECONDS: Final = 0.5
ADMITS_SECONDS_MAX: Final = 0.5
log = logging.getLogger(__name__)

KEYLESS: Final = frozenset({"PING", "TIME", "INFO", "ECHO", "CONFIG", "SCRIPT", "ROLE", "WAIT"})
"""Commands whose second word is no key: `node_of` says whose server does them."""


class Way(Protocol):
    """Commands to the servers that have their keys.

    Attributes:
        links: One a server.
    """

    @property
    def links(self) -> Sequence[Link]: ...

    @property
    def is_up(self) -> bool:
        """Whether any server answered when it was last asked."""

    def start(self) -> None: ...

    async def close(self) -> None:
        """Send what is pending, and end."""

    def submit(self, command: Command, key: str | None) -> None:
        """Send towards the server that has `key`; without one, to any."""

    def link_of(self, key: str) -> Link | None:
        """The server that has `key` now; None where nobody has it."""


class Store:
    """The store at a URL (see `address`), batched.

    Open it with `connect`; `close` sends what is pending and ends the task. Replies are
    raw: bytes, int, None or lists of them.

    Args:
        durable: Use only servers that write to disk before they answer; where they have
            replicas, wait until one has each batch.

    Attributes:
        keyspace: The partitions, as the store has them once it `is_ready`.
        is_ready: The store has been reached, if only once: its partitions are known.

    Raises, from every command:
        LedgerUnavailable: no connection or no reply in time: it may have been done all the
            same. Or the server refused it (its memory is full, it has become a replica):
            then the cause is a ResponseError, and nothing was done.
        redis.exceptions.ResponseError: the server's own error for this command.
        ValueError, TypeError: the command cannot be encoded.
    """

    def __init__(self, url: str, *, durable: bool = False) -> None:
        self._scripts = scripts.load_all()
        self._changes = Changes()
        place = address.parse(url)
        self._url = url
        self._durable = durable
        make = Cluster if place.kind is address.Kind.CLUSTER else Single
        self._way: Way = make(place, list(self._scripts.values()), self._changes, durable=durable)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._closing = False
        self.keyspace = Keyspace()
        self.is_ready = False

    @property
    def identity(self) -> str:
        """Of all servers; another one when what was acknowledged may be lost, '' before."""
        return " ".join(sorted(link.identity for link in self._way.links if link.identity))

    @property
    def links_down(self) -> int:
        """Servers that did not answer when they were last asked, a second ago at most."""
        return sum(not link.is_up for link in self._way.links)

    @property
    def short_waits(self) -> int:
        """Batches that no replica confirmed in time, with `durable`."""
        return sum(link.short_waits for link in self._way.links)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever a server turns out to be another, or to have restarted.

        What it had acknowledged may be lost. It is called before anything is sent to the
        new one, on the event loop, and must not wait. Commands that were decided before it
        (`since`) fail then.
        """
        self._changes.callbacks.append(callback)

    @property
    def changes(self) -> int:
        """How often a server turned out to be another, up to now."""
        return self._changes.count

    def before_sending(self, callback: Callable[[], None]) -> None:
        """Call `callback` before each batch leaves: what must be on disk first, is.

        On the event loop; it must not raise, and not wait.
        """
        self._changes.before_sending = callback

    @property
    def is_up(self) -> bool:
        """Whether a server answered when it was last asked, a second ago at most."""
        return self.is_ready and self._way.is_up

    async def connect(self) -> None:
        """Start. A store that is away is tried again until it comes; see `is_ready`.

        Raises:
            WrongPartitions: it was damaged by hand.
        """
        self._loop = asyncio.get_running_loop()
        self._way.start()
        try:
            await self._greet()
        except LedgerUnavailable:
            self._greeting = asyncio.create_task(self._keep_greeting(), name="store-greeting")

    async def close(self) -> None:
        self._closing = True
        await self._way.close()
        if self._greeting is not None:
            await self._greeting

    def script(
        self, name: str, keys: Sequence[str], args: Sequence[Part], *, since: int | None = None
    ) -> asyncio.Future[Any]:
        """Run one verb of ``scripts/``; awaiting the result gives the raw reply.

        Args:
            since: The `changes` by which it was decided: fail, rather than be sent to a
                server that has changed since.
        """
        if not self.is_ready or since not in {None, self._changes.count}:
            return failed(NOT_REACHABLE)
        parts = ("EVALSHA", self._scripts[name].sha, len(keys), *keys, *args)
        return self._submit(parts, keys[0], -1 if since is None else since)

    def command(self, *parts: Part, node_of: str | None = None) -> asyncio.Future[Any]:
        """Send one command, to the server that has its key.

        Args:
            node_of: A key on whose server to do it; for commands that name none.
        """
        if not self.is_ready:
            return failed(NOT_REACHABLE)
        return self._submit(parts, node_of or _key(parts))

    async def commands(self, batch: Sequence[Sequence[Part]]) -> list[Any]:
        """Send several in one pipeline; replies in order, the first error raises."""
        futures = [self.command(*parts) for parts in batch]
        try:
            # Not gathered: replies come together, and a gathered one has a turn of its own.
            return [await future for future in futures]
        except BaseException:
            for future in futures:
                future.add_done_callback(_heard)
            raise

    def key_a_server(self) -> list[str]:
        """For each server that has partitions a key of its own, to give as `node_of`."""
        keys = {self._way.link_of(p.cursors): p.cursors for p in self.keyspace.partitions}
        return list(keys.values())

    async def time_ms(self, of: Partition | str) -> int:
        """The time of the server that has this partition or key, Unix ms."""
        key = of if isinstance(of, str) else of.cursors
        seconds, micros = await self.command("TIME", node_of=key)
        return int(seconds) * 1000 + int(micros) // 1000

    async def guarantees(self) -> Guarantees:
        """What the servers' settings promise, as they are now; raises as `audited`."""
        return await audited(self._url, strict=self._durable)

    async def admits(self) -> None:
        """Would every server let a new call in? Nothing is written.

        Raises:
            LedgerUnavailable: one would not. Caused by a ResponseError where it is there, and
                writes nothing new: its memory is full, say.
        """
        if not self.is_ready:
            raise LedgerUnavailable(NOT_REACHABLE)
        await self._reach()
        one_a_server = {self._way.link_of(p.cursors): p for p in self.keyspace.partitions}
        # To put nothing into a key that is nobody's: it is refused, or changes nothing. A key
        # whose slot is on its way tells nothing, and is not waited for.
        asked = [self.command("SETRANGE", p.number(""), 0, "") for p in one_a_server.values()]
        answered, silent = await asyncio.wait(asked, timeout=ADMITS_SECONDS_MAX)
        for future in silent:
            future.cancel()
        for future in answered:
            problem = future.exception()
            if isinstance(problem, LedgerUnavailable) and writes_nothing(problem.__cause__):
                raise problem

    async def _reach(self) -> None:
        pings: list[asyncio.Future[Any]] = []
        for link in self._way.links:
            pings.append(asyncio.get_running_loop().create_future())
            link.submit(Command(packed("PING"), pings[-1]))
        await asyncio.gather(*pings)

    def _submit(
        self, parts: tuple[Part, ...], key: str | None, born: int = -1
    ) -> asyncio.Future[Any]:
        assert self._loop is not None, "a store is connected before it is asked"
        future: asyncio.Future[Any] = self._loop.create_future()
        self._way.submit(Command(packed(*parts), future, born), key)
        return future

    async def _greet(self) -> None:
        """Read, or fix at the very first start, the number of partitions."""
        fixed = await self._submit(("HGET", META, "partitions"), META)
        if fixed is None:  # asked first: a full server still serves those whom it knows
            await self._submit(("HSETNX", META, "partitions", PARTITIONS), META)
            fixed = await self._submit(("HGET", META, "partitions"), META)
        await self._reach()  # so that each server has said who it is
        self.keyspace = Keyspace.of(fixed)
        self.is_ready = True

    async def _keep_greeting(self) -> None:
        while not (self.is_ready or self._closing):
            await asyncio.sleep(GREETING_PAUSE_SECONDS)
            try:
                await self._greet()
            except LedgerUnavailable:
                pass
            except WrongPartitions as exc:
                log.error("store_unfit error=%s", exc)  # noqa: TRY400 - it says all there is


NOT_REACHABLE: Final = "The ledger is not reachable; try again shortly."


def _heard(future: asyncio.Future[Any]) -> None:
    """Nobody awaits it any more: its error is not news."""
    if not future.cancelled():
        future.exception()


def _key(parts: Sequence[Part]) -> str | None:
    """Where it is not the second word, a cluster tells; of scripts it is known."""
    name = parts[0]
    if name in {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"}:
        return str(parts[3]) if int(parts[2]) else None
    return str(parts[1]) if len(parts) > 1 and name not in KEYLESS else None
