"""Readers that do not read: what they are owed waits at the provider, not in our memory."""

import json
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateways import TOKEN, a_customer, chat_body, gateway, wait_until
from tests.support.rawhttp import connected, request, to_the_end
from tests.support.rawupstream import raw_upstream

FRAME = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 8_000 + b'"}}]}\n\n'
ENDING = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
READERS = 3


def kernel_bytes_max():
    """What sockets may take up on the way to one reader; the rest would be with us."""
    limits = [Path(f"/proc/sys/net/ipv4/tcp_{side}mem") for side in "rw"]
    if not all(limit.exists() for limit in limits):
        return 12_000_000
    return sum(int(limit.read_text().split()[-1]) for limit in limits) + 2_000_000


FRAMES = 2 * kernel_bytes_max() // len(FRAME)


def chunked(piece):
    return b"%x\r\n%b\r\n" % (len(piece), piece)


@pytest.mark.parametrize("asks", [True, False], ids=["untouched", "held at frame ends"])
def test_r58_a_slow_reader_slows_its_provider(asks):
    """Twice what the kernel can hold, for each of three who do not read; then all of it arrives."""
    written, lock = {}, threading.Lock()

    def script(sending, asked):
        number = json.loads(asked.body)["seed"]
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 262_144)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        sending.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        for count in range(FRAMES):
            sending.sendall(chunked(FRAME))
            with lock:
                written[number] = (count + 1) * len(FRAME)
        sending.sendall(chunked(ENDING) + b"0\r\n\r\n")

    options = {"stream_options": {"include_usage": True}} if asks else {}
    with (
        raw_upstream() as provider,
        gateway(upstream_url=provider.url) as door,
        ExitStack() as all_,
    ):
        provider.script = script
        connections = []
        for number in range(READERS):
            connection = all_.enter_context(connected(door.url))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            body = json.dumps(chat_body(a_customer(), stream=True, seed=number, **options))
            connection.sendall(
                request("/v1/chat/completions", body.encode(), authorization=f"Bearer {TOKEN}")
            )
            connections.append(connection)
        wait_until(lambda: len(written) == READERS and stopped(written, lock), "all are stuck")

        assert max(written.values()) < kernel_bytes_max()

        got = to_the_end(connections[0])
        assert FRAMES == got.count(b"data: ") - 2
        assert got.endswith(b"0\r\n\r\n")


def stopped(written, lock):
    """Whether nothing was written for a while."""
    with lock:
        before = dict(written)
    threading.Event().wait(0.3)
    with lock:
        return before == written
