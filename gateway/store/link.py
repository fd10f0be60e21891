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
commands that were decided by it (`Store.script`, `since`) fail instead.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from redis.exceptions import ReadOnlyError, ResponseError

from gateway.store.identity import Changes, Unfit
from gateway.store.replies import Command, resolve, unavailable
from gateway.store.scripts import Script
from gateway.store.wire import Locate, Wire

BATCH_COMMANDS_MAX: Final = 1_000
PENDING_COMMANDS_MAX: Final = 100_000
BATCH_SECONDS_MAX: Final = 5.0
TRIES_MAX: Final = 2
HEARTBEAT_SECONDS: Final = 1.0
"""How often a server is asked whether it is still the same, with traffic and without."""
HEARTBEAT_AWAY_SECONDS: Final = 0.3

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
        is_up: The last exchange went well.
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
        self._changes = changes
        self._seen = changes.count
        self._wire = Wire(locate, scripts, changes, master_only=master_only, durable=durable)
        self._elsewhere = elsewhere
        self._pending: list[Command] = []
        self._batch: list[Command] = []
        self._wake = asyncio.Event()
        self._beat_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.is_up = True

    @property
    def place(self) -> str:
        return self._wire.place

    @property
    def identity(self) -> str:
        """Of the server, once it has been reached; see `identity.read`."""
        return self._wire.identity

    @property
    def short_waits(self) -> int:
        return self._wire.short_waits

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
            await asyncio.wait([self._task])  # it may have been cancelled before

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
        try:
            while not (self._closing and not self._pending):
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(0)  # whoever else has something in this turn comes along
                if self._beat_due:
                    self._beat_due = False
                    await self._check()
                while self._pending:
                    self._changes.before_sending()
                    self._batch = self._pending[:BATCH_COMMANDS_MAX]
                    del self._pending[:BATCH_COMMANDS_MAX]
                    await self._deliver(self._batch)
                    self._batch = []
        finally:
            self._end()
            await self._wire.drop()

    def _end(self) -> None:
        """Leave nobody waiting: cancelled without `close` there is no task that would answer."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for command in (*self._batch, *self._pending):
            resolve(command.future, unavailable("The ledger's connection is closed."))

    async def _check(self) -> None:
        """Is the server there, and still the one it was? Without traffic nobody else asks."""
        problem: Exception | None = None
        for _ in range(TRIES_MAX):
            try:
                async with asyncio.timeout(BATCH_SECONDS_MAX):
                    if not await self._wire.open():
                        await self._wire.meet()
            except Exception as exc:  # noqa: BLE001 - no failure may end the only sender
                _heed_cancellation()
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
                    await self._wire.open()
                    if self._seen != self._changes.count:
                        batch = self._without_stale(batch)
                    replies = await self._wire.exchange([command.packed for command in batch])
            except Exception as exc:  # noqa: BLE001 - no failure may end the only sender
                _heed_cancellation()
                problem = exc
                continue
            self._came_back()
            refusals = False
            for command, reply in zip(batch, replies, strict=True):
                if not isinstance(reply, Exception):
                    # If its caller was cancelled the reply is still consumed, in order.
                    if not command.future.done():
                        command.future.set_result(reply)
                    continue
                if isinstance(reply, ResponseError):
                    refusals |= isinstance(reply, ReadOnlyError)
                    if self._elsewhere and self._elsewhere.refused(self, command, reply):
                        continue
                resolve(command.future, reply, doubt=problem or command.problem)
            if refusals:  # it has become a replica: look again where the master is
                await self._wire.drop()
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

    def _came_back(self) -> None:
        if not self.is_up:
            self.is_up = True
            log.warning("store_back server=%s", self.place)

    def _went_away(self, problem: Exception | None) -> None:
        if self.is_up:
            self.is_up = False
            log.warning("store_unavailable server=%s error=%s", self.place, _told(problem))


def _heed_cancellation() -> None:
    """End where the failure hides that the task was cancelled: it would go on for ever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _told(problem: Exception | None) -> str:
    name = type(problem).__name__
    return f"{name} reason={problem}" if isinstance(problem, Unfit) else name
