"""GET models: what is configured, and what upstreams say."""

import asyncio

import orjson
import pytest

from gateway.clock import SystemClock
from gateway.customers.apps import App
from gateway.errors import NotFound, UpstreamError, UpstreamTimeout
from gateway.proxy.models import Models
from gateway.proxy.routing import Upstreams
from gateway.proxy.upstream import Timeouts, Upstream, UpstreamSettings
from tests.support.rawupstream import answer, raw_upstream

APP = App(id="a", token_sha256="")
ASKED = b'{"data":[{"id":"gpt-4o"},{"id":"whisper"},{"no":"id"},"odd"]}'


def upstream(name, *models, url="http://127.0.0.1:1", **changes):
    return Upstream(
        UpstreamSettings(name=name, provider=name, base_url=f"{url}/v1", models=models, **changes)
    )


def listed(*upstreams, app=APP, times=1, aliases=None):
    """The ids in the list, the last of so many times."""

    async def run():
        models = Models(Upstreams(upstreams, aliases=aliases), SystemClock())
        content = b""
        for _ in range(times):
            content = await models.listed(app)
        return [model["id"] for model in orjson.loads(content)["data"]]

    return asyncio.run(run())


@pytest.fixture
def provider():
    with raw_upstream() as running:
        yield running


def test_named_models_are_listed_without_asking():
    assert ["b", "a"] == listed(upstream("up", "b", "a"))


def test_globs_are_asked_once_a_minute_and_narrowed(provider):
    """What is odd in the answer is skipped."""
    provider.answers(answer(ASKED))

    assert ["gpt-4o"] == listed(upstream("up", "gpt-*", url=provider.url, api_key="k"), times=3)

    [asked] = provider.asked
    assert (b"GET /v1/models HTTP/1.1", b"Bearer k") == (
        asked.line,
        asked.header(b"authorization"),
    )


def test_an_app_sees_what_it_may_use():
    app = App(id="a", token_sha256="", models=("a*",), upstreams=("one",))

    assert ["a"] == listed(upstream("one", "a", "b"), upstream("two", "a2"), app=app)


def test_one_upstream_that_fails_does_not_hide_the_other():
    assert ["a"] == listed(upstream("up", "*"), upstream("two", "a"))


@pytest.mark.parametrize(
    "said",
    [
        answer(b"{}", status="401 No"),
        answer(b"<html>"),
        answer(b"[]"),
        answer(b'{"data":7}'),
        answer(b'{"data":null}'),
        answer(b"x" * 9_000_000),
        answer(b"x", length=2),
        b"",
    ],
    ids=lambda said: repr(said[:20]),
)
def test_a_list_that_is_none_is_an_error(provider, said):
    provider.answers(said)

    with pytest.raises(UpstreamError):
        listed(upstream("up", "*", url=provider.url))


def test_a_list_that_never_ends_is_given_up_on():
    """The body too: the head came in time, and then nothing."""

    def script(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        connection.settimeout(10)
        connection.recv(1)

    async def run(url):
        settings = UpstreamSettings(
            name="up",
            provider="up",
            base_url=f"{url}/v1",
            timeouts=Timeouts(between_bytes=0.1),
        )
        slow = Upstream(settings)
        async with asyncio.timeout(5):
            with pytest.raises(UpstreamTimeout):
                await Models(Upstreams([slow]), SystemClock()).listed(APP)
        await slow.aclose()

    with raw_upstream() as provider:
        provider.script = script
        asyncio.run(run(provider.url))


def test_one_model_or_none():
    async def run():
        models = Models(Upstreams([upstream("up", "a")]), SystemClock())
        assert "a" == orjson.loads(await models.one(APP, "a"))["id"]
        with pytest.raises(NotFound):
            await models.one(APP, "b")

    asyncio.run(run())


def test_aliases_that_lead_somewhere_are_models_too():
    """Of two things of one name there is one; what the app may not use is not there."""
    aliases = {"fast": "b", "b": "a", "lost": "c", "hidden": "up/a"}
    app = App(id="a", token_sha256="", models=("a", "b", "fast", "lost"))

    assert ["b", "a", "fast"] == listed(upstream("up", "b", "a"), app=app, aliases=aliases)
