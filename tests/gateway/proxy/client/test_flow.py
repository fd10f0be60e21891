"""Bytes in a hurry and bytes that wait: neither side's pace fills our memory."""

import asyncio
from itertools import pairwise

import pytest

from gateway.errors import UpstreamBroken
from gateway.proxy.client.connection import BUFFER_BYTES_MAX, JOINED_BYTES_MAX
from tests.support.calling import client_of, fetch, post, read, turns
from tests.support.hostile import answering, hostile, whole

pytestmark = pytest.mark.anyio

MB = 1_048_576
READ_BYTES_MAX = 262_144
"""The most that a loop hands over at once."""


async def test_an_unread_answer_stops_its_sender():
    """What is buffered stays bounded, and nothing is lost when reading goes on."""
    said = 0
    piece = bytes(range(256)) * 1_024

    async def script(peer):
        nonlocal said
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (80 * len(piece)))
        for _ in range(80):
            await peer.say(piece)
            said += 1
        await peer.gone()

    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client)
        await asyncio.sleep(0.1)
        before = said
        await asyncio.sleep(0.1)

        assert before == said < 80
        assert BUFFER_BYTES_MAX < answer.size <= BUFFER_BYTES_MAX + READ_BYTES_MAX
        assert piece * 80 == await read(answer)
        assert (0, 1) == (client.active, client.idle)


async def test_a_stopped_connection_is_reused_awake():
    """Closed unread while its reading was paused, it still reads the next answer."""
    big = whole(b"x" * (BUFFER_BYTES_MAX + 1))
    async with hostile(answering(big, whole(b"next"))) as server, client_of(server) as client:
        answer = await post(client)
        await asyncio.sleep(0.1)
        assert answer.complete
        assert answer._line._reading_paused
        answer.close()

        assert (200, b"next") == await fetch(client)
        assert 1 == server.connections


async def test_chunks_that_come_together_leave_together():
    """One piece for what came in one read, and at once what came."""

    async def script(peer):
        await peer.request()
        frames = b"".join(b"5\r\nabc%02d\r\n" % i for i in range(50))
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + frames)
        await more.wait()
        await peer.say(b"3\r\nend\r\n")
        await more.wait()
        await asyncio.sleep(0.05)
        await peer.say(b"0\r\n\r\n")
        await peer.gone()

    more = asyncio.Event()
    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client)
        assert b"".join(b"abc%02d" % i for i in range(50)) == await answer.next_chunk()
        more.set()
        assert b"end" == await answer.next_chunk()
        assert await answer.next_chunk() is None
        answer.close()


@pytest.mark.parametrize(
    "size", [0, 1, JOINED_BYTES_MAX - 1, JOINED_BYTES_MAX, JOINED_BYTES_MAX + 1, 3 * MB + 7]
)
async def test_bodies_of_all_sizes_arrive(size):
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]

    async def script(peer):
        while True:
            head, received = await peer.request()
            assert b"content-length: %d\r\n" % size in head
            await peer.say(whole(b"same" if received == body else b"other"))

    async with hostile(script) as server, client_of(server) as client:
        for _ in range(2):
            assert (200, b"same") == await fetch(client, body)
        assert 1 == server.connections


async def test_a_slow_reader_gets_a_big_body_piece_by_piece():
    """20 MB wait as they are, not once more in the transport; and all of them arrive."""
    body = bytes(20 * MB)
    received = 0

    async def script(peer):
        nonlocal received
        await peer.reader.readuntil(b"\r\n\r\n")
        await go.wait()
        while received < len(body):
            received += len(await peer.reader.read(MB))
        await peer.say(whole(b"thanks"))

    go = asyncio.Event()
    async with hostile(script) as server, client_of(server) as client:
        call = asyncio.create_task(post(client, body))
        await asyncio.sleep(0.1)
        (connection,) = client._open
        assert connection._transport.get_write_buffer_size() < MB
        assert connection._unsent is not None
        assert len(connection._unsent) > 10 * MB
        go.set()

        assert b"thanks" == await read(await call)
        assert len(body) == received


@pytest.mark.parametrize("then", ["close", "stay", "reset"])
async def test_an_early_answer_is_delivered(then):
    """A 413 in the middle of our body is the answer, whatever becomes of the rest."""

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(whole(b"too large", status=b"413 Content Too Large"))
        if then == "stay":
            await asyncio.sleep(5)
        await asyncio.sleep(0.05)
        if then == "reset":
            peer.reset()

    async with hostile(script) as server, client_of(server) as client:
        for _ in range(2):
            assert (413, b"too large") == await fetch(client, bytes(20 * MB))
            assert (0, 0) == (client.active, client.idle)


async def test_a_reader_that_leaves_breaks_the_call():
    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await turns()
        peer.reset()

    async with hostile(script) as server, client_of(server) as client:
        with pytest.raises(UpstreamBroken):
            await post(client, bytes(20 * MB))


async def test_an_answer_may_begin_before_the_body_has_left():
    """Both go on beside each other."""

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        await begun.wait()
        await peer.reader.readexactly(20 * MB)
        await peer.say(b"1\r\nb\r\n0\r\n\r\n")
        await peer.gone()

    begun = asyncio.Event()
    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client, bytes(20 * MB))
        assert b"a" == await answer.next_chunk()
        begun.set()

        assert b"b" == await read(answer)
        assert (0, 1) == (client.active, client.idle)


async def test_small_streams_stay_quick_beside_a_big_body():
    """No piece of a big body holds the loop for long."""

    async def script(peer):
        while True:
            await peer.request()
            await peer.say(whole(b"ok"))

    loop = asyncio.get_running_loop()
    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client)
        await read(answer)
        call = asyncio.create_task(fetch(client, bytes(20 * MB)))
        times = [loop.time()]
        while not call.done():
            await asyncio.sleep(0)
            times.append(loop.time())
        await call

        assert max(after - before for before, after in pairwise(times)) < 0.5


class Pieces:
    """A body of so many pieces, which counts those that were read."""

    def __init__(self, count, *, fails_at=None, piece=b"x" * 65_536):
        self.read = 0
        self._count = count
        self._fails_at = fails_at
        self._piece = piece

    def __len__(self):
        return self._count * len(self._piece)

    async def pieces(self):
        for number in range(self._count):
            if number == self._fails_at:
                raise OSError("the disk is gone")
            self.read += 1
            yield self._piece
            await asyncio.sleep(0)


async def test_an_upload_is_read_no_faster_than_the_provider_reads():
    """And when it does, all of it arrives, and the connection serves the next call."""
    go_on = asyncio.Event()
    bodies = []

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await go_on.wait()
        bodies.append(await peer.reader.readexactly(len(body)))
        await peer.say(whole(b"got it"))
        await peer.request()
        await peer.say(whole(b"next"))

    body = Pieces(1_000)
    async with hostile(script) as server, client_of(server) as client:
        answering_ = asyncio.ensure_future(post(client, body))
        before = -1
        while before != body.read:
            before = body.read
            await asyncio.sleep(0.1)
        assert 0 < body.read < 1_000
        go_on.set()
        assert b"got it" == await read(await answering_)
        assert (1_000, 1) == (body.read, len(bodies))
        assert (200, b"next") == await fetch(client)
        assert 1 == server.connections


async def test_an_upload_that_is_refused_early_is_not_read_on():
    """The answer arrives; the connection, whose request is not whole, is not used again."""

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(whole(b"no", status=b"413 Too Large"))
        await peer.gone()

    body = Pieces(1_000_000)
    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client, body)
        assert (413, b"no") == (answer.status, await read(answer))
        seen = body.read
        await turns()
        assert seen == body.read < 1_000_000
        assert 0 == client.idle


async def test_an_upload_that_cannot_be_read_ends_its_call():
    """Never a request that is shorter than it said."""

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.gone()

    async with hostile(script) as server, client_of(server) as client:
        with pytest.raises(UpstreamBroken):
            await post(client, Pieces(10, fails_at=5))
        assert (0, 0) == (client.active, client.idle)


async def test_an_upload_that_is_cancelled_ends_its_connection():
    async def script(peer):
        await peer.gone()

    async with hostile(script) as server, client_of(server) as client:
        calling = asyncio.ensure_future(post(client, Pieces(1_000_000)))
        await server.until_connected(1)
        await turns()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.until_ended(1)
        assert (0, 0) == (client.active, client.idle)
