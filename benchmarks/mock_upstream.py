"""A provider that costs next to nothing: canned bytes from a bare asyncio protocol.

Run as a process of its own: ``python -m benchmarks.mock_upstream``. It prints its port, and
ends with SIGTERM or when its parent closes its standard input.
"""

import asyncio
import os
import signal
import sys
from functools import lru_cache
from time import perf_counter_ns
from typing import Final, cast

import httptools
import orjson
import uvloop

from benchmarks.wire import CALLER_BYTES, MODEL, OWN_TIME, Plan, caller, read_plan

BODY_BYTES_MAX: Final = 64 * 1024 * 1024

_NAME: Final = caller(0).decode()
_USAGE: Final = {
    "prompt_tokens": 180,
    "completion_tokens": 60,
    "total_tokens": 240,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_BODY: Final = orjson.dumps(
    {
        "id": f"chatcmpl-{_NAME}",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "The first offer. " * 12},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
        "service_tier": "default",
        "system_fingerprint": f"{OWN_TIME.decode()}{0:012d}",
    }
)
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_benchmark\r\n"
    b"content-length: %d\r\n\r\n" % len(_BODY)
)
_JSON_1, _rest = (_HEAD + _BODY).split(_NAME.encode())
_JSON_2, _JSON_3 = _rest.split(OWN_TIME + b"0" * 12)
# The header makes nginx pass a stream on at once, as it has to be configured for real providers.
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"x-request-id: req_benchmark\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n"
)


def frame(name: bytes, choices: list[object], **more: object) -> bytes:
    """One SSE frame as one HTTP chunk."""
    payload = {
        "id": f"chatcmpl-{name.decode()}",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": MODEL,
        "system_fingerprint": "fp_benchmark",
        "choices": choices,
        **more,
    }
    data = b"data: " + orjson.dumps(payload) + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=4_096)
def content_frame(name: bytes) -> bytes:
    return frame(name, [{"index": 0, "delta": {"content": "token "}, "finish_reason": None}])


def last_frames(name: bytes, *, usage: bool) -> bytes:
    end = frame(name, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    counted = frame(name, [], usage=_USAGE) if usage else b""
    return end + counted + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class MockUpstream(asyncio.Protocol):
    """One connection: answers one request after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._timer: asyncio.Handle | None = None
        self._paused = False
        self._waiting: tuple[bytes, Plan, int, bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._paused = True
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > BODY_BYTES_MAX:
            self._transport.abort()

    def on_message_complete(self) -> None:
        body = bytes(self._body)
        self._body.clear()
        name, plan = read_plan(body)
        if plan.chunks:
            usage = b'"include_usage":true' in body.replace(b" ", b"")
            self._later(plan.delay_ms, self._start_stream, name, plan, usage)
        elif plan.delay_ms:
            self._later(plan.delay_ms, self._answer, name, perf_counter_ns())
        else:
            self._answer(name, None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._stream(*waiting)

    def _later(self, delay_ms: int, act: object, *args: object) -> None:
        self._timer = self._loop.call_later(delay_ms / 1_000, act, *args)  # type: ignore[arg-type]

    def _answer(self, name: bytes, since_ns: int | None) -> None:
        """Answer, and say how long it took: timers are coarser than what is to be measured."""
        own_us = 0 if since_ns is None else (perf_counter_ns() - since_ns) // 1_000
        parts = (_JSON_1, name, _JSON_2, OWN_TIME, own_us, _JSON_3)
        self._transport.write(b"%b%b%b%b%012d%b" % parts)

    def _start_stream(self, name: bytes, plan: Plan, usage: bool) -> None:
        self._transport.write(_STREAM_HEAD)
        self._stream(name, plan, 0, usage)

    def _stream(self, name: bytes, plan: Plan, sent: int, usage: bool) -> None:
        """Write one frame and come back for more: after the gap, or (bulk) in the next turn."""
        if self._paused:
            self._waiting = (name, plan, sent, usage)
            return
        self._transport.write(content_frame(name))
        sent += 1
        if sent < plan.chunks:
            self._later(plan.gap_ms, self._stream, name, plan, sent, usage)
        else:
            self._transport.write(last_frames(name, usage=usage))


async def serve() -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(sys.stdin.fileno(), over.set)  # the parent is gone, however it went
    server = await loop.create_server(MockUpstream, "127.0.0.1", 0, backlog=4_096)
    os.write(1, b"%d\n" % server.sockets[0].getsockname()[1])
    await over.wait()
    server.close()


if __name__ == "__main__":
    assert len(_NAME) == CALLER_BYTES
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
