"""The way to Redis: all commands of one event-loop turn leave as one pipeline.

A lone asyncio command costs more client time than the script it runs; packed with its
neighbours it costs a fraction. So callers only append to a list, and one task owns the
connection: it writes what has gathered, reads the replies in order, and takes the next.
While it waits for replies the next batch gathers by itself, so batches grow with load.

The task is the connection's only user. A cancelled request cancels nothing but its own
wait; it can never leave a half-read connection behind for somebody else's reply.

Everything sent here is idempotent (scripts are, by request id or compare-and-set), so a
batch whose connection broke is sent once more on a new one.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from gateway.errors import LedgerUnavailable
from gateway.store import scripts
from gateway.store.keys import META, PARTITIONS, Keyspace

BATCH_COMMANDS_MAX: Final = 1_000
PENDING_COMMANDS_MAX: Final = 100_000
BATCH_SECONDS_MAX: Final = 5.0
CONNECT_SECONDS_MAX: Final = 2.0
GREETING_PAUSE_SECONDS: Final = 0.5

Part = str | int | bytes
_Waiting = tuple[tuple[Part, ...], asyncio.Future[Any]]

log = logging.getLogger(__name__)


class Store:
    """One connection, batched.

    Open it with `connect`; `close` sends what is pending and ends the task. Replies are
    raw: bytes, int, None or lists of them.

    Attributes:
        keyspace: The partitions, as the store has them once it `is_ready`.
        is_ready: The store has been reached, if only once: its partitions are known.

    Raises, from every command:
        LedgerUnavailable: no connection, no reply in time, or the server is out of memory.
        redis.exceptions.ResponseError: the server's own error for this command.
    """

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(
            url, protocol=2, socket_connect_timeout=CONNECT_SECONDS_MAX, max_connections=2
        )
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
        await self._pool.aclose()

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
            self._pending.append((parts, future))
            self._wake.set()
        return future

    async def commands(self, batch: Sequence[Sequence[Part]]) -> list[Any]:
        """Send several in one pipeline; replies in order, the first error raises."""
        return list(await asyncio.gather(*(self.command(*parts) for parts in batch)))

    async def _greet(self) -> None:
        """Read, or fix at the very first start, the number of partitions."""
        await self._submit(("HSETNX", META, "partitions", PARTITIONS))
        self.keyspace = Keyspace(int(await self._submit(("HGET", META, "partitions"))))
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
            while self._pending:
                batch = self._pending[:BATCH_COMMANDS_MAX]
                del self._pending[:BATCH_COMMANDS_MAX]
                await self._deliver(batch)
        await self._pool.disconnect()

    async def _deliver(self, batch: list[_Waiting]) -> None:
        """Send, at most twice; whatever happens, every future of the batch is resolved."""
        problem: Exception | None = None
        for _ in range(2):
            try:
                async with asyncio.timeout(BATCH_SECONDS_MAX):
                    replies = await self._exchange([parts for parts, _ in batch])
            except (RedisError, OSError, TimeoutError) as exc:
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

    async def _exchange(self, batch: list[tuple[Part, ...]]) -> list[Any]:
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            replies = await _round_trip(connection, batch)
            unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                sources = [("SCRIPT", "LOAD", s.source) for s in self._scripts.values()]
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
        finally:
            await self._pool.release(connection)


async def _round_trip(
    connection: redis.connection.AbstractConnection, batch: list[tuple[Part, ...]]
) -> list[Any]:
    """Write the batch and read as many replies; a command's own error is its reply."""
    await connection.send_packed_command(connection.pack_commands(batch), check_health=False)
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
    if isinstance(reply, OutOfMemoryError):
        error = LedgerUnavailable("The ledger's store is out of memory.")
        error.__cause__ = reply
        future.set_exception(error)
    elif isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
