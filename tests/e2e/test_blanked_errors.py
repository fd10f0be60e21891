"""Providers that repeat the key they refuse: it is ours, and the caller does not see it."""

import gzip
import json

import pytest

from tests.support.gateways import TOKEN, UPSTREAM_KEY, chat_body, gateway
from tests.support.rawhttp import exchange, request

KEY = UPSTREAM_KEY.encode()
SAID = b'{"error":{"message":"Incorrect API key provided: ' + KEY + b'"}}'
BLANKED = SAID.replace(KEY, b"*" * len(KEY))
LONG = SAID + b" " * 1_100_000
"""Beyond what is waited for: it is relayed while it comes."""


@pytest.fixture(scope="module")
def door(provider):
    app = {"id": "my-app", "token": TOKEN, "passthrough": True}
    with gateway(upstream_url=provider.url, apps=[app]) as running:
        yield running


def refusing(text, cut, encoding):
    """Answers 401 in two writes; the caller of it hears when both are out."""
    head = b"HTTP/1.1 401 No\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    if encoding:
        head += b"content-encoding: gzip\r\n"
        text = gzip.compress(text)
    pieces = [text[:cut], text[cut:]]

    def script(connection, _):
        connection.sendall(head + b"\r\n")
        for piece in pieces:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")

    return script


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("text", [SAID, LONG], ids=["short", "long"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
def test_r63_a_key_is_blanked_wherever_it_is_cut(door, provider, path, text, encoding):
    provider.script = refusing(text, text.index(KEY) + 7, encoding)
    body = json.dumps(chat_body(stream=True)).encode()

    got = exchange(
        door.url, request(path, body, authorization=f"Bearer {TOKEN}", accept_encoding="gzip")
    )

    assert (401, True) == (got.status, got.whole)
    assert BLANKED + text[len(SAID) :] == got.body
    assert got.header("content-encoding") is None
