"""The same bytes sent to a provider directly and through the gateway: the same bytes back.

Raw sockets and curl, so that no client smooths anything over.
"""

import json
import subprocess
from shutil import which
from typing import Any

import pytest

from gateway.event import Kind
from tests.clients.replies import SOUND, STREAMS
from tests.support.gateways import TOKEN, a_customer
from tests.support.rawhttp import exchange, request

HOP = frozenset({b"connection", b"content-length", b"date", b"server", b"transfer-encoding"})
"""What each hop writes anew."""


def body_of(model, **fields):
    document = {"model": model, "messages": [{"role": "user", "content": "日 🎉"}], **fields}
    return json.dumps(document, ensure_ascii=False).encode()


def told(got):
    """The head without the hop's own and the gateway's own, in order."""
    pairs = [(name.lower(), value) for name, value in got.headers]
    return [p for p in pairs if p[0] not in HOP and not p[0].startswith(b"x-farebox-")]


def both(ways, route, body, **headers):
    head = {"authorization": f"Bearer {TOKEN}"} | headers
    direct = exchange(ways.provider.url, request(f"/direct/v1/{route}", body, **head))
    through = exchange(ways.door.url, request(f"/v1/{route}", body, **head))
    return direct, through


def assert_same(direct, through):
    assert direct.status == through.status, through
    assert direct.body == through.body
    assert told(direct) == told(through)
    assert direct.whole == through.whole


CHATS = ["chat", "tools", "profile", "thinks", *STREAMS]
ASKING = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("fields", [{}, {"stream": True}, ASKING], ids=["whole", "stream", "asks"])
@pytest.mark.parametrize("model", CHATS)
def test_r08_r51_a_chat_arrives_byte_for_byte(ways, model, fields):
    """Comments, CRLF, Azure's first frame, counts in every frame: not a byte is different."""
    direct, through = both(ways, "chat/completions", body_of(model, **fields))

    assert_same(direct, through)
    assert direct.whole


OTHERS: dict[str, dict[str, Any]] = {
    "completions": {"prompt": "Hi"},
    "completions stream": {"prompt": "Hi", "stream": True},
    "embeddings": {"input": ["a", "b"]},
    "embeddings base64": {"input": ["a", "b"], "encoding_format": "base64"},
    "responses": {"input": "Hi"},
    "responses stream": {"input": "Hi", "stream": True},
    "messages": {"max_tokens": 9, "messages": []},
    "messages stream": {"max_tokens": 9, "messages": [], "stream": True},
    "audio/speech": {"input": "Hi", "voice": "alloy"},
    "images/generations": {"prompt": "A cat"},
    "moderations": {"input": "Hi"},
    "rerank": {"query": "Hi", "documents": ["a", "b"]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_r69_every_surface_arrives_byte_for_byte(ways, name):
    body = json.dumps({"model": "m", **OTHERS[name]}).encode()

    direct, through = both(ways, name.split()[0], body)

    assert_same(direct, through)
    assert (200, True) == (direct.status, direct.whole)


STATUSES = [300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415]
STATUSES += [418, 421, 422, 424, 425, 429, 431, 451, 499, 500, 501, 502, 503, 504, 520, 529, 599]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", STATUSES)
def test_r17_r22_every_status_passes(ways, status, streams):
    """With its body and all of its headers: retry-after, rate limits, ids; and it is free."""
    customer = a_customer()
    body = body_of(f"status-{status}", stream=streams)

    direct, through = both(ways, "chat/completions", body, x_farebox_customer=customer)

    assert_same(direct, through)
    names = {name for name, _ in told(through)}
    assert {b"retry-after", b"retry-after-ms", b"x-request-id"} < names
    [event] = ways.door.settled(customer)
    assert (Kind.RELEASE, status, 0) == (event.kind, event.status_code, event.charge_pico)


def test_r17_a_page_of_html_passes(ways):
    """Not UTF-8, not JSON, as a proxy before the provider has written it."""
    assert_same(*both(ways, "chat/completions", body_of("html", stream=True)))


def test_r16_half_an_answer_is_half_an_answer(ways):
    """The stream is as far as it came, and visibly broken; of a whole one nothing is sent."""
    direct, through = both(ways, "chat/completions", body_of("cut", stream=True))
    _, short = both(ways, "chat/completions", body_of("cut"))

    assert not direct.whole
    assert not through.whole
    assert direct.body.startswith(through.body)
    assert (502, "upstream_error") == (short.status, short.json()["error"]["code"])


curl_needed = pytest.mark.skipif(which("curl") is None, reason="needs the curl command")


def curl(url, body, *options):
    """What curl writes to its output, the body alone."""
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", url, "--data-binary", "@-"]
    heads = ["authorization: Bearer " + TOKEN, "content-type: application/json"]
    for head in heads:
        command += ["-H", head]
    ended = subprocess.run([*command, *options], input=body, capture_output=True, check=False)
    assert b"" == ended.stderr
    return ended.stdout


CURLED = {
    "whole": ("chat/completions", body_of("chat"), []),
    "stream": ("chat/completions", body_of("comments", stream=True), ["-N"]),
    "compressed": ("chat/completions", body_of("chat"), ["--compressed"]),
    "asked to continue": ("chat/completions", body_of("chat", pad="x" * 2_000_000), []),
    "forced to ask": ("chat/completions", body_of("chat"), ["-H", "expect: 100-continue"]),
    "chunked": ("chat/completions", body_of("chat"), ["-H", "transfer-encoding: chunked"]),
    "HTTP/1.0": ("chat/completions", body_of("chat", stream=True), ["--http1.0"]),
    "binary": ("audio/speech", json.dumps({"model": "m", "input": "Hi"}).encode(), []),
}


@curl_needed
@pytest.mark.parametrize("name", CURLED)
def test_curl_sees_no_difference(ways, name):
    route, body, options = CURLED[name]

    direct = curl(f"{ways.direct}/v1/{route}", body, *options)
    through = curl(f"{ways.door.url}/v1/{route}", body, *options)

    assert direct == through
    assert direct == SOUND if name == "binary" else direct
