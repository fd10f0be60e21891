"""The start page: what is running and how to call it, and nothing that could be injected."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gateway.api.services import About, Served
from gateway.api.start import example_model

from .conftest import BOOK

pytestmark = pytest.mark.anyio


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]
        assert not [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_data(self, data) -> None:
        self.text += data


async def test_the_page_says_what_runs_and_how_to_call_it(api) -> None:
    """Version, store, policy, upstreams with their models, a curl and a client."""
    response = await api.client.get("/", headers={"Host": "gateway.example:8080"})

    page = Page(response.text)
    for part in ("1.2.3", "embedded", "reject", "lab", "small", "big-*"):
        assert part in page.text
    assert "curl http://gateway.example:8080/v1/chat/completions" in page.text
    assert 'base_url="http://gateway.example:8080/v1"' in page.text


async def test_the_page_loads_nothing_from_elsewhere(api) -> None:
    """No script, no inline style, only our own stylesheet; the policy forbids the rest."""
    response = await api.client.get("/")

    page = Page(response.text)
    assert page.tags.isdisjoint({"script", "style", "img", "iframe"})
    assert all(link.startswith("/") for link in page.links)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = await api.client.get("/start.css")
    assert (200, "text/css; charset=utf-8") == (style.status_code, style.headers["content-type"])


async def test_what_is_configured_cannot_inject(api) -> None:
    """A name is text, whatever stands in it."""
    evil = "<script>alert(1)</script>"
    about = replace(api.services.about, upstreams=(Served(evil, (evil, '"$x')),))
    async with api.serving(about=about) as client:
        response = await client.get("/")

    page = Page(response.text)
    assert "script" not in page.tags
    assert evil in page.text


@pytest.mark.parametrize(
    ("globs", "model"),
    [
        (("gpt-*",), "gpt-4o-mini"),
        (("*",), "gpt-4o-mini"),
        (("sma*",), "small"),
        (("llama3",), "llama3"),
        (("x-*",), "gpt-4o-mini"),
    ],
)
def test_the_example_names_a_model_that_is_served(globs, model) -> None:
    """What is copied from the page works here, if anything is known that does."""
    about = About(version="1", store="unix", upstreams=(Served("lab", globs),), policy="soft")

    assert model == example_model(about, BOOK)
