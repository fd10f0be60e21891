"""What a chunk of a stream costs: counted, since a time says as much of the machine."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

import gateway
from gateway.clock import SystemClock
from gateway.openai import sse
from gateway.openai.endpoints import Endpoint
from gateway.proxy.relay import Chunks, StreamRelay
from tests.support.profiling import counted

CHUNKS = 1_000
CALLS_A_CHUNK_MAX = 16
"""Of Python functions, all told; 14.2 when this was written."""
PARSED_MAX = 4
"""The first frame, those with usage and with the finish reason, and one in hand."""


def frame(content, finish="null"):
    choice = f'{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":{finish}}}'
    return f'data: {{"id":"c","model":"m","choices":[{choice}]}}\n\n'.encode()


COUNTED = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1000}}\n\n'
STREAM = [frame("x")] * CHUNKS + [frame("", '"stop"'), COUNTED, b"data: [DONE]\n\n"]


class Arriving:
    """Each chunk comes by itself."""

    status = 200
    headers: tuple[()] = ()
    ready = True

    def __init__(self):
        self._pieces = iter(STREAM)

    def header(self, _):
        return None

    async def next_chunk(self):
        return next(self._pieces, None)

    def close(self):
        pass


@pytest.mark.parametrize("injected", [False, True])
def test_r56_a_chunk_costs_a_handful_of_calls_and_no_json(injected, monkeypatch):
    """None of pydantic's, and only frames that have something to say are parsed."""
    parsed = []

    def loads(payload):
        parsed.append(payload)
        return orjson.loads(payload)

    monkeypatch.setattr(sse, "loads", loads)
    call = SimpleNamespace(traits=Endpoint.CHAT.traits, wants_breakdown=False)
    tab: Any = SimpleNamespace(call=call, first_token=None, whole=False, reading=None)
    sent = []

    async def send(message):
        sent.append(message["body"])

    async def before_end():
        pass

    async def run():
        answer: Any = Arriving()
        relay = StreamRelay(tab, answer, SystemClock(), injected=injected, before_end=before_end)
        with counted() as calls:
            await relay.forward(Chunks(answer, None), send)
        return calls

    calls = asyncio.run(run())

    assert CHUNKS <= len(sent)
    assert 1_000 == tab.reading.usage.output_tokens
    assert len(parsed) <= PARSED_MAX
    assert calls.total() / CHUNKS < CALLS_A_CHUNK_MAX
    assert [] == [file for file in calls if "pydantic" in file or "json" in file]


def test_r56_no_tokenizer_is_there():
    """Nor an SDK of a provider's, which would bring one."""
    root = Path(gateway.__file__).parent
    foreign = re.compile(
        r"^\s*(import|from) (tiktoken|tokenizers|openai|anthropic)\b", re.MULTILINE
    )

    assert [] == [file for file in root.rglob("*.py") if foreign.search(file.read_text())]
