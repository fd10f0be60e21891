"""Streams that are silent for long, behind a proxy that takes silence for death."""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from gateway.config import parsed
from gateway.config.faults import ConfigError
from gateway.proxy.relay import KEEP_ALIVE
from tests.support.gateways import TOKEN, a_customer, an_upstream, chat_body, gateway
from tests.support.rawhttp import connected, parse, request, to_the_end
from tests.support.rawupstream import raw_upstream, taking

IDLE_SECONDS_MAX = 4.0
"""Of the proxy; far more than a crowded machine may keep a gateway from its turn."""
KEPT_ALIVE_SECONDS = 0.05
BEGUN = b'data: {"choices":[{"index":0,"delta":{"content":"Hm"}}]}\n\n'
HALF, OTHER_HALF = b'data: {"choices":[{"index":0,"del', b'ta":{"content":"."}}]}\n\n'
ENDING = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
WHOLE = BEGUN + HALF + OTHER_HALF + ENDING
LONG_SILENCE = int(1.25 * IDLE_SECONDS_MAX / KEPT_ALIVE_SECONDS)
"""In keep-alives: longer than the proxy waits."""
SOME = 3


@contextmanager
def idle_proxy(url, seconds_max):
    """Passes bytes on, and hangs up on who says nothing for so long."""
    target = urlsplit(url)

    def take(connection):
        with socket.create_connection((target.hostname, target.port)) as behind:
            asking = threading.Thread(target=copied, args=(connection, behind), daemon=True)
            asking.start()
            behind.settimeout(seconds_max)
            copied(behind, connection)
            for each in (behind, connection):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            asking.join()

    with taking(take) as at:
        yield at


def copied(source, target):
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)


def thinking(on):
    """A provider that is silent behind its head, then behind a frame, then in one."""

    def script(connection, _):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(WHOLE))
        for piece in (BEGUN, HALF, OTHER_HALF + ENDING):
            on.wait(20)
            on.clear()
            connection.sendall(piece)

    return script


@contextmanager
def behind_a_proxy(keep_alive_seconds, *, idle_seconds_max):
    on = threading.Event()
    server = {"drain_delay_seconds": 0, "stream_keep_alive_seconds": keep_alive_seconds}
    with (
        raw_upstream() as provider,
        gateway(upstreams=[an_upstream(provider.url)], server=server) as door,
        idle_proxy(door.url, idle_seconds_max) as url,
    ):
        provider.script = thinking(on)
        yield door, url, on


def ask(connection, customer):
    asking = {"stream_options": {"include_usage": True}}
    body = json.dumps(chat_body(customer, stream=True, **asking)).encode()
    connection.sendall(request("/v1/chat/completions", body, authorization=f"Bearer {TOKEN}"))


def read_until(connection, got, enough):
    while not enough(got):
        piece = connection.recv(65_536)
        assert piece, "the connection was cut"
        got += piece
    return got


def kept_alive(behind, times):
    """Whether so many keep-alives stand behind something."""

    def enough(got):
        found, _, rest = got.rpartition(behind)
        return bool(found) and rest.count(KEEP_ALIVE) >= times

    return enough


def test_r52_silence_is_death_without_keep_alives():
    """Off unless switched on: not a byte is added, and the proxy hangs up."""
    with (
        behind_a_proxy(None, idle_seconds_max=0.5) as (_, url, on),
        connected(url) as connection,
    ):
        ask(connection, a_customer())

        got = parse(to_the_end(connection))
        on.set()

    assert (200, b"", False) == (got.status, got.body, got.whole)


def test_r52_keep_alives_carry_a_stream_over_its_silences():
    """For longer than the proxy waits behind the head; and behind the first frame.

    None in a frame that is begun; and an answer that had a length has it no more.
    """
    customer = a_customer()
    with (
        behind_a_proxy(KEPT_ALIVE_SECONDS, idle_seconds_max=IDLE_SECONDS_MAX) as (door, url, on),
        connected(url) as connection,
    ):
        ask(connection, customer)
        got = read_until(connection, b"", kept_alive(b"\r\n\r\n", LONG_SILENCE))
        on.set()
        got = read_until(connection, got, kept_alive(BEGUN, SOME))
        on.set()
        got = read_until(connection, got, lambda got: HALF in got)
        threading.Event().wait(4 * KEPT_ALIVE_SECONDS)  # in which there would be another
        on.set()
        got += to_the_end(connection)
        [event] = door.settled(customer)

    answer = parse(got)
    assert (200, True) == (answer.status, answer.whole)
    assert WHOLE == answer.body.replace(KEEP_ALIVE, b"")
    assert HALF + OTHER_HALF in answer.body
    assert answer.header("content-length") is None
    assert "stop" == event.finish_reason


def test_r52_openai_python_sees_no_difference():
    server = {"drain_delay_seconds": 0, "stream_keep_alive_seconds": 0.01}

    def script(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for piece in (b"id: 1\n" + BEGUN, HALF, OTHER_HALF, ENDING):
            threading.Event().wait(0.1)  # some keep-alives long
            connection.sendall(piece)

    with (
        raw_upstream() as provider,
        gateway(upstreams=[an_upstream(provider.url)], server=server) as door,
    ):
        provider.script = script
        stream = door.openai().chat.completions.create(
            model="demo-small", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        said = [chunk.choices[0].delta.content for chunk in stream]

    assert ["Hm", ".", None] == said


@pytest.mark.parametrize("seconds", [0, -1, "soon"])
def test_a_keep_alive_needs_a_time(seconds):
    with pytest.raises(ConfigError, match="stream_keep_alive_seconds"):
        parsed({"server": {"stream_keep_alive_seconds": seconds}}, origin="test")
