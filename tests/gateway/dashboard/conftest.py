"""The dashboard on a real store and a real archive, called through ASGI, signed in or not."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import httpx
import pytest
from starlette.applications import Starlette

from gateway.dashboard import site
from gateway.dashboard.sessions import Credentials
from tests.gateway.api.conftest import ADMIN_KEY, Api, api, store_server

__all__ = ["api", "store_server"]

VIEWER_KEY = "viewer-key"


class Html(HTMLParser):
    """A page as a reader has it: its tags, links and text. Inline styles and handlers fail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        bad = [name for name, _ in attrs if name == "style" or name.startswith(("on", "hx-on"))]
        assert not bad, (tag, attrs)
        if tag == "script":
            assert dict(attrs).get("src"), "an inline script"
        assert tag != "style", "an inline style"

    def handle_data(self, data) -> None:
        self.text += data


@dataclass
class Site:
    """A browser without scripts, one for each role."""

    api: Api
    client: httpx.AsyncClient
    csrf: str = ""

    async def get(self, path: str, **options) -> httpx.Response:
        return await self.client.get(path, **options)

    async def page(self, path: str) -> Html:
        response = await self.get(path)
        assert 200 == response.status_code, response.text[-2000:]
        return Html(response.text)

    async def post(self, path: str, **form) -> httpx.Response:
        return await self.client.post(
            path, data={"csrf": self.csrf, **form}, headers={"sec-fetch-site": "same-origin"}
        )

    async def enter(self, key: str) -> None:
        response = await self.client.post("/login", data={"key": key})
        assert 303 == response.status_code, response.text[-500:]
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get("/health")).text)
        assert found
        self.csrf = found[1]


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """A crowded machine is slow: its pages come late here, rather than to say so."""
    monkeypatch.setattr(site, "PATIENCE_SECONDS", 60.0)


@pytest.fixture
async def visitor(api: Api) -> AsyncIterator[Site]:
    """Nobody in particular: not signed in."""
    async with _client(api) as client:
        yield Site(api, client)


@pytest.fixture
async def admin(api: Api) -> AsyncIterator[Site]:
    async with _client(api) as client:
        signed_in = Site(api, client)
        await signed_in.enter(ADMIN_KEY)
        yield signed_in


@pytest.fixture
async def viewer(api: Api) -> AsyncIterator[Site]:
    async with _client(api) as client:
        signed_in = Site(api, client)
        await signed_in.enter(VIEWER_KEY)
        yield signed_in


def _client(api: Api, **changes) -> httpx.AsyncClient:
    services = replace(api.services, **changes)
    routes = site.routes(services, Credentials.of(ADMIN_KEY, VIEWER_KEY))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://127.0.0.1"
    )
