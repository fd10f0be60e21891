"""Where a call goes, what it carries of ours, and how long it may take to begin."""

import asyncio

import httpx
import pytest

from gateway.errors import InvalidCall, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from gateway.proxy.client import Sent
from gateway.proxy.upstream import Timeouts, Upstream, UpstreamSettings
from tests.support.calling import read
from tests.support.hostile import hostile, whole

NOWHERE = "http://127.0.0.1:1"


def settings(url, **changes):
    values = {"name": "one", "provider": "openai", "base_url": f"{url}/v1", "api_key": "key"}
    return UpstreamSettings(**(values | changes))


def told(headers=(), /, path="chat/completions", model="", asked=b"", **changes):
    """The head that a provider gets of a call, line by line."""
    heads = []

    async def script(peer):
        head, _ = await peer.request()
        heads.append(head.decode().split("\r\n"))
        await peer.say(whole(b"{}"))

    async def call():
        async with hostile(script) as server:
            changes["base_url"] = server.url + changes.pop("base", "/v1")
            upstream = Upstream(settings(server.url, **changes))
            try:
                answer = await upstream.send(
                    path, list(headers), b"{}", Sent(), model=model, query=asked
                )
                await read(answer)
            finally:
                await upstream.aclose()
            return server.port

    port = asyncio.run(call())
    (line, host, *rest), *_ = heads
    assert f"host: 127.0.0.1:{port}" == host
    return line, [header for header in rest if header]


def test_a_call_goes_to_the_base_url():
    assert (
        "POST /v1/chat/completions HTTP/1.1",
        ["authorization: Bearer key", "accept: */*", "content-length: 2"],
    ) == told([(b"accept", b"*/*")])


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ({"api-version": "2024-10-21"}, "/v1/x?api-version=2024-10-21"),
        ({"a": "b c&d", "e": "é"}, "/v1/x?a=b%20c%26d&e=%C3%A9"),
    ],
)
def test_a_configured_query_is_appended(query, target):
    assert f"POST {target} HTTP/1.1" == told(path="x", query=query)[0]


@pytest.mark.parametrize(
    ("query", "asked", "target"),
    [
        ({}, b"beta=true&x=%20", "/v1/x?beta=true&x=%20"),
        ({"api-version": "1"}, b"beta=true", "/v1/x?api-version=1&beta=true"),
        ({"api-version": "1"}, b"api%2Dversion=2&beta=true", "/v1/x?api-version=1&beta=true"),
        ({"api-version": "1"}, b"api-version=2", "/v1/x?api-version=1"),
    ],
)
def test_the_callers_query_follows_where_the_configured_one_is_another(query, asked, target):
    assert f"POST {target} HTTP/1.1" == told(path="x", query=query, asked=asked)[0]


@pytest.mark.parametrize(
    ("model", "target"),
    [("gpt-4o", "/d/gpt-4o/x"), ("a/b?c", "/d/a%2Fb%3Fc/x"), ("v1.", "/d/v1./x")],
)
def test_a_deployment_is_in_the_path(model, target):
    """Whatever it is called, it is one part of it."""
    assert f"POST {target} HTTP/1.1" == told(path="x", model=model, base="/d/{model}")[0]


@pytest.mark.parametrize("model", [".", "..", ""])
def test_no_model_leads_elsewhere(model):
    with pytest.raises(InvalidCall):
        told(path="x", model=model, base="/d/{model}")


@pytest.mark.parametrize("auth", ["bearer", "x-api-key"])
def test_anthropics_own_routes_take_the_key_as_it_does(auth):
    """And demand a version, which a caller may leave out or choose."""
    own = told(path="messages", auth=auth, provider="anthropic")[1]
    assert ["x-api-key: key", "anthropic-version: 2023-06-01", "content-length: 2"] == own

    chosen = told([(b"anthropic-version", b"2")], path="messages", provider="anthropic")[1]
    assert ["x-api-key: key", "anthropic-version: 2", "content-length: 2"] == chosen

    compatible = told(auth=auth, provider="anthropic")[1][0]
    assert ("authorization: Bearer key" if auth == "bearer" else "x-api-key: key") == compatible


@pytest.mark.parametrize(
    ("auth", "key", "expected"),
    [
        ("bearer", "k", ["authorization: Bearer k"]),
        ("api-key", "k", ["api-key: k"]),
        ("bearer", None, []),
    ],
)
def test_the_key_is_in_its_header(auth, key, expected):
    assert [*expected, "content-length: 2"] == told(auth=auth, api_key=key)[1]


def test_the_operators_header_replaces_the_callers():
    headers = [(b"x-team", b"theirs"), (b"x-other", b"theirs")]

    assert ["x-team: ours", "x-other: theirs", "content-length: 2"] == told(
        headers, headers={"X-Team": "ours"}, api_key=None
    )[1]


def failing(script, error, **timeouts):
    """How a call to `script` fails: the message, and whether it may have been sent."""

    async def call():
        async with hostile(script) as server:
            upstream = Upstream(settings(server.url, timeouts=Timeouts(**timeouts)))
            sent = Sent()
            with pytest.raises(error) as caught:
                await upstream.send("x", [], b"{}", sent)
            assert 0 == upstream._client.active  # type: ignore[attr-defined]
            await server.until_ended(1)
            await upstream.aclose()
            assert str(server.port) not in str(caught.value)
            return sent.maybe

    return asyncio.run(call())


async def silent(peer):
    await peer.request()
    await peer.gone()


async def closing(peer):
    await peer.request()


def test_no_answer_in_time():
    """It may have been processed, and its connection is closed."""
    assert failing(silent, UpstreamTimeout, first_byte=0.1)


def test_no_answer_at_all():
    assert failing(closing, UpstreamBroken)


def test_nothing_is_sent_where_nobody_listens():
    async def call():
        upstream = Upstream(settings("http://127.0.0.1:1"))
        sent = Sent()
        with pytest.raises(UpstreamUnreachable):
            await upstream.send("x", [], b"{}", sent)
        assert not sent.maybe
        await upstream.aclose()

    asyncio.run(call())


@pytest.mark.parametrize(("status", "error"), [(200, None), (101, UpstreamBroken)])
def test_an_httpx_transport_will_do(status, error):
    """In place of our client, with the same promises."""

    def provider(request):
        assert "http://provider.example/v1/x?a=b" == str(request.url)
        assert "Bearer key" == request.headers["authorization"]
        return httpx.Response(status, content=b"hello")

    async def call():
        upstream = Upstream(
            settings("http://provider.example", query={"a": "b"}),
            transport=httpx.MockTransport(provider),
        )
        try:
            return await read(await upstream.send("x", [], b"{}", Sent()))
        finally:
            await upstream.aclose()

    if error:
        with pytest.raises(error):
            asyncio.run(call())
    else:
        assert b"hello" == asyncio.run(call())


def test_models_that_refuse_to_count_are_remembered_apart():
    upstream = Upstream(settings(NOWHERE))

    upstream.refused_to_count("old")

    assert (False, True) == (upstream.counts_streams("old"), upstream.counts_streams("new"))
    assert not Upstream(settings(NOWHERE, include_usage=False)).counts_streams("new")


def test_a_key_is_in_no_representation():
    """R63: settings are logged by careless people."""
    assert "canary" not in repr(settings(NOWHERE, api_key="canary"))
