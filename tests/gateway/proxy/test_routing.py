"""Which upstream gets a call."""

import asyncio

import httpx
import pytest

from gateway.customers.apps import App
from gateway.errors import NotFound
from gateway.proxy.routing import Upstreams
from gateway.proxy.upstream import Upstream, UpstreamSettings

ACCOUNTS = {
    "azure": ("gpt-4o",),
    "openai": ("gpt-*", "o[0-9]*"),
    "groq": ("llama-*", "openai/gpt-oss-*"),
    "openrouter": ("*",),
}


@pytest.fixture(scope="module")
def upstreams():
    made = Upstreams(
        [
            Upstream(
                UpstreamSettings(name=name, provider=name, base_url="http://x", models=models),
                transport=httpx.AsyncBaseTransport(),
            )
            for name, models in ACCOUNTS.items()
        ]
    )
    yield made
    asyncio.run(made.aclose())


def app(**changes):
    return App(id="a", token_sha256="", **changes)


@pytest.mark.parametrize(
    ("model", "upstream", "name"),
    [
        ("gpt-4o", "azure", "gpt-4o"),
        ("gpt-4.1", "openai", "gpt-4.1"),
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("azure/gpt-4o", "azure", "gpt-4o"),
        ("llama-3", "groq", "llama-3"),
        ("groq/openai/gpt-oss-20b", "groq", "openai/gpt-oss-20b"),
        ("openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
        ("mistral/large", "openrouter", "mistral/large"),
        ("azure/gpt-5", "openrouter", "azure/gpt-5"),
        ("GPT-4o", "openrouter", "GPT-4o"),
    ],
)
def test_its_name_first_then_the_order(upstreams, model, upstream, name):
    found, called = upstreams.serving(model, app())

    assert (upstream, name) == (found.settings.name, called)


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({"models": ("gpt-4o-mini",)}, "gpt-4o"),
        ({"models": ("gpt-4o-mini",)}, "openai/gpt-4o"),
        ({"upstreams": ("azure", "openai")}, "llama-3"),
        ({"upstreams": ("azure", "openai")}, "groq/llama-3"),
        ({"upstreams": ("azure", "openai")}, "/"),
        ({"upstreams": ("azure", "openai")}, "openai/"),
    ],
)
def test_what_an_app_may_not_use_does_not_exist(upstreams, changes, model):
    with pytest.raises(NotFound) as refused:
        upstreams.serving(model, app(**changes))

    assert ("model_not_found", "model") == (refused.value.code, refused.value.param)


def test_a_prefix_widens_no_permission(upstreams):
    """An app may use a model by either of its names when it may use one."""
    for model in ("gpt-4o", "openai/gpt-4o"):
        assert upstreams.serving(model, app(models=("gpt-4o",)))
    assert upstreams.serving("openai/gpt-4o", app(models=("openai/*",)))
    with pytest.raises(NotFound):
        upstreams.serving("gpt-4o", app(models=("openai/*",)))
