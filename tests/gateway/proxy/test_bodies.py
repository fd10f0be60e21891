"""Bodies: whole, within a size and a time, and JSON; compressed ones within what they become."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidCall, RequestTooLarge, UnsupportedMedia
from gateway.proxy.bodies import BodyLimits, read_body
from gateway.proxy.departure import ClientGone
from gateway.proxy.inflating import STEP_BYTES, zstd

JSON = {b"content-type": b"application/json"}
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


def read(*messages, headers=JSON, bytes_max=10, decoded_max=10**6, seconds_max=1.0):
    """Read a body that comes in these pieces; None: a silence without end."""
    left = list(messages)

    async def receive():
        message = left.pop(0)
        if message is None:
            await asyncio.sleep(60)
        if isinstance(message, bytes):
            return {"type": "http.request", "body": message, "more_body": bool(left)}
        return message

    limits = BodyLimits(request_bytes=bytes_max, decoded_bytes=decoded_max, seconds=seconds_max)
    return asyncio.run(read_body(receive, headers, limits))


def compressed(encoding, *pieces, **limits):
    headers = JSON | {b"content-encoding": encoding.encode()}
    return read(*pieces, headers=headers, **{"bytes_max": 10**6} | limits)


@pytest.mark.parametrize("pieces", [(b"0123456789",), (b"01234", b"56789"), (b"",), (b"", b"")])
def test_pieces_are_joined(pieces):
    assert b"".join(pieces) == read(*pieces)


@pytest.mark.parametrize("pieces", [(b"x" * 11,), (b"x" * 6, b"x" * 5), (b"x" * 6, b"x" * 9, None)])
@pytest.mark.parametrize("encoding", [b"identity", b"gzip"])
def test_too_large_is_refused_as_soon_as_it_is_known(pieces, encoding):
    if encoding == b"gzip":
        whole = gzip.compress(bytes(range(256)))
        pieces = (whole[:6], whole[6:15], None)
    with pytest.raises(RequestTooLarge, match="10 bytes"):
        read(*pieces, headers=JSON | {b"content-encoding": encoding})


@pytest.mark.parametrize("encoding", [b"", b"zstd"])
def test_what_is_declared_too_large_is_not_read(encoding):
    with pytest.raises(RequestTooLarge):
        read(headers=JSON | {b"content-length": b"11", b"content-encoding": encoding})


@pytest.mark.parametrize("pieces", [(None,), (b"x", None)])
def test_a_slow_body_is_given_up_on(pieces):
    with pytest.raises(InvalidCall, match="within") as refused:
        read(*pieces, seconds_max=0.01)

    assert "request_timeout" == refused.value.code


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_slow_compressed_body_is_given_up_on(encoding):
    with pytest.raises(InvalidCall, match="within"):
        compressed(encoding, ENCODERS[encoding](b"{}")[:5], None, seconds_max=0.01)


@pytest.mark.parametrize("pieces", [(), (b"x",)])
def test_who_leaves_while_sending_is_gone(pieces):
    with pytest.raises(ClientGone):
        read(*pieces, {"type": "http.disconnect"})


@pytest.mark.parametrize(
    "media",
    [b"application/json", b"application/JSON; charset=utf-8", b"application/vnd.api+json", None],
)
def test_json_by_any_name(media):
    headers = {} if media is None else {b"content-type": media}

    assert b"{}" == read(b"{}", headers=headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-type", b"text/plain"),
        (b"content-type", b"multipart/form-data; boundary=x"),
        (b"content-type", b""),
        (b"content-encoding", b"br"),
        (b"content-encoding", b"compress"),
        (b"content-encoding", b"zstd, gzip"),
    ],
)
def test_anything_else_is_refused_unread(name, value):
    with pytest.raises(UnsupportedMedia) as refused:
        read(headers=JSON | {name: value})

    assert name.decode() == refused.value.param


def test_an_unknown_encoding_is_told_which_are_known():
    with pytest.raises(UnsupportedMedia, match="gzip, deflate or zstd"):
        compressed("br", b"x")


@pytest.mark.parametrize("encoding", ENCODERS)
@settings(max_examples=50)
@given(data=st.data())
def test_r54_compressed_bodies_however_they_are_cut(encoding, data):
    """The bytes that were compressed, in one member or in several."""
    parts = data.draw(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
    if encoding == "deflate":
        parts = parts[:1]
    sent = b"".join(map(ENCODERS[encoding], parts))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

    assert b"".join(parts) == compressed(encoding.title(), *pieces)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_r54_a_large_body_as_codex_sends_it(encoding):
    """66 KB and 2 MB of JSON, compressed, in one piece."""
    for size in (66_000, 2_000_000):
        body = json.dumps({"input": "".join(map(str, range(size // 6)))}).encode()

        assert body == compressed(encoding, ENCODERS[encoding](body), decoded_max=4_000_000)


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("size", [STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 3 * STEP_BYTES])
def test_steps_end_where_they_may(encoding, size):
    assert bytes(size) == compressed(encoding, ENCODERS[encoding](bytes(size)))


@pytest.mark.parametrize("encoding", ENCODERS)
def test_r54_a_bomb_is_refused_before_memory_grows(encoding):
    """It would become 64 MB; no more than the cap and one step is ever made of it."""
    bomb = ENCODERS[encoding](bytes(2**26))
    cap = 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLarge, match="1,000,000 bytes when decoded"):
            compressed(encoding, bomb, decoded_max=cap)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < cap + 4 * STEP_BYTES + 2 * len(bomb)


def test_r54_a_zstd_window_beyond_the_rfcs_is_refused():
    """It would have us keep 128 MB, however little comes of it."""
    told = zstd.CompressionParameter
    wide: dict[int, int] = {told.window_log: 27, told.checksum_flag: 1}
    packer = zstd.ZstdCompressor(options=wide)
    sent = packer.compress(b"x" * 1000) + packer.flush()

    with pytest.raises(InvalidCall) as refused:
        compressed("zstd", sent)

    assert "invalid_encoding" == refused.value.code


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole + b"no more of it",
        lambda whole: b"{}" + whole,
        lambda _: b"",
        lambda _: b'{"model":"m"}',
    ],
    ids=["short", "half", "longer", "before", "empty", "plain"],
)
def test_r54_what_is_not_of_its_encoding_is_refused(encoding, damage):
    sent = damage(ENCODERS[encoding](b'{"model":"m"}' * 20))

    with pytest.raises(InvalidCall) as refused:
        compressed(encoding, sent)

    assert ("invalid_encoding", "content-encoding") == (refused.value.code, refused.value.param)


def test_others_go_on_while_a_body_is_inflated():
    """The loop turns between any two steps, however much stands in one piece."""
    sent = [gzip.compress(bytes(20 * STEP_BYTES))]
    turns = 0

    async def receive():
        return {"type": "http.request", "body": sent.pop(), "more_body": False}

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run():
        counting = asyncio.create_task(count())
        limits = BodyLimits(request_bytes=10**6, decoded_bytes=10**7, seconds=1.0)
        await read_body(receive, JSON | {b"content-encoding": b"gzip"}, limits)
        counting.cancel()

    asyncio.run(run())

    assert turns >= 20
