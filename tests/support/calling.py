"""Calling a provider through a client, for the tests of clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.openai.content import Content
from gateway.proxy.client import Answer, Client, Sent
from gateway.proxy.client.lean import HttptoolsClient
from tests.support.hostile import Hostile


@asynccontextmanager
async def client_of(server: Hostile, **options: Any) -> AsyncIterator[HttptoolsClient]:
    """A client whose gauges read zero calls once the test is over."""
    patient = {"connect_seconds": 30.0}  # a busy machine is not a provider that is down
    client = HttptoolsClient(f"{server.url}/v1", **patient | options)
    try:
        yield client
        assert 0 == client.active
    finally:
        await client.aclose()
    assert 0 == client.idle


async def post(client: Client, body: bytes | Content = b"{}", *, sent: Sent | None = None) -> Any:
    return await client.exchange("POST", b"/v1/x", [(b"accept", b"*/*")], body, sent or Sent())


async def read(answer: Answer) -> bytes:
    """The rest of an answer, closed whatever happens."""
    content = b""
    try:
        while (chunk := await answer.next_chunk()) is not None:
            assert chunk
            content += chunk
    finally:
        answer.close()
    return content


async def fetch(client: Client, body: bytes = b"{}") -> tuple[int, bytes]:
    answer = await post(client, body)
    return answer.status, await read(answer)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0.002)
