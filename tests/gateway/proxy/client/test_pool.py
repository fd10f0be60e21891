"""Connections: used again when they are good, never when they may not be, never lost."""

import asyncio
import random

import pytest

from gateway.errors import GatewayBusy, UpstreamBroken, UpstreamUnreachable
from gateway.proxy.client import Sent
from gateway.proxy.client import connection as connection_module
from gateway.proxy.client.connection import Connection
from gateway.proxy.client.lean import HttptoolsClient
from tests.support.calling import client_of, fetch, post, read, turns
from tests.support.hostile import answering, hostile, whole

pytestmark = pytest.mark.anyio


async def echo(peer):
    """Answer each request with its own body, in one of the ways to send it."""
    while True:
        _, body = await peer.request()
        await peer.say(whole(body))


async def test_the_last_one_idle_is_the_first_one_used():
    """So that those a burst has opened can expire."""
    async with hostile(echo) as server, client_of(server) as client:
        answers = [await post(client, b"%d" % i) for i in range(5)]
        last = answers[2]._line
        for answer in [*answers[:2], *answers[3:], answers[2]]:
            await read(answer)
        assert 5 == client.idle

        answer = await post(client)

        assert last is answer._line
        await read(answer)


async def test_an_idle_connection_expires():
    """By itself, without a call that looks."""
    async with hostile(echo) as server, client_of(server, keepalive_seconds=0.1) as client:
        await fetch(client)
        assert 1 == client.idle
        await server.until_ended(1)
        assert 0 == client.idle

        await fetch(client)
        assert 2 == server.connections


async def test_a_used_connection_does_not_expire():
    """The time counts from its last use; those unused beside it go."""
    async with hostile(echo) as server, client_of(server, keepalive_seconds=0.3) as client:
        for answer in [await post(client) for _ in range(2)]:
            await read(answer)
        for _ in range(8):
            await asyncio.sleep(0.1)
            await fetch(client)

        assert (2, 1) == (server.connections, client.idle)


async def test_a_connection_closed_while_idle_is_not_used():
    async def script(peer):
        await peer.request()
        await peer.say(whole(b"once"))

    async with hostile(script) as server, client_of(server) as client:
        for number in (1, 2, 3):
            assert (200, b"once") == await fetch(client)
            await server.until_ended(number)
            await turns()
            assert 0 == client.idle


async def test_an_end_that_the_loop_has_not_seen_yet(monkeypatch):
    """The kernel knows it: asked before the write, since after it nothing may be repeated."""
    monkeypatch.setattr(connection_module, "TRUSTED_SECONDS", -1.0)

    async def script(peer):
        await peer.request()
        await peer.say(whole(b"once"))

    async with hostile(script) as server, client_of(server) as client:
        await fetch(client)
        (idle,) = client._idle
        idle._transport.pause_reading()  # the loop looks away
        await server.until_ended(1)
        await turns()
        assert idle.alive

        assert (200, b"once") == await fetch(client)


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b"x"])
async def test_bytes_before_a_request_end_the_connection(surplus):
    """They cannot be the answer to what is asked later."""

    async def script(peer):
        await peer.request()
        await peer.say(whole(b"good"))
        await asyncio.sleep(0.02)
        await peer.say(surplus)
        await peer.gone()

    async with hostile(script) as server, client_of(server) as client:
        for number in (1, 2):
            assert (200, b"good") == await fetch(client)
            await server.until_ended(number)
            assert 0 == client.idle


async def test_a_server_that_speaks_first_is_no_provider():
    async def script(peer):
        await peer.say(b"220 mail.example.com ESMTP\r\n")
        await peer.gone()

    async with hostile(script) as server, client_of(server) as client:
        with pytest.raises((UpstreamBroken, UpstreamUnreachable)):
            await fetch(client)


async def test_nothing_written_is_ever_repeated():
    """The server closes while we send: nobody knows whether it took the call."""
    bodies = []

    async def script(peer):
        _, body = await peer.request()
        bodies.append(body)
        await peer.say(whole(body))
        _, body = await peer.request()
        bodies.append(body)

    async with hostile(script) as server, client_of(server) as client:
        await fetch(client, b"first")
        sent = Sent()
        with pytest.raises(UpstreamBroken):
            await post(client, b"second", sent=sent)

        assert sent.maybe
        assert [b"first", b"second"] == bodies
        assert 1 == server.connections


async def test_no_more_connections_than_allowed():
    async def script(peer):
        _, body = await peer.request()
        await go.wait()
        await peer.say(whole(body))
        await echo(peer)

    go = asyncio.Event()
    async with hostile(script) as server, client_of(server, connections_max=2) as client:
        running = [asyncio.create_task(fetch(client, b"%d" % i)) for i in range(2)]
        await turns()
        sent = Sent()
        with pytest.raises(GatewayBusy):
            await post(client, sent=sent)
        assert not sent.maybe
        go.set()
        assert [(200, b"0"), (200, b"1")] == await asyncio.gather(*running)

        assert (200, b"2") == await fetch(client, b"2")
        assert 2 == server.connections


async def test_reading_may_be_given_up_and_taken_up_again():
    """A timeout around `next_chunk` loses nothing."""

    async def script(peer):
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n")
        for i in range(10):
            await asyncio.sleep(0.011)
            await peer.say(b"%05d" % i)
        await echo(peer)

    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client)
        content, timeouts = b"", 0
        while len(content) < 50:
            try:
                async with asyncio.timeout(0.003):
                    content += await answer.next_chunk()
            except TimeoutError:
                timeouts += 1
        assert await answer.next_chunk() is None
        answer.close()

        assert b"".join(b"%05d" % i for i in range(10)) == content
        assert timeouts
        assert (200, b"next") == await fetch(client, b"next")
        assert 1 == server.connections


async def test_an_answer_closed_early_ends_its_connection_at_once():
    """And a second close changes nothing."""

    async def script(peer):
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nsome")
        await peer.gone()

    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client)
        assert b"some" == await answer.next_chunk()
        transport = answer._line._transport
        answer.close()

        assert transport.is_closing()
        assert (0, 0) == (client.active, client.idle)
        answer.close()
        with pytest.raises(UpstreamBroken):
            await answer.next_chunk()
        assert 0 == client.active
        await server.until_ended(1)


async def test_an_unread_but_whole_answer_is_its_callers_still():
    """The connection may go on; what came stays where it belongs."""
    async with hostile(echo) as server, client_of(server) as client:
        first = await post(client, b"first")
        first.close()
        assert (200, b"second") == await fetch(client, b"second")

        assert b"first" == await read(first)
        assert 1 == server.connections


async def test_cancelled_while_waiting_for_the_head():
    """The provider sees the end at once: it stops working for nobody."""

    async def script(peer):
        await peer.request()
        arrived.set()
        await peer.gone()

    arrived = asyncio.Event()
    async with hostile(script) as server, client_of(server) as client:
        sent = Sent()
        call = asyncio.create_task(post(client, sent=sent))
        await arrived.wait()
        assert sent.maybe
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        assert (0, 0) == (client.active, client.idle)
        await server.until_ended(1)


@pytest.mark.parametrize("count", [1_000, pytest.param(5_000, marks=pytest.mark.slow)])
async def test_r15_cancelled_calls_leak_nothing(count):
    """Each is cancelled somewhere between its start and its end."""
    dice = random.Random(7)

    async def script(peer):
        while True:
            _, body = await peer.request()
            await asyncio.sleep(0)
            await peer.say(whole(body))

    async def call(number):
        body = b"caller-%d" % number
        assert (200, body) == await fetch(client, body)

    async with hostile(script) as server, client_of(server) as client:
        for start in range(0, count, 250):
            calls = [asyncio.create_task(call(start + i)) for i in range(250)]
            for _ in range(8):
                await asyncio.sleep(0)
                for task in dice.sample(calls, 30):
                    task.cancel()
            await asyncio.sleep(dice.choice((0, 0.001, 0.003)))
            for task in calls:
                task.cancel()
            ended = await asyncio.gather(*calls, return_exceptions=True)
            wrong = [e for e in ended if e and not isinstance(e, asyncio.CancelledError)]
            assert [] == wrong
            assert 0 == client.active
        await turns()

        assert client.idle == len(client._open)
        for _ in range(300):  # the server hears of the last ones a little later
            if client.idle == server.connections - len(server.ended):
                break
            await asyncio.sleep(0.01)
        assert client.idle == server.connections - len(server.ended)
        assert (200, b"alive") == await fetch(client, b"alive")


async def test_a_closed_client_ends_everything():
    """Calls in flight break off; no new one begins."""

    async def script(peer):
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nsome")
        await peer.gone()

    async with hostile(script) as server, client_of(server) as client:
        answer = await post(client)
        waiting = asyncio.create_task(read(answer))
        await turns()
        await client.aclose()
        with pytest.raises(UpstreamBroken):
            await waiting
        with pytest.raises(GatewayBusy):
            await post(client)


@pytest.mark.parametrize(
    ("in_flight", "calls"),
    [
        (1, 300),
        (64, 1_000),
        *(pytest.param(*full, marks=pytest.mark.slow) for full in ((64, 3_000), (1_000, 4_000))),
    ],
)
async def test_no_caller_gets_anothers_answer(in_flight, calls):
    """Whatever calls beside it are cancelled, closed on, refused or cut in the middle."""
    dice = random.Random(in_flight)
    outcomes = dict.fromkeys(("whole", "broken", "cancelled"), 0)

    async def script(peer):
        while True:
            _, body = await peer.request()
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() / 200)
            await DEEDS[dice.choices(range(len(DEEDS)), WEIGHTS)[0]](peer, body)

    async def worker(numbers):
        for number in numbers:
            task = asyncio.create_task(checked_call(client, number, dice))
            if dice.random() < 0.1:
                asyncio.get_running_loop().call_later(dice.random() / 100, task.cancel)
            try:
                await task
                outcomes["whole"] += 1
            except asyncio.CancelledError:
                outcomes["cancelled"] += 1
            except UpstreamBroken:
                outcomes["broken"] += 1

    async with hostile(script) as server, client_of(server) as client:
        numbers = iter(range(calls))
        await asyncio.gather(*(worker(numbers) for _ in range(in_flight)))
        await turns()

        assert calls == sum(outcomes.values())
        assert outcomes["whole"] > calls / 2
        assert outcomes["broken"]
        assert client.idle == len(client._open)


async def checked_call(client, number, dice):
    body = b"<caller-%d>" % number * dice.choice((1, 1, 1, 5_000))
    answer = await post(client, body)
    assert 200 == answer.status
    content = b""
    try:
        while (chunk := await answer.next_chunk()) is not None:
            content += chunk
            assert body.startswith(content)
            if dice.random() < 0.05:
                await asyncio.sleep(0)
        assert body == content
    finally:
        answer.close()


async def by_length(peer, body):
    await peer.say(whole(body))


async def by_chunks(peer, body):
    await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for start in range(0, len(body), 20_000):
        piece = body[start : start + 20_000]
        await peer.say(b"%x\r\n%b\r\n" % (len(piece), piece))
        await asyncio.sleep(0)
    await peer.say(b"0\r\n\r\n")


async def by_close(peer, body):
    await peer.say(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    peer.close()
    raise ConnectionResetError


async def then_close(peer, body):
    await peer.say(whole(body))
    peer.close()
    raise ConnectionResetError


async def with_surplus(peer, body):
    await peer.say(whole(body) + whole(b"not yours"))


async def late_surplus(peer, body):
    await peer.say(whole(body))
    await asyncio.sleep(0.002)
    await peer.say(b"HTTP/1.1 ")
    peer.close()
    raise ConnectionResetError


async def cut(peer, body):
    await peer.say(whole(body)[:-3])
    peer.close()
    raise ConnectionResetError


async def silent_close(peer, body):
    peer.close()
    raise ConnectionResetError


async def reset(peer, body):
    peer.reset()
    raise ConnectionResetError


DEEDS = (
    by_length,
    by_chunks,
    by_close,
    then_close,
    with_surplus,
    late_surplus,
    cut,
    silent_close,
    reset,
)
WEIGHTS = (60, 20, 3, 5, 5, 3, 2, 2, 2)


async def test_a_client_needs_an_http_url():
    with pytest.raises(ValueError, match="base_url"):
        HttptoolsClient("ftp://example.com")


async def test_an_idle_connection_is_cheap_to_find(monkeypatch):
    """A thousand idle connections cost a call what one does: none is looked at but the last."""
    async with hostile(answering(whole(b"hi"))) as server, client_of(server) as client:
        for answer in await asyncio.gather(*(post(client) for _ in range(1_000))):
            await read(answer)
        assert 1_000 == client.idle
        looked = []
        stale = Connection.stale

        def noted(connection, now):
            looked.append(connection)
            return stale(connection, now)

        monkeypatch.setattr(Connection, "stale", noted)
        for _ in range(10):
            await fetch(client)

        assert 10 == len(looked)
        assert 1 == len(set(looked))
