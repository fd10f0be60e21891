"""Bodies: whole, within a size and a time, and JSON."""

import asyncio

import pytest

from gateway.errors import InvalidCall, RequestTooLarge, UnsupportedMedia
from gateway.proxy.bodies import read_body
from gateway.proxy.departure import ClientGone

JSON = {b"content-type": b"application/json"}


def read(*messages, headers=JSON, bytes_max=10, seconds_max=1.0):
    """Read a body that comes in these pieces; None: a silence without end."""
    left = list(messages)

    async def receive():
        message = left.pop(0)
        if message is None:
            await asyncio.sleep(60)
        if isinstance(message, bytes):
            return {"type": "http.request", "body": message, "more_body": bool(left)}
        return message

    return asyncio.run(read_body(receive, headers, bytes_max=bytes_max, seconds_max=seconds_max))


@pytest.mark.parametrize("pieces", [(b"0123456789",), (b"01234", b"56789"), (b"",), (b"", b"")])
def test_pieces_are_joined(pieces):
    assert b"".join(pieces) == read(*pieces)


@pytest.mark.parametrize("pieces", [(b"x" * 11,), (b"x" * 6, b"x" * 5), (b"x" * 6, b"x" * 9, None)])
def test_too_large_is_refused_as_soon_as_it_is_known(pieces):
    with pytest.raises(RequestTooLarge, match="10 bytes"):
        read(*pieces)


def test_what_is_declared_too_large_is_not_read():
    with pytest.raises(RequestTooLarge):
        read(headers=JSON | {b"content-length": b"11"})


@pytest.mark.parametrize("pieces", [(None,), (b"x", None)])
def test_a_slow_body_is_given_up_on(pieces):
    with pytest.raises(InvalidCall, match="within") as refused:
        read(*pieces, seconds_max=0.01)

    assert "request_timeout" == refused.value.code


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
        (b"content-encoding", b"gzip"),
        (b"content-encoding", b"zstd, gzip"),
    ],
)
def test_anything_else_is_refused_unread(name, value):
    with pytest.raises(UnsupportedMedia) as refused:
        read(headers=JSON | {name: value})

    assert name.decode() == refused.value.param
