"""Where an answer ends, for every way to say so, and what is no answer at all."""

import asyncio

import pytest

from gateway.errors import UpstreamBroken
from gateway.proxy.client import Sent
from gateway.proxy.client.connection import HEAD_BYTES_MAX, HEADERS_MAX, INTERIM_MAX
from tests.support.calling import client_of, fetch, post, read
from tests.support.hostile import answering, hostile, once, whole

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

KEPT = {
    "length": (whole(b"hello"), b"hello"),
    "no length": (whole(b""), b""),
    "no reason phrase": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
    "empty line before": (b"\r\n" + whole(b"hi"), b"hi"),
    "latin-1 in a header": (whole(b"hi", more=b"x: \xe9\r\n"), b"hi"),
    "chunked": (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    "chunked, spelled otherwise": (
        OK + b"Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        b"0123456789",
    ),
    "chunked with extensions": (CHUNKED + b'2;a="b";c\r\nhe\r\n0;z\r\n\r\n', b"he"),
    "chunked with trailers": (CHUNKED + b"2\r\nhe\r\n0\r\nx-t: 1\r\nx-u: 2\r\n\r\n", b"he"),
    "chunked and empty": (CHUNKED + b"0\r\n\r\n", b""),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", b""),
    "one interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"hi"), b"hi"),
    "several interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n" + whole(b"hi"),
        b"hi",
    ),
    "an upgrade offered": (
        whole(b"hi", more=b"connection: upgrade\r\nupgrade: h2c\r\n"),
        b"hi",
    ),
    "1.0 that keeps alive": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
        b"hi",
    ),
}
"""After these the connection can carry the next call."""

NOT_KEPT = {
    "connection: close": (whole(b"hi", more=b"connection: close\r\n"), b"hi"),
    "1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
    "garbage after": (whole(b"hi") + b"GARBAGE", b"hi"),
    "a second answer": (whole(b"hi") + whole(b"not yours"), b"hi"),
    "half a second answer": (whole(b"hi") + b"HTTP/1.1 200 O", b"hi"),
    "204 with a length": (b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n", b""),
    "304 with a length": (b"HTTP/1.1 304 No\r\ncontent-length: 2\r\n\r\n", b""),
    "204 with a body": (b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nhi", b""),
}
"""After these it cannot, but the answer is good."""

BROKEN = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "garbage": b"garbage\r\n\r\n",
    "html": b"<html></html>\r\n\r\n",
    "tls": b"\x15\x03\x01\x00\x02\x02\x16",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a short status": b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
    "a negative status": b"HTTP/1.1 -20 OK\r\ncontent-length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n",
    "icy": b"ICY 200 OK\r\ncontent-length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "101": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "101 without upgrade": b"HTTP/1.1 101 Switching\r\n\r\n",
    "100 with a length": b"HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\n" + whole(b"hi"),
    "100 that closes": b"HTTP/1.1 100 Continue\r\nconnection: close\r\n\r\n" + whole(b"hi"),
    "100 and no more": b"HTTP/1.1 100 Continue\r\n\r\n",
    "too many interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * (INTERIM_MAX + 1) + whole(b""),
    "a negative length": OK + b"content-length: -2\r\n\r\nhi",
    "a signed length": OK + b"content-length: +2\r\n\r\nhi",
    "an empty length": OK + b"content-length:\r\n\r\nhi",
    "a list of lengths": OK + b"content-length: 2, 2\r\n\r\nhi",
    "a hexadecimal length": OK + b"content-length: 0x2\r\n\r\nhi",
    "a length beyond all": OK + b"content-length: 99999999999999999999\r\n\r\nhi",
    "a length twice": OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\nhi",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi",
    "length and chunked": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\nhi",
    "chunked and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\nhi",
    "gzip, chunked": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, gzip": OK + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "xchunked": OK + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "1.0 chunked": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": OK + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n",
    "NUL in a header": OK + b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
    "CR in a header": OK + b"x: a\rb\r\ncontent-length: 0\r\n\r\n",
    "a header without a colon": OK + b"xyz\r\ncontent-length: 0\r\n\r\n",
    "a space before the colon": OK + b"content-length : 0\r\n\r\n",
    "a nameless header": OK + b": 0\r\n\r\n",
    "a huge header": OK + b"x: " + b"a" * HEAD_BYTES_MAX + b"\r\ncontent-length: 0\r\n\r\n",
    "a huge reason phrase": b"HTTP/1.1 200 " + b"a" * 2 * HEAD_BYTES_MAX,
    "a head of many headers": OK + b"x: 1\r\n" * HEADERS_MAX + b"content-length: 0\r\n\r\n",
}
"""No answer comes of these."""

CUT = {
    "length": whole(b"hello")[:-1],
    "chunked before its end": CHUNKED + b"5\r\nhello\r\n",
    "chunked in its last line": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "chunked in a chunk": CHUNKED + b"6\r\nhello",
    "chunk size beyond all": CHUNKED + b"5\r\nhello\r\nffffffffffffffffff\r\n",
    "no chunk size": CHUNKED + b"5\r\nhello\r\n\r\n",
    "a negative chunk size": CHUNKED + b"5\r\nhello\r\n-1\r\nx\r\n",
    "a chunk longer than it says": CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    "a chunk line with a bare line feed": CHUNKED + b"5\r\nhello\r\n0\n\n",
    "trailers without end": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x: 1\r\n" * 20_000,
    "an extension without end": CHUNKED + b"5\r\nhello\r\n5;" + b"x" * 100_000,
}
"""These begin well."""


@pytest.mark.parametrize(("answer", "body"), KEPT.values(), ids=KEPT)
async def test_reads_to_the_end_and_reuses(answer, body):
    """The body is what was sent, and the next call goes over the same connection."""
    async with hostile(answering(answer)) as server, client_of(server) as client:
        for _ in range(3):
            assert body == (await fetch(client))[1]

        assert (1, 1) == (server.connections, client.idle)


@pytest.mark.parametrize(("answer", "body"), NOT_KEPT.values(), ids=NOT_KEPT)
async def test_reads_to_the_end_and_drops(answer, body):
    """Whatever else came on that connection is never the beginning of the next answer."""
    async with hostile(answering(answer)) as server, client_of(server) as client:
        for _ in range(3):
            assert body == (await fetch(client))[1]

        assert (3, 0) == (server.connections, client.idle)


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_refuses_what_is_no_answer(answer):
    """As UpstreamBroken, never as a hang; and the text gives nothing away."""
    async with hostile(once(answer)) as server, client_of(server) as client:
        with pytest.raises(UpstreamBroken) as caught:
            await fetch(client)

        assert str(server.port) not in str(caught.value)
        assert (0, 0) == (client.active, client.idle)


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_refuses_without_waiting_for_the_end(answer):
    """Bytes that can become no answer end the call though the server keeps the line open."""
    if answer in (b"", BROKEN["half a head"], BROKEN["100 and no more"], BROKEN["tls"]):
        return  # more may come

    async with hostile(answering(answer)) as server, client_of(server) as client:
        with pytest.raises(UpstreamBroken):
            await fetch(client)


async def chunk_or_break(answer):
    try:
        chunk = await answer.next_chunk()
    except UpstreamBroken:
        return b""
    assert chunk, "a clean end"
    return chunk


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
async def test_a_cut_answer_is_not_whole(answer):
    """What came is delivered, then the break is; there is no clean end."""
    async with hostile(once(answer)) as server, client_of(server) as client:
        arrived = await post(client)
        content = b""
        while chunk := await chunk_or_break(arrived):
            content += chunk
        for _ in range(2):
            with pytest.raises(UpstreamBroken):
                await arrived.next_chunk()
        arrived.close()

        assert content in (b"hell", b"hello")
        assert 200 == arrived.status
        assert 0 == client.idle


async def test_the_end_of_the_connection_ends_a_body_without_length():
    async with hostile(once(OK + b"\r\nhello")) as server, client_of(server) as client:
        assert (200, b"hello") == await fetch(client)
        assert 0 == client.idle


async def test_a_reset_does_not_end_a_body_without_length():
    async def script(peer):
        await peer.request()
        await peer.say(OK + b"\r\nhello")
        await go.wait()
        peer.reset()

    go = asyncio.Event()
    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client)
        assert b"hello" == await answer.next_chunk()
        go.set()
        with pytest.raises(UpstreamBroken):
            await read(answer)


async def test_a_head_has_no_body():
    """Whatever its head says."""
    async with (
        hostile(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")) as server,
        client_of(server) as client,
    ):
        answer = await client.exchange("HEAD", b"/v1/x", [], b"", Sent())

        assert b"" == await read(answer)
        assert "5" == answer.header("content-length")
        assert 0 == client.idle


ANSWERS_TO_CUT = [
    b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"hello", more=b"X-Y:  a b \r\n"),
    OK
    + b"x-y: a b\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\nt: 1\r\n\r\n",
]


@pytest.mark.parametrize("answer", ANSWERS_TO_CUT, ids=["length", "chunked"])
async def test_cuts_do_not_matter(answer):
    """The same bytes give the same answer, cut at every byte, or sent one by one."""

    async def script(peer):
        for cut in range(1, len(answer)):
            await peer.request()
            await peer.say(answer[:cut])
            await asyncio.sleep(0.001)
            await peer.say(answer[cut:])
        await peer.request()
        for i in range(len(answer)):
            await peer.say(answer[i : i + 1])
            await asyncio.sleep(0)

    async with hostile(script) as server, client_of(server) as client:
        for _ in range(len(answer)):
            arrived = await post(client)
            assert "a b" == arrived.header("x-y").strip()
            assert b"hello" == await read(arrived)
        assert 1 == server.connections


async def test_headers_keep_order_and_repetition():
    """Names in lower case; trailers are not among them."""
    answer = (
        OK + b"B: 1\r\nA: 2\r\nb: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nC: 4\r\na: 5\r\n\r\n"
    )
    async with hostile(answering(answer)) as server, client_of(server) as client:
        arrived = await post(client)
        await read(arrived)

        expected = [(b"b", b"1"), (b"a", b"2"), (b"b", b"3"), (b"transfer-encoding", b"chunked")]
        assert expected == arrived.headers
        assert ("1, 3", "2", None) == tuple(arrived.header(n) for n in ("B", "a", "c"))


async def test_bounds_leave_room():
    """A head just within them is taken."""
    many = b"".join(b"x-%d: %b\r\n" % (i, b"a" * 200) for i in range(HEADERS_MAX - 1))
    async with hostile(answering(whole(b"hi", more=many))) as server, client_of(server) as client:
        assert (200, b"hi") == await fetch(client)
