"""GET models: what is configured, and what upstreams say."""

import asyncio

import httpx
import orjson
import pytest
import respx

from gateway.clock import SystemClock
from gateway.customers.apps import App
from gateway.errors import NotFound, UpstreamError, UpstreamTimeout
from gateway.proxy.models import Models
from gateway.proxy.routing import Upstreams
from gateway.proxy.upstream import Timeouts, Upstream, UpstreamSettings
from tests.support.rawupstream import raw_upstream

APP = App(id="a", token_sha256="")
ASKED = {"data": [{"id": "gpt-4o"}, {"id": "whisper"}, {"no": "id"}, "odd"]}


def upstream(name, *models, **changes):
    return Upstream(
        UpstreamSettings(
            name=name, provider=name, base_url=f"http://{name}/v1", models=models, **changes
        )
    )


def listed(*upstreams, app=APP, times=1, **answers):
    """The ids, and how often upstreams were asked."""

    async def run():
        with respx.mock(using="httpcore", assert_all_called=False) as router:
            for host, answer in answers.items():
                route = router.get(f"http://{host}/v1/models")
                route.mock(side_effect=answer) if isinstance(answer, Exception) else route.respond(
                    **answer
                )
            models = Models(Upstreams(upstreams), SystemClock())
            content = b""
            for _ in range(times):
                content = await models.listed(app)
            for each in upstreams:
                await each.aclose()
            return [model["id"] for model in orjson.loads(content)["data"]], len(router.calls)

    return asyncio.run(run())


def test_named_models_are_listed_without_asking():
    assert (["b", "a"], 0) == listed(upstream("up", "b", "a"))


def test_globs_are_asked_once_a_minute_and_narrowed():
    """What is odd in the answer is skipped."""
    assert (["gpt-4o"], 1) == listed(upstream("up", "gpt-*"), times=3, up={"json": ASKED})


def test_an_app_sees_what_it_may_use():
    app = App(id="a", token_sha256="", models=("a*",), upstreams=("one",))

    assert (["a"], 0) == listed(upstream("one", "a", "b"), upstream("two", "a2"), app=app)


def test_one_upstream_that_fails_does_not_hide_the_other():
    assert ["a"] == listed(upstream("up", "*"), upstream("two", "a"), up={"status_code": 500})[0]


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 401},
        {"text": "<html>"},
        {"json": []},
        {"json": {"data": 7}},
        {"json": {"data": None}},
        {"content": b"x" * 9_000_000},
        httpx.ConnectError("down"),
    ],
    ids=str,
)
def test_nobody_to_ask_is_an_error(answer):
    with pytest.raises(UpstreamError):
        listed(upstream("up", "*"), up=answer)


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
