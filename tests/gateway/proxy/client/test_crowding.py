"""A thousand streams at once cost no more, each, than fifty: nothing looks through all of them."""

import asyncio

import pytest

from tests.support.calling import client_of, post
from tests.support.hostile import hostile
from tests.support.profiling import counted

pytestmark = pytest.mark.anyio

STREAMS = 1_000
CHUNKS = 5
CHUNK = b"5\r\nhello\r\n"
CALLS_MORE_MAX = 1.05


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"use_uvloop": True})


async def streamed(at_once):
    """The client's calls of Python functions, a stream.

    They are open beside each other: none ends before all of a crowd have begun.
    """
    begun = asyncio.Semaphore(0)
    on = asyncio.Event()

    async def script(peer):
        while True:
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNK)
            begun.release()
            await on.wait()
            for _ in range(CHUNKS):
                await peer.say(CHUNK)
                await asyncio.sleep(0)
            await peer.say(b"0\r\n\r\n")

    async def read(client):
        answer = await post(client)
        while await answer.next_chunk() is not None:
            pass
        answer.close()

    async def crowd(client):
        on.clear()
        reading = [asyncio.create_task(read(client)) for _ in range(at_once)]
        for _ in range(at_once):
            await begun.acquire()
        assert at_once == client.active
        on.set()
        await asyncio.gather(*reading)

    async with hostile(script) as server, client_of(server) as client:
        await crowd(client)  # connections are open now
        with counted() as calls:
            await crowd(client)
        ours = sum(count for file, count in calls.items() if "/gateway/proxy/" in file)
        return ours / at_once


async def test_r57_a_thousand_streams_cost_no_more_than_fifty_do():
    """Each, in calls of functions: the same on any machine. `benchmarks.run` has them a second."""
    few, many = await streamed(50), await streamed(STREAMS)

    assert few > CHUNKS
    assert many < few * CALLS_MORE_MAX
