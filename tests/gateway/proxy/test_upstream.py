"""The way to a provider: what is sent, and what its failures become."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import respx

from gateway.errors import (
    GatewayBusy,
    GatewayError,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.proxy.upstream import Outgoing, Timeouts, Upstream, UpstreamSettings, translated
from tests.support.rawupstream import raw_upstream

NOTHING_SENT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
}


def transport_errors(cls: type[Exception] = httpx.TransportError) -> Iterator[type[Exception]]:
    yield cls
    for below in cls.__subclasses__():
        yield from transport_errors(below)


def wanted(cls: type[Exception]) -> type[GatewayError]:
    if cls is httpx.PoolTimeout:
        return GatewayBusy
    if cls in NOTHING_SENT:
        return UpstreamUnreachable
    return UpstreamTimeout if issubclass(cls, httpx.TimeoutException) else UpstreamBroken


@pytest.mark.parametrize("cls", sorted(set(transport_errors()), key=str))
def test_every_transport_error_has_a_meaning(cls):
    """Only where nothing was sent may the caller be told to try again."""
    with pytest.raises(GatewayError) as raised, translated():
        raise cls("canary of the inside")

    assert wanted(cls) is type(raised.value)
    assert "canary" not in str(raised.value)


def test_what_httpx_raises_beside_is_ours_too():
    with pytest.raises(UpstreamBroken), translated():
        raise httpx.DecodingError("x")


def settings(**changes):
    base = {"name": "up", "provider": "openai", "base_url": "http://up.example/v1", "api_key": "k"}
    return UpstreamSettings(**base | changes)


def sent(upstream, headers=()):
    """The request that an upstream makes of a call."""

    async def run():
        with respx.mock(using="httpcore") as router:
            route = router.post(host="up.example").respond(200)
            answer = await upstream.send("chat/completions", list(headers), Outgoing(b"{}"), 2)
            await answer.aclose()
            await upstream.aclose()
            return route.calls.last.request

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "header", "value"),
    [
        ({}, "authorization", "Bearer k"),
        ({"auth": "api-key"}, "api-key", "k"),
        ({"auth": "x-api-key"}, "x-api-key", "k"),
        ({"api_key": None}, "authorization", None),
        ({"headers": {"X-Own": "1"}}, "x-own", "1"),
    ],
)
def test_the_key_goes_where_the_provider_looks(changes, header, value):
    assert value == sent(Upstream(settings(**changes))).headers.get(header)


def test_the_query_is_added_to_each_url():
    upstream = Upstream(settings(query={"api-version": "2026-06-01"}))

    assert "http://up.example/v1/chat/completions?api-version=2026-06-01" == str(sent(upstream).url)


def test_a_callers_header_gives_way_to_the_operators():
    upstream = Upstream(settings(headers={"X-Own": "1"}))

    request = sent(upstream, [(b"x-own", b"2"), (b"x-other", b"3")])

    assert (["1"], "3") == (request.headers.get_list("x-own"), request.headers["x-other"])


def outcome(url, **timeouts):
    """What a call raises, and whether any of it may have been sent."""

    async def run():
        upstream = Upstream(settings(base_url=url, timeouts=Timeouts(**timeouts)))
        body = Outgoing(b"{}")
        try:
            await upstream.send("chat/completions", [], body, 2)
        except GatewayError as exc:
            return type(exc), body.sent
        finally:
            await upstream.aclose()
        raise AssertionError

    return asyncio.run(run())


def test_nothing_is_sent_to_nobody():
    assert (UpstreamUnreachable, False) == outcome("http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (b"", UpstreamBroken),
        (b"HTTP/1.1 200 OK\r\ncontent-len", UpstreamBroken),
        (b"SSH-2.0-OpenSSH_9\r\n", UpstreamBroken),
        (b"HTTP/1.1 799 Odd\r\ncontent-length: 0\r\n\r\n", UpstreamBroken),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000, UpstreamBroken),
        (None, UpstreamTimeout),
    ],
)
def test_a_provider_that_does_not_speak_http(says, error):
    """It was sent: what becomes of it may be billed."""
    with raw_upstream() as provider:
        if says is None:
            provider.script = lambda connection, _: wait_for_end(connection)
        else:
            provider.answers(says)

        assert (error, True) == outcome(provider.url, first_byte=0.5)


def wait_for_end(connection):
    connection.settimeout(10)
    connection.recv(1)


def test_models_that_refuse_to_count_are_remembered_apart():
    upstream = Upstream(settings())

    upstream.refused_to_count("old")

    assert (False, True) == (upstream.counts_streams("old"), upstream.counts_streams("new"))
    assert not Upstream(settings(include_usage=False)).counts_streams("new")


def test_a_key_is_in_no_representation():
    """R63: settings are logged by careless people."""
    assert "canary" not in repr(settings(api_key="canary"))
