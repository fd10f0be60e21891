"""Patience with a provider: between two chunks, and with a whole answer."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.errors import UpstreamBroken, UpstreamTimeout
from gateway.openai.endpoints import Endpoint
from gateway.proxy import relay
from gateway.proxy.relay import Chunks, WholeRelay
from tests.support.calling import client_of, post
from tests.support.hostile import hostile

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n"


def says(*pieces, pause):
    """A script: the pieces with pauses between them, then silence."""

    async def script(peer):
        await peer.request()
        await peer.say(HEAD)
        for i, piece in enumerate(pieces):
            await asyncio.sleep(pause if i else 0)
            await peer.say(piece)
        await peer.gone()

    return script


def reading(script, story, between_bytes):
    """Run `story` on the chunks of the answer that `script` gives."""

    async def run():
        async with hostile(script) as server, client_of(server) as client:
            answer = await post(client)
            chunks = Chunks(answer, between_bytes)
            try:
                return await story(answer, chunks)
            finally:
                chunks.close()

    return asyncio.run(run())


async def everything(_, chunks):
    content = b""
    while (chunk := await chunks.next()) is not None:
        content += chunk
    return content


def test_a_slow_answer_is_read_to_its_end():
    """Its whole may take longer than any pause in it."""
    pieces = [b"0123456789"] * 3

    assert b"".join(pieces) == reading(says(*pieces, pause=0.15), everything, 0.25)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_provider_that_falls_silent(count):
    """Wherever it does; what came before is delivered."""

    async def story(answer, chunks):
        for _ in range(count):
            assert b"0123456789" == await chunks.next()
        began = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamTimeout):
            await chunks.next()
        return asyncio.get_running_loop().time() - began

    waited = reading(says(*[b"0123456789"] * count, pause=0.1), story, 0.2)

    assert 0.15 < waited < 1.0


def test_a_slow_reader_is_not_a_silent_provider():
    """Only the time in which we wait for bytes counts."""

    async def story(answer, chunks):
        assert b"0123456789" == await chunks.next()
        await asyncio.sleep(0.5)
        return await everything(answer, chunks)

    script = says(*[b"0123456789"] * 3, pause=0.05)

    assert b"0123456789" * 2 == reading(script, story, 0.2)


def test_a_broken_answer_is_not_a_silent_one():
    async def script(peer):
        await peer.request()
        await peer.say(HEAD + b"0123456789")

    with pytest.raises(UpstreamBroken):
        reading(script, everything, 0.2)


def test_without_a_limit_nobody_looks():
    async def story(answer, chunks):
        content = await everything(answer, chunks)
        assert chunks._timer is None
        return content

    assert b"0123456789" * 3 == reading(says(*[b"0123456789"] * 3, pause=0.01), story, None)


def test_a_reading_that_was_given_up_goes_on():
    """A limit around `next` loses nothing, and the silence is measured anew."""

    async def story(answer, chunks):
        content, given_up = b"", 0
        while len(content) < 30:
            try:
                async with asyncio.timeout(0.03):
                    content += await chunks.next() or b""
            except TimeoutError:
                given_up += 1
        assert given_up
        return content

    assert b"0123456789" * 3 == reading(says(*[b"0123456789"] * 3, pause=0.1), story, 0.5)


def whole_of(answer) -> tuple[WholeRelay, Any]:
    async def before_end() -> None:
        tab.ends += 1

    tab: Any = SimpleNamespace(
        call=SimpleNamespace(traits=Endpoint.CHAT.traits),
        reading=None,
        seen_bytes=0,
        whole=False,
        ends=0,
    )
    return WholeRelay(tab, answer, SystemClock(), before_end=before_end), tab


def test_a_whole_answer_is_gathered():
    async def story(answer, chunks):
        whole, tab = whole_of(answer)
        assert await whole.gather(chunks)
        assert 30 == tab.seen_bytes
        return whole.content

    assert b"0123456789" * 3 == reading(says(*[b"0123456789"] * 3, pause=0.01), story, 1.0)


def test_a_late_answer_is_not_waited_for(monkeypatch):
    """Not even while the provider says nothing; and no byte of it is lost."""
    monkeypatch.setattr(relay, "WAIT_SECONDS_MAX", 0.1)
    sent = []

    async def send(message):
        sent.append(message["body"])

    async def story(answer, chunks):
        whole, tab = whole_of(answer)
        began = asyncio.get_running_loop().time()
        assert not await whole.gather(chunks)
        assert asyncio.get_running_loop().time() - began < 0.3
        await whole.forward(chunks, send)
        assert 30 == tab.seen_bytes
        return sent

    assert [b"0123456789"] * 3 == reading(says(*[b"0123456789"] * 3, pause=0.4), story, 1.0)


def test_a_late_answer_ends_after_its_end_is_known(monkeypatch):
    """Who has seen its last byte is charged for all of it, whatever dies then."""
    monkeypatch.setattr(relay, "WAIT_BYTES_MAX", 5)
    ends_seen = []

    async def story(answer, chunks):
        whole, tab = whole_of(answer)

        async def send(_):
            ends_seen.append(tab.ends)

        assert not await whole.gather(chunks)
        await whole.forward(chunks, send)

    reading(says(*[b"0123456789"] * 3, pause=0.1), story, 1.0)
    assert [0, 0, 1] == ends_seen


def test_what_came_of_a_late_answer_is_passed_on(monkeypatch):
    """It breaks off: the client has every byte that came, and no end."""
    monkeypatch.setattr(relay, "WAIT_BYTES_MAX", 5)
    sent = []

    async def script(peer):
        await peer.request()
        await peer.say(HEAD + b"0123456789")

    async def send(message):
        sent.append(message["body"])

    async def story(answer, chunks):
        whole, tab = whole_of(answer)
        assert not await whole.gather(chunks)
        with pytest.raises(UpstreamBroken):
            await whole.forward(chunks, send)
        return tab.ends

    assert 0 == reading(script, story, 1.0)
    assert b"0123456789" == b"".join(sent)


def test_a_big_answer_is_not_kept_back(monkeypatch):
    monkeypatch.setattr(relay, "WAIT_BYTES_MAX", 5)

    async def story(answer, chunks):
        whole, _ = whole_of(answer)
        return await whole.gather(chunks)

    assert not reading(says(b"0123456789", pause=0), story, 1.0)


def test_what_was_seen_of_a_broken_answer_counts():
    async def script(peer):
        await peer.request()
        await peer.say(HEAD + b"0123456789")

    async def story(answer, chunks):
        whole, tab = whole_of(answer)
        with pytest.raises(UpstreamBroken):
            await whole.gather(chunks)
        return tab.seen_bytes

    assert 10 == reading(script, story, 1.0)
