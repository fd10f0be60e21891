"""`server.admin_listen`: management, metrics and dashboard on another port, and only there."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.app import Gateway
from gateway.config import parsed
from gateway.config.faults import ConfigError
from tests.support.gateways import settings

pytestmark = pytest.mark.anyio


class DataPlane:
    """Says that it was here."""

    def owns(self, path: str) -> bool:
        return path.startswith("/v1/chat")

    async def __call__(self, scope, receive, send) -> None:
        await PlainTextResponse("data plane")(scope, receive, send)


def says(name: str, *paths: str) -> Starlette:
    async def answer(_) -> PlainTextResponse:
        return PlainTextResponse(name)

    return Starlette(routes=[Route(path, answer) for path in paths])


@pytest.mark.parametrize(
    ("port", "path", "answer"),
    [
        (8080, "/v1/chat/completions", "data plane"),
        (8080, "/readyz", "beside"),
        (8080, "/api/users/", "Not Found"),
        (8080, "/", "Not Found"),
        (8080, "/metrics", "Not Found"),
        (8081, "/api/users/", "rest"),
        (8081, "/", "rest"),
        (8081, "/readyz", "rest"),
        (8081, "/v1/chat/completions", "Not Found"),
    ],
)
async def test_each_port_has_its_own(port, path, answer) -> None:
    data_plane: Any = DataPlane()
    app = Gateway(
        data_plane,
        says("rest", "/", "/api/users/", "/metrics", "/readyz"),
        lambda: None,
        beside=says("beside", "/readyz"),
        admin_port=8081,
    )

    assert answer == await asked(app, port, path)


async def test_without_it_all_is_on_one() -> None:
    data_plane: Any = DataPlane()
    app = Gateway(data_plane, says("rest", "/", "/readyz"), lambda: None)

    assert "rest" == await asked(app, 8080, "/")
    assert "data plane" == await asked(app, 8080, "/v1/chat/completions")


async def asked(app: Gateway, port: int, path: str) -> str:
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url) as client:
        return (await client.get(path)).text


def configured(text):
    server = {"admin_listen": text}
    return parsed(settings(Path(), "http://127.0.0.1:1", server=server), origin="test")


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8081", ("127.0.0.1", 8081)), ("[::1]:9", ("::1", 9)), ("", None), (None, None)],
)
def test_an_address_is_read(text, address) -> None:
    config = configured(text)

    assert address == config.server.admin_address


@pytest.mark.parametrize("text", ["8081", ":8081", "localhost", "localhost:0", "x:99999", "x:1.5"])
def test_what_is_no_address_is_refused(text) -> None:
    with pytest.raises(ConfigError, match="admin_listen"):
        configured(text)


def test_two_ports_are_two() -> None:
    with pytest.raises(ConfigError, match=r"server\.port"):
        configured("127.0.0.1:8080")
