"""Real stores, for every test of the gateway."""

from collections.abc import Iterator
from shutil import which

import pytest

from tests.support import postgres
from tests.support.stores import empty, server


@pytest.fixture(scope="session", params=["valkey", "redis"])
def store_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The embedded Valkey, and Debian's Redis 7.0."""
    if request.param == "redis" and which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with server(request.param) as url:
        yield url


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def url(store_server: str) -> str:
    """An empty store."""
    empty(store_server)
    return store_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if not postgres.installed():
        pytest.skip(postgres.ABSENT)
    with postgres.cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def archive_url(request: pytest.FixtureRequest) -> str | None:
    """An empty archive's, of either kind; None is a file in the data directory."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_server")
    postgres.empty(url)
    return url
