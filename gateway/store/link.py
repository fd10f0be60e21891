"""One connection to one server: all commands of one event-loop turn leave as one pipeline.

A lone asyncio command costs more client time than the script it runs; packed with its
neighbours it costs a fraction. So callers only append to a list, and one task owns the
connection: it writes what has gathered, reads the replies in order, and takes the next.
While it waits for replies the next batch gathers by itself, so batches grow with load.

The task is the connection's only user. A cancelled request cancels nothing but its own
wait; it can never leave a half-read connection behind for somebody else's reply.

Everything sent here is idempotent (scripts are, by request id or compare-and-set), so a
batch whose connection broke is sent once more on a new one. Unless the server there is
another than before: what it had acknowledged may be gone, so that is told first, and the
commands that were decided by it (`fragile`) fail instead.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import hiredis
import redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from gateway.store import identity
from gateway.store.address import place_of
from gateway.store.identity import Changes, Unfit
from gateway.store.replies import Command, resolve, unavailable
from gateway.store.scripts import Script

BATCH_COMMANDS_MAX: Final = 1_000
PENDING_COMMANDS_MAX: Final = 100_000
BATCH_SECONDS_MAX: Final = 5.0
TRIES_MAX: Final = 2
HEARTBEAT_SECONDS: Final = 1.0
"""How often a server is asked whether it is still the same, with traffic and without."""
HEARTBEAT_AWAY_SECONDS: Final = 0.3
REPLICA_WAIT_MS: Final = 100

Part = str | int | bytes
Locate = Callable[[], Awaitable[AbstractConnection]]
"""Gives a connection, not yet open, to where the server is now."""

log = logging.getLogger(__name__)


class Elsewhere(Protocol):
    """Where commands go that this server does not do: the other nodes of a cluster."""

    def refused(self, link: "Link", command: Command, reply: ResponseError) -> bool:
        """Take over a command that was not done; False: its caller is told."""

    def broken(self, link: "Link", batch: list[Command], problem: Exception | None) -> None:
        """Take over a batch that found no server: it may have been done."""


class Link:
    """A server's connection and the task that owns it.

    Attributes:
        identity: Of the server, once it has been reached; see `identity.read`.
        is_up: The last exchange went well.
        short_waits: Batches that no replica confirmed in time, with `durable`.
    """

    def __init__(
        self,
        locate: Locate,
        scripts: Sequence[Script],
        changes: Changes,
        *,
        master_only: bool = False,
        durable: bool = False,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._locate = locate
        self._scripts = scripts
        self._changes = changes
        self._seen = changes.count
        self._master_only = master_only
        self._durable = durable
        self._elsewhere = elsewhere
        self._connection: AbstractConnection | None = None
        self._connections = 0
        self._pending: list[Command] = []
        self._wake = asyncio.Event()
        self._beat_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._replicas = 0
        self.place = "?"
        self.identity = ""
        self.is_up = True
        self.short_waits = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="store")
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)

    async def close(self) -> None:
        """Send what is pending, and end."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake.set()
        if self._task is not None:
            await self._task

    def submit(self, command: Command) -> None:
        if self._closing:
            resolve(command.future, unavailable("The ledger's connection is closed."))
        elif len(self._pending) >= PENDING_COMMANDS_MAX:
            resolve(command.future, unavailable("The ledger does not keep up."))
        else:
            self._pending.append(command)
            self._wake.set()

    def _beat(self) -> None:
        pause = HEARTBEAT_SECONDS if self.is_up else HEARTBEAT_AWAY_SECONDS
        self._timer = asyncio.get_running_loop().call_later(pause, self._beat)
        self._beat_due = True
        self._wake.set()

    async def _run(self) -> None:
        while not (self._closing and not self._pending):
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(0)  # whoever else has something in this turn comes along
            if self._beat_due:
                self._beat_due = False
                await self._check()
            while self._pending:
                batch = self._pending[:BATCH_COMMANDS_MAX]
                del self._pending[:BATCH_COMMANDS_MAX]
                await self._deliver(batch)
        await self._drop()

    async def _check(self) -> None:
        """Is the server there, and still the one it was? Without traffic nobody else asks."""
        problem: Exception | None = None
        for _ in range(TRIES_MAX):
            try:
                async with asyncio.timeout(BATCH_SECONDS_MAX):
                    if not await self._open():
                        await self._meet()
            except Exception as exc:  # noqa: BLE001 - no failure may end the only sender
                problem = exc
            else:
                self._came_back()
                return
        self._went_away(problem)
        self._hand_over([], problem)

    async def _deliver(self, batch: list[Command]) -> None:
        """Send, at most twice; whatever happens, every command of the batch is answered."""
        problem: Exception | None = None
        for _ in range(TRIES_MAX):
            try:
                async with asyncio.timeout(BATCH_SECONDS_MAX):
                    await self._open()
                    if self._seen != self._changes.count:
                        batch = self._without_stale(batch)
                    replies = await self._exchange([command.packed for command in batch])
            except Exception as exc:  # noqa: BLE001 - no failure may end the only sender
                problem = exc
                continue
            self._came_back()
            refusals = False
            for command, reply in zip(batch, replies, strict=True):
                if isinstance(reply, ResponseError):
                    refusals |= isinstance(reply, ReadOnlyError)
                    if self._elsewhere and self._elsewhere.refused(self, command, reply):
                        continue
                resolve(command.future, reply, doubt=problem or command.problem)
            if refusals:  # it has become a replica: look again where the master is
                await self._drop()
            return
        self._went_away(problem)
        self._hand_over(batch, problem)

    def _hand_over(self, batch: list[Command], problem: Exception | None) -> None:
        if self._elsewhere is not None:
            self._elsewhere.broken(self, batch, problem)
            return
        for command in batch:
            resolve(command.future, unavailable(cause=problem))

    def _without_stale(self, batch: list[Command]) -> list[Command]:
        """Fail what was decided by a server that has changed since; the rest of the batch."""
        self._seen = self._changes.count
        self._pending = self._fresh(self._pending)
        return self._fresh(batch)

    def _fresh(self, commands: list[Command]) -> list[Command]:
        kept = [c for c in commands if c.born in {-1, self._seen}]
        for command in commands:
            if command.born not in {-1, self._seen}:
                resolve(command.future, unavailable())
        return kept

    async def _open(self) -> bool:
        """Connect, if need be, and meet the server; False: it was connected."""
        if self._connection is not None and self._connection.is_connected:
            return False
        try:
            self._connection = await self._locate()
            self.place = place_of(self._connection)
            await self._connection.connect()  # type: ignore[no-untyped-call]
            self._connections += 1
            await self._meet()
        except BaseException:
            await self._drop()
            raise
        return True

    async def _meet(self) -> None:
        """Learn who the server is, and tell when it is another than before."""
        asked = [packed("INFO", "server", "replication", "persistence")]
        if self._master_only:
            asked.append(packed("ROLE"))
        info, *role = await self._round_trip(asked)
        if role and isinstance(role[0], list) and role[0][0] != b"master":
            await self._drop()
            raise Unfit("this server is not the master")
        if isinstance(info, Exception):
            met = self._unknown(info)
        else:
            greeting = identity.read(info)
            if greeting.is_loading:
                await self._drop()
                raise redis.BusyLoadingError("the server is reading its data")
            self._replicas = greeting.replicas
            met = greeting.identity
        before, self.identity = self.identity, met
        if before and before != met:
            log.warning("store_changed server=%s", self.place)
            self._changes.note()

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

    async def _exchange(self, batch: list[bytes]) -> list[Any]:
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
        for confirmed in replies[len(batch) :]:
            if not isinstance(confirmed, int) or confirmed < 1:
                self.short_waits += 1
                log.warning(
                    "store_not_replicated server=%s batches=%s", self.place, self.short_waits
                )
        return replies[: len(batch)]

    async def _round_trip(self, batch: list[bytes]) -> list[Any]:
        """Write the batch and read as many replies; a command's own error is its reply."""
        connection = self._connection
        assert connection is not None, "a batch is sent on an open connection"
        try:
            await connection.send_packed_command(b"".join(batch), check_health=False)
            replies = []
            for _ in batch:
                try:
                    reply = await connection.read_response(
                        disable_decoding=True, disconnect_on_error=False
                    )
                except ResponseError as exc:
                    reply = exc
                replies.append(reply)
        except BaseException:
            await self._drop()
            raise
        return replies

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)

    def _came_back(self) -> None:
        if not self.is_up:
            self.is_up = True
            log.warning("store_back server=%s", self.place)

    def _went_away(self, problem: Exception | None) -> None:
        if self.is_up:
            self.is_up = False
            log.warning("store_unavailable server=%s error=%s", self.place, _told(problem))


def _told(problem: Exception | None) -> str:
    name = type(problem).__name__
    return f"{name} reason={problem}" if isinstance(problem, Unfit) else name


def packed(*parts: Part) -> bytes:
    """A command as it goes over the wire.

    Raises:
        ValueError, TypeError: it cannot be encoded.
    """
    # redis-py's own packing takes ten times as long; hiredis' stub knows tuples of one only.
    wire: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]
    return wire
