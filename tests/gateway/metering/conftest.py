"""A real store: the embedded Valkey's binary, Debian's Redis, and a cluster."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.store.archive import Archive
from gateway.store.client import Store
from tests.support.clusters import KINDS, of_kind
from tests.support.stores import empty


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a running store."""
    with of_kind(request.param) as url:
        yield url


@pytest.fixture
async def store(server: str) -> AsyncIterator[Store]:
    """An empty store."""
    empty(server)
    opened = Store(server)
    await opened.connect()
    yield opened
    await opened.close()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path)
    yield opened
    await opened.close()
