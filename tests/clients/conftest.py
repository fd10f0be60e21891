"""One scripted provider and one gateway before it, for every client."""

from collections import Counter
from dataclasses import dataclass

import pytest

from tests.clients.replies import DATED, V1, called, reply
from tests.support.gateways import TOKEN, Gateway, an_upstream, gateway
from tests.support.rawupstream import RawUpstream, raw_upstream

CALLED_IN_AZURE = ("chat", "tools", "azure", "m", "uncounted", "status-429", "cut")


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


DEPLOYMENTS = {f"{DATED}{model}": f"dated/{DATED}{model}" for model in CALLED_IN_AZURE} | {
    f"{V1}{model}": f"v1/{V1}{model}" for model in CALLED_IN_AZURE
}


def azures(name, url):
    return an_upstream(
        "", name=name, provider="azure", base_url=url, auth="api-key", models=[f"{name}-*"]
    )


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
        accounts = [
            an_upstream(through, models=["*"]),
            azures("dated", f"{through}/openai/deployments/{{model}}"),
            azures("v1", f"{through}/openai/v1"),
        ]
        app = {"id": "my-app", "token": TOKEN, "model": "demo-small", "passthrough": True}
        with gateway(
            upstream_url=through, upstreams=accounts, models=DEPLOYMENTS, apps=[app]
        ) as door:
            yield Ways(provider, door)
