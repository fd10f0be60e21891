"""The connection to one server: who is there, whether it will do, and one batch at a time.

Each connect, and each heartbeat, asks the server who it is (`identity`). One that is
another than before is told to `Changes` before anything else is sent; one that cannot keep
what it is given (it evicts, it is no master) is left again, so that commands fail instead
of being half kept.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import hiredis
import redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from gateway.store import identity
from gateway.store.address import place_of
from gateway.store.identity import Changes, Unfit
from gateway.store.scripts import Script

REPLICA_WAIT_MS: Final = 100

Part = str | int | bytes
Locate = Callable[[], Awaitable[AbstractConnection]]
"""Gives a connection, not yet open, to where the server is now."""

log = logging.getLogger(__name__)


class Wire:
    """One server's connection; used by one task only.

    Args:
        master_only: Leave a server that says it is a replica.
        durable: It must write each command to its disk before it answers; and where it has
            replicas, wait until one of them has each batch.

    Attributes:
        place: Where it led last, for logs.
        identity: Of the server, once it has been reached.
        short_waits: Batches that no replica confirmed in time.
    """

    def __init__(
        self,
        locate: Locate,
        scripts: Sequence[Script],
        changes: Changes,
        *,
        master_only: bool = False,
        durable: bool = False,
    ) -> None:
        self._locate = locate
        self._scripts = scripts
        self._changes = changes
        self._master_only = master_only
        self._durable = durable
        self._connection: AbstractConnection | None = None
        self._arrived: Callable[[], Any] = _nothing
        self._nothing: Any = None
        self._connections = 0
        self._replicas = 0
        self.place = "?"
        self.identity = ""
        self.short_waits = 0

    async def open(self) -> bool:
        """Connect, if need be, and meet the server; False: it was connected.

        Raises:
            redis.RedisError, OSError: nobody is there, or nobody who will do.
        """
        if self._connection is not None and self._connection.is_connected:
            return False
        try:
            self._connection = await self._locate()
            self.place = place_of(self._connection)
            await self._connection.connect()  # type: ignore[no-untyped-call]
            self._connections += 1
            self._arrived = _arrived_at(self._connection)
            self._nothing = self._arrived()
            if self._durable:
                await self._check_disk()
            await self.meet()
        except BaseException:
            await self.drop()
            raise
        return True

    async def meet(self) -> None:
        """Learn who the server is, and tell when it is another than before."""
        asked = [packed("INFO", "server", "replication", "persistence", "memory")]
        if self._master_only:
            asked.append(packed("ROLE"))
        info, *role = await self._round_trip(asked)
        try:
            if role and isinstance(role[0], list) and role[0][0] != b"master":
                raise Unfit("this server is not the master")
            if isinstance(info, Exception):
                met = self._unknown(info)
            else:
                greeting = identity.read(info)
                self._replicas = greeting.replicas
                met = greeting.identity
        except redis.RedisError:
            await self.drop()
            raise
        before, self.identity = self.identity, met
        if before and before != met:
            log.warning("store_changed server=%s", self.place)
            self._changes.note()

    async def _check_disk(self) -> None:
        (told,) = await self._round_trip([packed("CONFIG", "GET", "append*")])
        if isinstance(told, Exception):
            return  # the start-up audit has said that it is unknown
        settings = dict(zip(told[::2], told[1::2], strict=True))
        if (b"yes", b"always") != (settings[b"appendonly"], settings[b"appendfsync"]):
            raise Unfit("durability strict needs appendonly yes and appendfsync always")

    def _unknown(self, error: Exception) -> str:
        """For a server that does not say who it is each connection is another."""
        if not self.identity:
            log.warning(
                "store_identity_unknown server=%s error=%s: each reconnect counts as a restart; "
                "allow this user INFO",
                self.place,
                error,
            )
        return f"{self.place}#{self._connections}"

    async def exchange(self, batch: list[bytes]) -> list[Any]:
        """Send and read the replies, in order; scripts that the server lacks are loaded."""
        waits = [packed("WAIT", 1, REPLICA_WAIT_MS)] if self._durable and self._replicas else []
        replies = await self._round_trip([*batch, *waits])
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            sources = [packed("SCRIPT", "LOAD", script.source) for script in self._scripts]
            again = await self._round_trip([*sources, *(batch[i] for i in unknown), *waits])
            for reply in again[: len(sources)]:
                if isinstance(reply, Exception):
                    raise reply
            # The second waiting covers the first.
            replies[len(batch) :] = again[len(sources) + len(unknown) :]
            for i, reply in zip(unknown, again[len(sources) :], strict=False):
                replies[i] = reply
        if waits:
            self._note_confirmed(replies.pop())
        return replies

    def _note_confirmed(self, replicas: Any) -> None:
        if isinstance(replicas, int) and replicas > 0:
            return
        self.short_waits += 1
        log.warning("store_not_replicated server=%s batches=%s", self.place, self.short_waits)

    async def _round_trip(self, batch: list[bytes]) -> list[Any]:
        """Write the batch and read as many replies; a command's own error is its reply."""
        connection = self._connection
        assert connection is not None, "a batch is sent on an open connection"
        try:
            await connection.send_packed_command(b"".join(batch), check_health=False)
            replies: list[Any] = []
            arrived, nothing = self._arrived, self._nothing
            for _ in batch:
                reply = arrived()
                if reply is nothing:
                    try:
                        reply = await connection.read_response(
                            disable_decoding=True, disconnect_on_error=False
                        )
                    except ResponseError as exc:
                        reply = exc
                elif isinstance(reply, redis.ConnectionError):
                    raise reply
                replies.append(reply)
        except BaseException:
            await self.drop()
            raise
        return replies

    async def drop(self) -> None:
        """Close; the next `open` looks again where the server is."""
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)


def _arrived_at(connection: AbstractConnection) -> Callable[[], Any]:
    """What takes the next reply that has been read already; when there is none, always the same.

    redis-py goes through three coroutines for each reply, which takes longer than all else
    that is done for a command. Most of a batch arrives at once, and is taken from its parser
    directly; where that is not as we know it, nothing is.
    """
    reader = getattr(getattr(connection, "_parser", None), "_reader", None)
    return partial(reader.gets, False) if isinstance(reader, hiredis.Reader) else _nothing


def _nothing() -> None:
    """No reply, where a null reply would be another matter: `Wire` asks no more than this."""


def packed(*parts: Part) -> bytes:
    """A command as it goes over the wire.

    Raises:
        ValueError, TypeError: it cannot be encoded.
    """
    # redis-py's own packing takes ten times as long; hiredis' stub knows tuples of one only.
    wire: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]
    return wire
