"""A wire that fails: between a client and a store, losing replies and whole connections.

What was sent to it has been executed; only the answer is lost. That is the fault that makes
a naive retry count twice.
"""

import asyncio
import contextlib
import queue
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CHUNK_BYTES = 65_536


class LossyWire:
    """Passes bytes between a Unix socket of its own and the store's.

    Attributes:
        loss: The share of replies that are swallowed, with their connection.
        delay_seconds: How long each reply takes longer.
        lost: How many have been.
    """

    def __init__(self, target: str, *, loss: float, delay_seconds: float, seed: int) -> None:
        self._target = target.removeprefix("unix://")
        self._random = random.Random(seed)
        self.loss = loss
        self.delay_seconds = delay_seconds
        self.lost = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._target)
        asking = asyncio.create_task(_pass_on(reader, upstream_writer))
        try:
            while reply := await upstream_reader.read(CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if self._random.random() < self.loss:
                    self.lost += 1
                    break
                writer.write(reply)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            asking.cancel()
            for end in (writer, upstream_writer):
                end.close()
            with contextlib.suppress(asyncio.CancelledError):
                await asking


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while asked := await reader.read(CHUNK_BYTES):
            writer.write(asked)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def lossy(
    url: str, *, loss: float = 0.0, delay_seconds: float = 0.0, seed: int = 1
) -> AsyncIterator[tuple[str, LossyWire]]:
    """Put a wire before the store at `url`; yields the URL to use instead, and the wire."""
    wire = LossyWire(url, loss=loss, delay_seconds=delay_seconds, seed=seed)
    with TemporaryDirectory(prefix="fb-") as folder:
        path = Path(folder) / "wire.sock"
        server = await asyncio.start_unix_server(wire.serve, path)
        try:
            yield f"unix://{path}", wire
        finally:
            server.close()


@contextmanager
def slow_wire(url: str, *, delay_seconds: float) -> Iterator[str]:
    """A wire in a thread of its own, for tests that are not asynchronous."""
    ready: queue.Queue[str] = queue.Queue()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def pass_on() -> None:
        async with lossy(url, delay_seconds=delay_seconds) as (slow, _):
            ready.put(slow)
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(pass_on(),))
    thread.start()
    try:
        yield ready.get(timeout=10)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()
