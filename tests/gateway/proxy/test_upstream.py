"""The way to a provider: what is sent, and what its failures become."""

import asyncio

import pytest

from gateway.errors import GatewayError, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from gateway.proxy.client import Sent
from gateway.proxy.upstream import Timeouts, Upstream, UpstreamSettings
from tests.support.rawupstream import answer, raw_upstream


def settings(**changes):
    base = {"name": "up", "provider": "openai", "base_url": "http://up.example/v1", "api_key": "k"}
    return UpstreamSettings(**base | changes)


def asked(sent=(), **changes):
    """The request that an upstream makes of a call, as it arrives."""
    with raw_upstream() as provider:
        provider.answers(answer(b"{}"))

        async def run():
            upstream = Upstream(settings(base_url=f"{provider.url}/v1", **changes))
            answered = await upstream.send("chat/completions", list(sent), b"{}", Sent())
            answered.close()
            await upstream.aclose()

        asyncio.run(run())
        return provider.asked[0]


@pytest.mark.parametrize(
    ("changes", "header", "value"),
    [
        ({}, b"authorization", b"Bearer k"),
        ({"auth": "api-key"}, b"api-key", b"k"),
        ({"auth": "x-api-key"}, b"x-api-key", b"k"),
        ({"api_key": None}, b"authorization", None),
        ({"headers": {"X-Own": "1"}}, b"x-own", b"1"),
    ],
)
def test_the_key_goes_where_the_provider_looks(changes, header, value):
    assert value == asked(**changes).header(header)


def test_the_query_is_added_to_each_url():
    line = asked(query={"api-version": "2026-06-01", "a b": "ü&"}).line

    assert b"POST /v1/chat/completions?api-version=2026-06-01&a%20b=%C3%BC%26 HTTP/1.1" == line


def test_a_callers_header_gives_way_to_the_operators():
    request = asked([(b"x-own", b"2"), (b"x-other", b"3")], headers={"X-Own": "1"})

    assert [b"1"] == [value for name, value in request.headers if name == b"x-own"]
    assert b"3" == request.header(b"x-other")


def outcome(url, **timeouts):
    """What a call raises, and whether any of it may have been sent."""

    async def run():
        upstream = Upstream(settings(base_url=url, timeouts=Timeouts(**timeouts)))
        sent = Sent()
        try:
            await upstream.send("chat/completions", [], b"{}", sent)
        except GatewayError as exc:
            return type(exc), sent.maybe
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
