"""One scripted provider and one gateway before it, for every client."""

from collections import Counter
from dataclasses import dataclass

import pytest

from tests.clients.replies import called, reply
from tests.support.gateways import TOKEN, Gateway, an_upstream, gateway
from tests.support.rawupstream import RawUpstream, raw_upstream


@dataclass(frozen=True, slots=True)
class Ways:
    """Two ways to the same provider.

    Attributes:
        direct: What stands before ``/v1`` on the way without the gateway.
    """

    provider: RawUpstream
    door: Gateway

    @property
    def direct(self) -> str:
        return f"{self.provider.url}/direct"

    def asked(self, since: int = 0):
        """What the provider was asked since then, by the way it came."""
        asked = self.provider.asked[since:]
        return [
            [each for each in asked if called(each).way == way] for way in ("direct", "through")
        ]


@pytest.fixture(scope="session")
def ways():
    with raw_upstream() as provider:
        earlier: Counter[object] = Counter()

        def script(connection, asked):
            call = called(asked)
            connection.sendall(reply(call, asked, earlier[call]))
            earlier[call] += 1

        provider.script = script
        through = f"{provider.url}/through"
        account = an_upstream(through, models=["*"])
        app = {"id": "my-app", "token": TOKEN, "model": "demo-small", "passthrough": True}
        with gateway(upstream_url=through, upstreams=[account], apps=[app]) as door:
            yield Ways(provider, door)
