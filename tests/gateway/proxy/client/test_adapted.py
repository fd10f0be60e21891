"""Any httpx transport behind the same seam."""

import asyncio
import inspect

import httpx
import pytest

from gateway.errors import GatewayError, UpstreamBroken, UpstreamUnreachable
from gateway.openai.errors import WIRE
from gateway.proxy.client import Sent
from gateway.proxy.client.adapted import HttpxClient, translated
from tests.support.calling import post, read

pytestmark = pytest.mark.anyio


async def test_carries_a_call_both_ways():
    seen = []

    def provider(request):
        seen.append((request.method, str(request.url), request.headers.raw, request.content))
        return httpx.Response(201, headers=[("X-A", "1"), ("x-a", "2")], content=b"hello")

    client = HttpxClient("http://provider.example/v1", httpx.MockTransport(provider))
    sent = Sent()
    answer = await client.exchange("POST", b"/v1/x?a=%20b", [(b"k", b"v")], b"body", sent)

    assert (201, "1, 2") == (answer.status, answer.header("x-a"))
    assert [(b"x-a", b"1"), (b"x-a", b"2")] == answer.headers[:2]
    assert b"hello" == await read(answer)
    assert sent.maybe
    headers = [(b"host", b"provider.example"), (b"k", b"v"), (b"content-length", b"4")]
    assert [("POST", "http://provider.example/v1/x?a=%20b", headers, b"body")] == [
        (method, url, [(n.lower(), v) for n, v in raw], body) for method, url, raw, body in seen
    ]
    await client.aclose()


class Slow(httpx.AsyncByteStream):
    def __init__(self, *, broken=False):
        self.closed = asyncio.Event()
        self._broken = broken

    async def __aiter__(self):
        for i in range(3):
            await asyncio.sleep(0.01)
            yield b"%d" % i
        if self._broken:
            raise httpx.ReadError("cut")

    async def aclose(self):
        self.closed.set()


def client_with(stream):
    return HttpxClient(
        "http://provider.example",
        httpx.MockTransport(lambda _: httpx.Response(200, stream=stream)),
    )


async def test_reading_may_be_given_up_and_taken_up_again():
    answer = await post(client_with(Slow()))
    content, timeouts = b"", 0
    while True:
        try:
            async with asyncio.timeout(0.002):
                chunk = await answer.next_chunk()
        except TimeoutError:
            timeouts += 1
            continue
        if chunk is None:
            break
        content += chunk
    answer.close()

    assert b"012" == content
    assert timeouts


async def test_an_answer_closed_early_is_closed_below():
    stream = Slow()
    answer = await post(client_with(stream))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.002):
            await answer.next_chunk()
    answer.close()
    answer.close()

    async with asyncio.timeout(1):
        await stream.closed.wait()


async def test_a_cut_answer_is_broken():
    answer = await post(client_with(Slow(broken=True)))
    with pytest.raises(UpstreamBroken):
        await read(answer)


async def test_nothing_was_sent_where_nothing_was_reached():
    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            raise httpx.ConnectError("refused")

    sent = Sent()
    with pytest.raises(UpstreamUnreachable):
        await post(HttpxClient("http://provider.example", Refusing()), sent=sent)
    assert not sent.maybe


FAILURES = [
    error
    for _, error in inspect.getmembers(httpx, inspect.isclass)
    if issubclass(error, httpx.HTTPError) and error is not httpx.HTTPStatusError
]


@pytest.mark.parametrize("failure", FAILURES)
def test_every_failure_of_httpx_has_a_place(failure):
    """As an error that callers are told, whose text gives nothing away."""
    with pytest.raises(GatewayError) as caught, translated():
        raise failure("http://secret")

    assert "secret" not in str(caught.value)
    assert type(caught.value) in WIRE


@pytest.mark.parametrize("failure", [httpx.ConnectTimeout, httpx.ConnectError])
def test_what_never_connected_was_not_sent(failure):
    with pytest.raises(UpstreamUnreachable), translated():
        raise failure("")
