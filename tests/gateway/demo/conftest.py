"""A demo upstream on a socket, and OpenAI's own client pointed at it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from openai import OpenAI

from gateway.demo.playback import Seen
from gateway.demo.upstream import build_upstream
from tests.support.servers import serve


@dataclass(frozen=True, slots=True)
class Upstream:
    url: str
    seen: deque[Seen]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    app = build_upstream(pace=None)
    with serve(app) as url:
        yield Upstream(f"{url}/v1", app.state.seen)


@pytest.fixture
def client(upstream: Upstream) -> Iterator[OpenAI]:
    with OpenAI(base_url=upstream.url, api_key="anything", max_retries=0) as client:
        yield client
