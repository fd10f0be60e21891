"""Under virtual time there is one server, and no cluster."""

from collections.abc import Iterator
from shutil import which

import pytest

from tests.support.clusters import KINDS
from tests.support.stores import server


@pytest.fixture(scope="session", params=KINDS[:2])
def store_server(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "redis" and which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with server(request.param) as url:
        yield url
