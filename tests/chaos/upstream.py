"""The provider of a chaos run: it is never killed, and keeps its own truth.

Every call's user message is its name and a plan: ``call-000017|<tokens>|<pieces>|<gap ms>``.
The truth file has two lines of JSON a call: what it takes, when it has arrived; and how its
answer ended: whole, or cut because nobody read on.

``python -m tests.chaos.upstream TRUTH``; prints its port.
"""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

MODEL = "demo-small"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call asks of this upstream; its name stands in front."""

    name: str
    tokens: int
    pieces: int
    gap_ms: int

    def text(self) -> str:
        return f"{self.name}|{self.tokens}|{self.pieces}|{self.gap_ms}"

    @classmethod
    def of(cls, text: str) -> "Plan":
        name, tokens, pieces, gap_ms = text.split("|")
        return cls(name, int(tokens), int(pieces), int(gap_ms))


class Provider:
    def __init__(self, truth: TextIO) -> None:
        self._truth = truth

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                await self._answer(await reader.readexactly(length), writer)
        writer.close()

    async def _answer(self, content: bytes, writer: asyncio.StreamWriter) -> None:
        body = json.loads(content)
        plan = Plan.of(body["messages"][0]["content"])
        cap = body.get("max_completion_tokens") or body.get("max_tokens")
        usage = {
            "prompt_tokens": -(-len(content) // 4),
            "completion_tokens": min(plan.tokens, cap or plan.tokens),
        }
        usage["total_tokens"] = sum(usage.values())
        self._note(name=plan.name, cap=cap, **usage)
        write = self._stream if body.get("stream") else self._whole
        try:
            await write(body, plan, usage, writer)
        except ConnectionError:
            self._note(name=plan.name, ended="cut")
            raise
        self._note(name=plan.name, ended="whole")

    async def _whole(
        self, _: Any, plan: Plan, usage: dict[str, int], writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(plan.pieces * plan.gap_ms / 1_000)
        message = {"role": "assistant", "content": f"You said: {plan.name}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"object": "chat.completion", "choices": [choice], "usage": usage}
        payload = json.dumps(_envelope(plan) | answer).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(payload) + payload)
        await writer.drain()

    async def _stream(
        self, body: Any, plan: Plan, usage: dict[str, int], writer: asyncio.StreamWriter
    ) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for number in range(plan.pieces):
            text = f"You said: {plan.name}" if number == 0 else " and more"
            _send(writer, _frame(plan, [_delta({"content": text})]))
            await writer.drain()
            await asyncio.sleep(plan.gap_ms / 1_000)
            if writer.transport.is_closing():
                raise ConnectionResetError
        _send(writer, _frame(plan, [_delta({}, "stop")]))
        if (body.get("stream_options") or {}).get("include_usage"):
            _send(writer, _frame(plan, [], usage=usage))
        _send(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _note(self, **told: Any) -> None:
        self._truth.write(json.dumps(told) + "\n")
        self._truth.flush()


def _envelope(plan: Plan) -> dict[str, Any]:
    return {"id": f"chatcmpl-{plan.name}", "created": 1, "model": MODEL}


def _delta(content: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": content, "finish_reason": finish_reason}


def _frame(plan: Plan, choices: list[Any], **more: Any) -> bytes:
    whole = _envelope(plan) | {"object": "chat.completion.chunk", "choices": choices} | more
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))


async def main(truth: Path) -> None:
    with truth.open("a") as file:
        server = await asyncio.start_server(Provider(file).serve, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - told to the run
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
