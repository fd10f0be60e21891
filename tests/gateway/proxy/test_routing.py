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


ALIASES = {
    "fast": "gpt-4o-mini",
    "gpt-4.1": "azure/gpt-4o",
    "oss": "groq/openai/gpt-oss-20b",
    "eu": "azure-openai/gpt-4o",
    "mistral": "mistral/large",
    "azure/gpt-5": "openai/gpt-5",
    "lost": "groq/llama-3",
}


@pytest.fixture(scope="module")
def aliased(upstreams):
    return Upstreams(upstreams.all, aliases=ALIASES)


@pytest.mark.parametrize(
    ("model", "upstream", "name"),
    [
        ("fast", "openai", "gpt-4o-mini"),
        ("gpt-4.1", "azure", "gpt-4o"),  # an alias goes before a model of that name
        ("openai/gpt-4.1", "openai", "gpt-4.1"),  # who names an upstream asks for no alias
        ("oss", "groq", "openai/gpt-oss-20b"),
        ("eu", "azure", "gpt-4o"),  # a provider, under another name of it
        ("mistral", "openrouter", "mistral/large"),
        ("azure/gpt-5", "openai", "gpt-5"),
        ("Fast", "openrouter", "Fast"),
        ("gpt-4o", "azure", "gpt-4o"),
    ],
)
def test_an_alias_goes_where_its_target_does(aliased, model, upstream, name):
    found, called = aliased.serving(model, app())

    assert (upstream, name) == (found.settings.name, called)


def test_who_may_use_an_alias_may_use_it_alone(aliased):
    """The target needs no permission of its own, and gets none by it."""
    narrow = app(models=("fast",))

    assert "gpt-4o-mini" == aliased.serving("fast", narrow)[1]
    for model in ("gpt-4o-mini", "openai/gpt-4o-mini", "oss"):
        with pytest.raises(NotFound):
            aliased.serving(model, narrow)
    with pytest.raises(NotFound):
        aliased.serving("fast", app(models=("gpt-4o-mini",)))


def test_an_alias_reaches_no_upstream_that_the_app_may_not_use(aliased):
    narrow = app(upstreams=("azure", "openai"))

    assert {"fast": "openai", "gpt-4.1": "azure", "eu": "azure", "azure/gpt-5": "openai"} == {
        name: upstream.settings.name for name, upstream in aliased.aliases(narrow)
    }
    with pytest.raises(NotFound):
        aliased.serving("lost", narrow)
