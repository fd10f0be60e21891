"""The server that other tests lean on."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.support.servers import serve


def test_it_runs_the_lifespan_and_stops() -> None:
    """Startup before the first answer, shutdown before the block is left."""
    steps = []

    @asynccontextmanager
    async def lifespan(_):
        steps.append("up")
        yield
        steps.append("down")

    async def hello(_):
        return PlainTextResponse("hello")

    with serve(Starlette(routes=[Route("/", hello)], lifespan=lifespan)) as url:
        assert "hello" == httpx.get(url).text

    assert ["up", "down"] == steps
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_failing_startup_is_raised() -> None:
    """A test must not wait for a server that will never come."""

    @asynccontextmanager
    async def lifespan(_):
        raise ValueError("no store")
        yield

    with (
        pytest.raises(RuntimeError, match="did not start"),
        serve(Starlette(lifespan=lifespan)),
    ):
        pass


def test_an_open_stream_does_not_keep_it() -> None:
    """What is still open when the test ends is cut after the grace."""

    async def forever():
        while True:
            yield b"."
            await asyncio.sleep(0.01)

    async def endless(_):
        return StreamingResponse(forever())

    started = time.monotonic()
    with (
        httpx.Client() as client,
        serve(Starlette(routes=[Route("/", endless)])) as url,
    ):
        request = client.build_request("GET", url)
        assert 200 == client.send(request, stream=True).status_code

    assert time.monotonic() - started < 5
