"""The load generator: bare connections that send, check every answer, and keep the times.

Times are of `perf_counter`: uvloop's own clock has milliseconds only.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from time import perf_counter
from typing import Final, cast

import httptools

from benchmarks.wire import Plan, caller, read_own_time_s, request_bytes

CONNECTIONS_MAX: Final = 4_096
CONNECT_AT_ONCE: Final = 100
CLOSED_LOOP_S_MAX: Final = 30.0


class WrongAnswer(RuntimeError):
    """An answer that is not what this caller was to get."""


@dataclass(slots=True)
class Timing:
    """One call: seconds from its sending to its first body byte and to its end.

    `beside_s` is what remains of the total without the time that the mock itself took.
    """

    sent_s: float
    beside_s: float = 0.0
    first_s: float = 0.0
    total_s: float = 0.0


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one call in flight."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._call: tuple[int, Plan, Timing, asyncio.Future[Timing]] | None = None
        self._host = ""
        self.started: asyncio.Event | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        address, port = transport.get_extra_info("peername")
        self._host = f"{address}:{port}"

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(WrongAnswer(f"the connection broke in mid-call: {exc}"))

    def close(self) -> None:
        self._call = None
        self._transport.abort()

    def call(self, number: int, plan: Plan) -> asyncio.Future[Timing]:
        """Send call `number`; the future has its timing once the answer was checked."""
        assert self._call is None
        request = request_bytes(number, plan, host=self._host)
        done: asyncio.Future[Timing] = self._loop.create_future()
        self._call = (number, plan, Timing(perf_counter()), done)
        self._transport.write(request)
        return done

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._fail(WrongAnswer(f"not HTTP: {exc}"))

    def on_body(self, body: bytes) -> None:
        if not self._body and self._call is not None:
            self._call[2].first_s = perf_counter() - self._call[2].sent_s
            if self.started is not None:
                self.started.set()
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._call is None:
            return
        (number, plan, timing, done), self._call = self._call, None
        timing.total_s = perf_counter() - timing.sent_s
        body = b"".join(self._body)
        timing.beside_s = timing.total_s - read_own_time_s(body)
        self._body.clear()
        if done.done():
            return
        try:
            check(self._parser.get_status_code(), body, number, plan)
        except WrongAnswer as exc:
            done.set_exception(exc)
        else:
            done.set_result(timing)

    def _fail(self, error: WrongAnswer) -> None:
        if self._call is not None and not self._call[3].done():
            self._call[3].set_exception(error)
        self._call = None


def check(status: int, body: bytes, number: int, plan: Plan) -> None:
    """Hold an answer against its caller.

    Raises:
        WrongAnswer: an error status, another caller's answer, or one with pieces missing.
    """
    if status != 200:
        raise WrongAnswer(f"status {status}: {body[:300].decode('utf-8', 'replace')}")
    name, named = caller(number), body.count(b"caller-")
    expected = plan.chunks + 1 if plan.chunks else 1  # a stream's finish frame has it too
    if not body.count(name) == named or not expected <= named <= expected + 1:  # + a usage frame
        raise WrongAnswer(f"call {number}: {named} of {expected} pieces, or another caller's")
    if plan.chunks and not body.endswith(b"data: [DONE]\n\n"):
        raise WrongAnswer(f"call {number}: the stream has no end")


@dataclass(slots=True)
class Pool:
    """Open connections to one address."""

    port: int
    idle: deque[Connection] = field(default_factory=deque)
    all: list[Connection] = field(default_factory=list)

    async def grow(self, count: int) -> None:
        if len(self.all) + count > CONNECTIONS_MAX:
            raise WrongAnswer(f"{CONNECTIONS_MAX:,} calls in flight: the target does not keep up")
        for start in range(0, count, CONNECT_AT_ONCE):
            batch = range(min(CONNECT_AT_ONCE, count - start))
            self.idle.extend(await asyncio.gather(*(self._connect() for _ in batch)))

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
        self.all.append(connection)
        return connection


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[Pool]:
    pool = Pool(port)
    try:
        await pool.grow(count)
        yield pool
    finally:
        for connection in pool.all:
            connection.close()


async def closed_loop(pool: Pool, calls: int, plan: Plan, numbers: Iterator[int]) -> list[Timing]:
    """`calls` calls, each connection sending its next as soon as it has its answer.

    A slow target gets fewer: after `CLOSED_LOOP_S_MAX` no new call is sent.
    """
    until_s = perf_counter() + CLOSED_LOOP_S_MAX
    remaining = takewhile(lambda _: perf_counter() < until_s, range(calls))

    async def worker(connection: Connection) -> list[Timing]:
        return [await connection.call(next(numbers), plan) for _ in remaining]

    done = await asyncio.gather(*(worker(connection) for connection in pool.idle))
    return [timing for timings in done for timing in timings]


async def open_loop(
    pool: Pool, calls: int, per_second: float, plan: Plan, numbers: Iterator[int]
) -> list[Timing]:
    """`calls` calls at a fixed rate, whatever the answers take: a stall meets those behind it."""
    start_s = perf_counter()

    async def one(index: int) -> Timing:
        await asyncio.sleep(start_s + index / per_second - perf_counter())
        while not pool.idle:  # a target that stalls gets its calls all the same
            await pool.grow(1)
        connection = pool.idle.popleft()
        timing = await connection.call(next(numbers), plan)
        pool.idle.append(connection)
        return timing

    return await asyncio.gather(*(one(index) for index in range(calls)))


async def held_open(pool: Pool, plan: Plan, numbers: Iterator[int]) -> None:
    """Start a stream on every connection and return once each has its first piece."""
    started = [asyncio.Event() for _ in pool.idle]
    streams = []
    for connection, event in zip(pool.idle, started, strict=True):
        connection.started = event
        streams.append(connection.call(next(numbers), plan))
    await asyncio.gather(*(event.wait() for event in started))
    ended = [stream.exception() for stream in streams if stream.done()]
    if ended:
        raise WrongAnswer(f"{len(ended)} of {len(streams)} streams did not stay open: {ended[0]}")
