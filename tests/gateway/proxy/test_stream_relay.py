"""Streams through the relay, however the network cuts them and however they are packed."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from gateway.clock import SystemClock
from gateway.errors import UpstreamBroken
from gateway.openai.endpoints import Endpoint
from gateway.openai.sse import FRAME_BYTES_MAX, HELD_BYTES_MAX
from gateway.proxy import decoding
from gateway.proxy.decoding import decoder
from gateway.proxy.inflating import zstd
from gateway.proxy.relay import KEEP_ALIVE, Chunks, StreamRelay

USAGE = (
    b'data: {"id":"c","choices":[],"usage":'
    b'{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}'
)
CONTENT = [
    b": OPENROUTER PROCESSING",
    b'data: {"choices":[],"prompt_filter_results":[]}',
    'data: {"id":"c","choices":[{"index":0,"delta":{"content":"日本🎉"}}]}'.encode(),
    b": ping",
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
]
DONE = b"data: [DONE]"
ENDS = [b"\n\n", b"\r\n\r\n", b"\r\r"]
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, twice": lambda body: gzip.compress(body[:100]) + gzip.compress(body[100:]),
    "zstd": zstd.compress,
    "zstd, twice": lambda body: zstd.compress(body[:100]) + zstd.compress(body[100:]),
    "br": brotli.compress,
}


class Arrived:
    """An answer that has come, in pieces; or comes, with silence before each of them."""

    status = 200

    def __init__(self, pieces, encoding, *, haltingly=False):
        self._pieces = list(pieces)
        self._haltingly = haltingly
        self._silent = haltingly
        self.headers: Any = [(b"content-type", b"text/event-stream")]
        if encoding != "identity":
            self.headers.append((b"content-encoding", encoding.encode()))
        self._encoding = encoding

    def header(self, name):
        return self._encoding if name == "content-encoding" else None

    @property
    def ready(self):
        return not self._silent

    async def next_chunk(self):
        if self._silent:
            self._silent = False
            await asyncio.sleep(0.002)
        self._silent = self._haltingly
        return self._pieces.pop(0) if self._pieces else None

    def close(self):
        pass


def relayed(body, cuts, *, encoding="identity", injected, keep_alive_seconds=None):
    """What the client is sent, what the call's tab knows then, and the relay's head."""
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in pairwise(bounds) if a < b]
    answer = Arrived(pieces, encoding, haltingly=keep_alive_seconds is not None)
    call = SimpleNamespace(traits=Endpoint.CHAT.traits, wants_breakdown=False)
    tab: Any = SimpleNamespace(call=call, first_token=None, whole=False, reading=None)
    sent: list[bytes] = []

    async def send(message):
        sent.append(message["body"])

    async def before_end():
        assert not any(b"".join(sent).endswith(DONE + end) for end in ENDS)  # nobody has seen it

    async def run():
        relay = StreamRelay(
            tab,
            answer,
            SystemClock(),
            injected=injected,
            before_end=before_end,
            keep_alive_seconds=keep_alive_seconds,
        )
        await relay.forward(Chunks(answer, None), send)
        return relay.head([])

    return asyncio.run(run()), b"".join(sent), tab


@settings(max_examples=150)
@given(
    end=st.sampled_from(ENDS),
    injected=st.booleans(),
    packed=st.sampled_from(sorted(PACKED)),
    cuts=st.lists(st.integers(0, 800), max_size=12),
)
def test_r50_r53_no_cut_and_no_packing_changes_what_arrives(end, injected, packed, cuts):
    """Inside characters, line ends, frames or gzip's own blocks: the same bytes, and the usage.

    Who asked has the upstream's very bytes. For who did not, exactly the one frame is missing,
    and what was packed against our wish is unpacked.
    """
    frames = [*CONTENT, USAGE, DONE]
    plain = b"".join(frame + end for frame in frames)
    body = PACKED[packed](plain)
    encoding = packed.partition(",")[0]

    head, out, tab = relayed(body, cuts, encoding=encoding, injected=injected)

    names = {name for name, _ in head["headers"]}
    if injected:
        assert plain.replace(USAGE + end, b"") == out
        assert b"content-encoding" not in names
    else:
        assert body == out
        assert (encoding != "identity") == (b"content-encoding" in names)
    assert tab.whole
    assert 14 == tab.reading.usage.total


@settings(max_examples=50)
@given(
    end=st.sampled_from(ENDS),
    injected=st.booleans(),
    packed=st.sampled_from(sorted(PACKED)),
    cuts=st.lists(st.integers(0, 800), max_size=12),
)
def test_r51_r52_keep_alives_stand_between_frames(end, injected, packed, cuts):
    """Silence before each piece: comments are added, whole, and where no frame is begun.

    An encoded stream gets none. What a client makes of all of it is what it makes without.
    """
    plain = b"".join(frame + end for frame in [*CONTENT, USAGE, DONE])
    encoding = packed.partition(",")[0]
    body = PACKED[packed](plain)
    quiet = relayed(body, cuts, encoding=encoding, injected=injected)[1]

    head, out, tab = relayed(
        body, cuts, encoding=encoding, injected=injected, keep_alive_seconds=0.0001
    )

    assert quiet == out.replace(KEEP_ALIVE, b"")
    assert (injected or packed == "identity") == (KEEP_ALIVE in out)
    for before in out.split(KEEP_ALIVE)[:-1]:
        assert before == b"" or before.endswith(end)
    if injected or packed == "identity":
        names = {name for name, _ in head["headers"]}
        assert names.isdisjoint({b"content-length", b"content-encoding"})
        assert [e.data for e in events(quiet)] == [e.data for e in events(out)]
    assert 14 == tab.reading.usage.total


def events(stream):
    """As openai-python reads it: an empty event would be one more."""
    return list(SSEDecoder().iter_bytes(iter([stream])))


def test_r52_no_keep_alive_within_a_frame_that_is_given_out_in_parts():
    """Neither one that waited too long for its end, nor one that is longer than any."""
    for size, injected in ((HELD_BYTES_MAX + 1, True), (FRAME_BYTES_MAX + 1, False)):
        frame = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * size + b'"}}]}\n\n'
        plain = frame + b"\n\n".join([CONTENT[-1], DONE, b""])

        _, out, _ = relayed(plain, [len(frame) - 9], injected=injected, keep_alive_seconds=0.0001)

        assert plain == out.replace(KEEP_ALIVE, b"")
        assert frame in out


@given(st.integers(1, 500), st.booleans())
def test_r16_a_stream_cut_short_anywhere_is_broken(length, injected):
    """However many of its bytes came, as long as no choice has said why it stopped."""
    plain = b"".join(frame + b"\n\n" for frame in CONTENT[:-1])

    with pytest.raises(UpstreamBroken):
        relayed(plain[:length], [length // 2], injected=injected)


def test_a_last_frame_without_its_blank_line_arrives():
    """Some providers end so; clients make of it what they make of it directly."""
    plain = b"\n\n".join([*CONTENT, DONE])

    for injected in (True, False):
        _, out, tab = relayed(plain, [50], injected=injected)

        assert plain == out
        assert tab.whole


def test_gzip_with_a_tail_of_garbage_is_read_as_far_as_it_goes():
    read = decoder("gzip")

    assert b"abc" == read(gzip.compress(b"abc") + b"garbage")
    assert b"" == read(b"more of it")


@pytest.mark.parametrize("packed", ["gzip, members", "zstd, members", "zstd", "br"])
def test_r53_a_bomb_is_read_no_further_than_a_bound(packed, monkeypatch):
    """Four times as much in one chunk; in several members, too."""
    most = 1_000_000
    monkeypatch.setattr(decoding, "READ_BYTES_MAX", most)
    encoding, _, members = packed.partition(", ")
    pack, many = PACKED[encoding], bytes(most)
    read = decoding.decoder(encoding)

    for _ in range(2):
        assert len(read(pack(many) * 4 if members else pack(many * 4))) <= most + 65_536


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br", "compress"])
def test_what_is_not_of_its_encoding_reads_as_nothing(encoding):
    read = decoder(encoding)

    assert b"" == b"".join([read(b""), read(b"{}"), read(b'{"usage":{}}' * 9)])
