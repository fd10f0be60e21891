"""The way to Redis: all commands of one event-loop turn leave as one pipeline.

A lone asyncio command costs more client time than the script it runs; packed with its
neighbours it costs a fraction. So callers only append to a list, and one task owns the
connection: it writes what has gathered, reads the replies in order, and takes the next.
While it waits for replies the next batch gathers by itself, so batches grow with load.

The task is the connection's only user. A cancelled request cancels nothing but its own
wait; it can never leave a half-read connection behind for somebody else's reply.

Everything sent here is idempotent (scripts are, by request id or compare-and-set), so a
batch whose connection broke is sent once more on a new one.

A command is encoded where it is given: one that cannot be sent fails its own caller, never
the batch it would have travelled in.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import hiredis
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from gateway.errors import LedgerUnavailable
from gateway.store import scripts
from gateway.store.keys import META, PARTITIONS, Keyspace

BATCH_COMMANDS_MAX: Final = 1_000
PENDING_COMMANDS_MAX: Final = 100_000
BATCH_SECONDS_MAX: Final = 5.0
CONNECT_SECONDS_MAX: Final = 2.0
GREETING_PAUSE_SECONDS: Final = 0.5

Part = str | int | bytes
_Waiting = tuple[bytes, asyncio.Future[Any]]

_REFUSALS: Final = (
    OutOfMemoryError,
    ReadOnlyError,
    MasterDownError,
    ClusterDownError,
    TryAgainError,
    NoPermissionError,
)
_REFUSAL_CODES: Final = ("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE")
"""The server is there and does not do it now. The second half has no class in redis-py."""

log = logging.getLogger(__name__)


class Store:
    """One connection, batched.

    Open it with `connect`; `close` sends what is pending and ends the task. Replies are
    raw: bytes, int, None or lists of them.

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

    def __init__(self, url: str) -> None:
        # Of the pool we take what it knows of URLs, keys and certificates, and one connection.
        pool = redis.ConnectionPool.from_url(
            url,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),  # callers are waiting: who retries is for them to say
        )
        self._connection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._scripts = scripts.load_all()
        self._pending: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self.keyspace = Keyspace()
        self.is_ready = False

    async def connect(self) -> None:
        """Start. A store that is away is tried again until it comes; see `is_ready`."""
        self._tasks.append(asyncio.create_task(self._run(), name="store"))
        try:
            await self._greet()
        except LedgerUnavailable:
            self._tasks.append(asyncio.create_task(self._keep_greeting(), name="store-greeting"))

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)

    def script(self, name: str, keys: Sequence[str], args: Sequence[Part]) -> asyncio.Future[Any]:
        """Run one verb of ``scripts/``; awaiting the result gives the raw reply."""
        return self.command("EVALSHA", self._scripts[name].sha, len(keys), *keys, *args)

    def command(self, *parts: Part) -> asyncio.Future[Any]:
        if not self.is_ready:
            return _failed("The ledger is not reachable; try again shortly.")
        return self._submit(parts)

    def _submit(self, parts: tuple[Part, ...]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closing:
            future.set_exception(LedgerUnavailable("The ledger's connection is closed."))
        elif len(self._pending) >= PENDING_COMMANDS_MAX:
            future.set_exception(LedgerUnavailable("The ledger does not keep up."))
        else:
            self._pending.append((_packed(*parts), future))
            self._wake.set()
        return future

    async def commands(self, batch: Sequence[Sequence[Part]]) -> list[Any]:
        """Send several in one pipeline; replies in order, the first error raises."""
        return list(await asyncio.gather(*(self.command(*parts) for parts in batch)))

    async def _greet(self) -> None:
        """Read, or fix at the very first start, the number of partitions."""
        fixed = await self._submit(("HGET", META, "partitions"))
        if fixed is None:  # asked first: a full server still serves those whom it knows
            await self._submit(("HSETNX", META, "partitions", PARTITIONS))
            fixed = await self._submit(("HGET", META, "partitions"))
        self.keyspace = Keyspace(int(fixed))
        self.is_ready = True

    async def _keep_greeting(self) -> None:
        while not (self.is_ready or self._closing):
            await asyncio.sleep(GREETING_PAUSE_SECONDS)
            with suppress(LedgerUnavailable):
                await self._greet()

    async def _run(self) -> None:
        while not (self._closing and not self._pending):
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(0)  # whoever else has something in this turn comes along
            while self._pending:
                batch = self._pending[:BATCH_COMMANDS_MAX]
                del self._pending[:BATCH_COMMANDS_MAX]
                await self._deliver(batch)
        await self._connection.disconnect()

    async def _deliver(self, batch: list[_Waiting]) -> None:
        """Send, at most twice; whatever happens, every future of the batch is resolved."""
        problem: Exception | None = None
        for _ in range(2):
            try:
                async with asyncio.timeout(BATCH_SECONDS_MAX):
                    replies = await self._exchange([packed for packed, _ in batch])
            except Exception as exc:  # noqa: BLE001 - no failure may end the only sender
                problem = exc
                continue
            for (_, future), reply in zip(batch, replies, strict=True):
                _resolve(future, reply)
            return
        log.warning("store_unavailable error=%s", type(problem).__name__)
        for _, future in batch:
            error = LedgerUnavailable("The ledger is not reachable; try again shortly.")
            error.__cause__ = problem
            _resolve(future, error)

    async def _exchange(self, batch: list[bytes]) -> list[Any]:
        connection = self._connection
        try:
            if not connection.is_connected:
                await connection.connect()
            replies = await _round_trip(connection, batch)
            unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                sources = [_packed("SCRIPT", "LOAD", s.source) for s in self._scripts.values()]
                again = await _round_trip(connection, [*sources, *(batch[i] for i in unknown)])
                for reply in again[: len(sources)]:
                    if isinstance(reply, Exception):
                        raise reply
                for i, reply in zip(unknown, again[len(sources) :], strict=True):
                    replies[i] = reply
            return replies
        except BaseException:
            await connection.disconnect(nowait=True)
            raise


def _packed(*parts: Part) -> bytes:
    # redis-py's own packing takes ten times as long; hiredis' stub knows tuples of one only.
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]
    return packed


async def _round_trip(
    connection: redis.connection.AbstractConnection, batch: list[bytes]
) -> list[Any]:
    """Write the batch and read as many replies; a command's own error is its reply."""
    await connection.send_packed_command(b"".join(batch), check_health=False)
    replies = []
    for _ in batch:
        try:
            replies.append(
                await connection.read_response(disable_decoding=True, disconnect_on_error=False)
            )
        except ResponseError as exc:
            replies.append(exc)
    return replies


def _failed(message: str) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(LedgerUnavailable(message))
    return future


def _resolve(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():  # its caller was cancelled; the reply is still consumed, in order
        return
    if isinstance(reply, ResponseError) and _is_refusal(reply):
        error = LedgerUnavailable("The ledger's store does not take this now.")
        error.__cause__ = reply
        future.set_exception(error)
    elif isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _is_refusal(error: ResponseError) -> bool:
    return isinstance(error, _REFUSALS) or str(error).split(" ", 1)[0] in _REFUSAL_CODES
