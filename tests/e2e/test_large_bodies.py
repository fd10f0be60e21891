"""R72: twenty megabytes arrive, and everybody else's streams go on as ever."""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import orjson
import pytest

from gateway.openai import body as spans
from gateway.openai import call as calls
from gateway.proxy.elsewhere import LARGE_BYTES
from tests.support.gateways import TOKEN, a_customer, chat_body, gateway
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer, raw_upstream

WHOLE = (
    b'{"id":"c","model":"demo-small","choices":[{"index":0,"message":{}}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}'
)
CHAT = "/v1/chat/completions"


def image(megabytes):
    url = {"url": "data:image/png;base64," + "A" * (megabytes * 1_000_000)}
    return [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]


def messages(count):
    return [{"role": "user", "content": f'line {n} "quoted"\n' * 20} for n in range(count)]


LARGE = {
    "just large": {"messages": [{"role": "user", "content": "x" * LARGE_BYTES}]},
    "an image": {"messages": image(20)},
    "many messages": {"messages": messages(15_000)},
    "token ids": {"model": "demo-embedding", "input": [list(range(1_000))] * 1_000},
}


@pytest.fixture(scope="module")
def provider():
    with raw_upstream() as upstream:
        upstream.answers(answer(WHOLE))
        yield upstream


@pytest.fixture(scope="module")
def door(provider):
    with gateway(upstream_url=provider.url) as running:
        yield running


def send(door, content, path=CHAT):
    return exchange(door.url, request(path, content, authorization=f"Bearer {TOKEN}"))


@pytest.mark.parametrize("kind", LARGE)
def test_r72_no_large_body_is_taken_apart_where_calls_are_served(door, provider, kind, monkeypatch):
    """All that works through a body in one piece is given small ones only; the bytes stay."""
    taken = []

    def watched(function):
        def watch(content, *args):
            taken.append(len(content))
            return function(content, *args)

        return watch

    parser = SimpleNamespace(**vars(orjson) | {"loads": watched(orjson.loads)})
    monkeypatch.setattr(calls, "orjson", parser)
    for module, name in ((calls, "members"), (spans, "members"), (spans, "apply")):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    path = "/v1/embeddings" if kind == "token ids" else CHAT
    body = {"model": "demo-small", **LARGE[kind]}
    customer = a_customer()
    sent = json.dumps({"customer_identifier": customer, **body}).encode()

    got = send(door, sent, path)

    asked = provider.asked[-1]
    assert 200 == got.status, got.body
    assert len(sent) > LARGE_BYTES
    assert json.dumps(body).encode() == asked.body
    assert str(len(asked.body)).encode() == asked.header(b"content-length")
    assert max(taken, default=0) <= LARGE_BYTES
    assert 1 == len(door.settled(customer))


def test_r72_streams_go_on_while_a_large_body_waits_to_be_read(door, provider):
    """The process that reads large bodies is stopped: small calls do not notice."""
    large = json.dumps(chat_body(customer := a_customer(), "x" * 5_000_000)).encode()
    assert 200 == send(door, json.dumps(chat_body(None, "x" * 300_000)).encode()).status
    started = readers()  # of other gateways in this process, too
    assert started
    tell(started, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            try:
                waiting = pool.submit(send, door, large)
                small = [send(door, json.dumps(chat_body(a_customer())).encode()) for _ in range(5)]
                assert [200] * 5 == [got.status for got in small]
                assert not waiting.done()
            finally:
                tell(started, signal.SIGCONT)
            assert 200 == waiting.result(timeout=30).status
    finally:
        tell(started, signal.SIGCONT)
    assert 1 == len(door.settled(customer))


def tell(processes, what):
    for process in processes:
        os.kill(process, what)


def readers():
    """The processes for large bodies that this one has started."""
    from multiprocessing import active_children

    assert threading.current_thread() is threading.main_thread()
    return [child.pid for child in active_children() if child.name.startswith("SpawnProcess")]


def test_r72_a_faulty_large_body_is_refused_by_name(door):
    body = json.dumps(chat_body(None, "x" * 1_000_000, stream="yes")).encode()

    refused, broken = send(door, body), send(door, body[:-1])

    assert (400, "stream") == (refused.status, refused.json()["error"]["param"])
    assert (400, "invalid_json") == (broken.status, broken.json()["error"]["code"])


def test_a_large_body_may_ask_for_more(door, provider):
    """Usage of its stream, and another model's name: edits made as it is read."""
    long = "x" * 2_000_000
    body = chat_body(None, long, model="demo/demo-small", stream=True, customer_identifier="z")

    send(door, json.dumps(body).encode())

    asked = json.loads(provider.asked[-1].body)
    expected = chat_body(None, long, stream=True, stream_options={"include_usage": True})
    assert expected == asked
