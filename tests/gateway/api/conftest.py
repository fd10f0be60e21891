"""The management API on a real store and a real archive, called through ASGI."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest
import redis
from starlette.applications import Starlette

from gateway.alerts.watch import Watch
from gateway.api.routes import routes
from gateway.api.services import About, Served, Services
from gateway.api.tallies import Tallies
from gateway.api.user_service import UserService
from gateway.audit.check import Check
from gateway.audit.differences import Difference
from gateway.audit.walk import verify
from gateway.customers.apps import App, Apps, token_digest
from gateway.customers.groups import Groups
from gateway.customers.profile import Limits
from gateway.customers.scopes import Scopes
from gateway.customers.temporary_keys import TemporaryKeys
from gateway.event import Kind, UsageEvent
from gateway.ledger.prospects import Estimate
from gateway.ledger.requests import new_request_id
from gateway.metering.counters import Counters
from gateway.metering.flusher import Flusher
from gateway.metering.roster.indexer import Indexer
from gateway.metering.roster.roster import Roster
from gateway.rating import Rating
from gateway.reports import Reports
from gateway.store.archive import Archive
from gateway.telemetry import Telemetry
from pricing.book import PriceBook
from tests.support.ledgers import Bench, bench
from tests.support.stores import server

ADMIN_KEY = "admin-key"
TOKEN = "app-token"
OTHER_TOKEN = "other-app-token"
BARE_TOKEN = "bare-app-token"
MANAGER_TOKEN = "manager-token"
UTC = ZoneInfo("UTC")

BOOK = PriceBook((), "book-1").overlaid(
    [
        {
            "provider": "lab",
            "model": "small",
            "base": {"input": "1", "cache_read": "0.5", "output": "4"},
        },
        {"provider": "lab", "model": "gift", "free": True},
    ]
)
APPS = (
    App(id="my-app", token_sha256=token_digest(TOKEN), model="small"),
    App(id="other", token_sha256=token_digest(OTHER_TOKEN), model="small", customer_prefix="o/"),
    App(id="bare", token_sha256=token_digest(BARE_TOKEN)),
    App(id="boss", token_sha256=token_digest(MANAGER_TOKEN), model="small", manage=True),
)


@dataclass
class Api:
    """The API, and what stands behind it."""

    client: httpx.AsyncClient
    bench: Bench
    flusher: Flusher
    services: Services

    async def get(self, path: str, **query) -> httpx.Response:
        return await self.client.get(path, params=query or None, headers=admin())

    async def post(self, path: str, content: object) -> httpx.Response:
        return await self.client.post(path, json=content, headers=admin())

    async def patch(self, path: str, content: object, **query) -> httpx.Response:
        return await self.client.patch(path, json=content, params=query, headers=admin())

    async def report(
        self, content: object, *, token: str = TOKEN, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        auth = {"Authorization": f"Bearer {token}", **(headers or {})}
        return await self.client.post("/v1/events", json=content, headers=auth)

    async def call(self, customer: str, **facts) -> str:
        """Hold and settle a call; its request id."""
        request_id = new_request_id(self.bench.clock.now_ms())
        hold = await self.bench.hold(customer, 10**12, request_id=request_id)
        event = UsageEvent(
            request_id=request_id,
            kind=Kind.SETTLE,
            at_ms=self.bench.clock.now_ms(),
            hold_pico=hold.amount_pico,
            app="my-app",
            status_code=200,
        )
        await self.bench.ledger.settle(hold, msgspec.structs.replace(event, **facts))
        return request_id

    async def flush(self) -> None:
        while await self.flusher.step():
            pass
        while await self.services.users.indexer.step():
            pass

    async def differences(self) -> list[Difference]:
        """As `farebox ledger verify --full` finds them."""
        store, archive = self.bench.store, self.services.archive
        check = Check(store, zone=UTC, rating=Rating(BOOK), archive=archive)
        report = await verify(store, check, progress=lambda _: None)
        assert report.complete
        return list(report.differences)

    def serving(self, **changes) -> httpx.AsyncClient:
        """A client of the same API with other services."""
        return _client(replace(self.services, **changes))


def admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {ADMIN_KEY}"}


def usage(**changes) -> dict[str, object]:
    """The body of an event, without the fields whose change is None."""
    body = {
        "appId": "my-app",
        "eventType": "text_gen",
        "consumerId": "acme",
        "inputTokens": 1000,
        "inputTokensCached": 200,
        "outputTokens": 100,
        **changes,
    }
    return {name: value for name, value in body.items() if value is not ...}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def store_server() -> Iterator[str]:
    with server("valkey") as url:
        yield url


@pytest.fixture
async def api(store_server: str, tmp_path: Path) -> AsyncIterator[Api]:
    with redis.Redis.from_url(store_server) as client:
        client.flushall()
    archive = await Archive.open(tmp_path)
    scopes = Scopes(groups={"configured": Limits(total_budget_pico=10**12)})
    async with bench(store_server, scopes=scopes) as bench_:
        services = Services(
            store=bench_.store,
            directory=bench_.directory,
            ledger=bench_.ledger,
            counters=Counters(bench_.store, UTC),
            users=UserService(
                directory=bench_.directory,
                ledger=bench_.ledger,
                counters=Counters(bench_.store, UTC),
                archive=archive,
                roster=Roster(bench_.store),
                indexer=Indexer(bench_.store),
                clock=bench_.clock,
                zone=UTC,
            ),
            groups=Groups(bench_.store, scopes),
            estimate=_no_estimate,
            archive=archive,
            reports=Reports(bench_.store, archive, bench_.clock),
            rating=Rating(BOOK),
            apps=Apps(APPS),
            keys=TemporaryKeys(bench_.store, Apps(APPS), bench_.clock),
            outbox=archive.outbox,
            watch=Watch(
                bench_.store,
                outbox=archive.outbox,
                ledger=bench_.ledger,
                directory=bench_.directory,
                scopes=scopes,
                clock=bench_.clock,
                endpoints=(),
            ),
            clock=bench_.clock,
            zone=UTC,
            provider_of=lambda model: "lab" if model != "unheard-of" else "",
            admin_key_sha256=token_digest(ADMIN_KEY),
            hosts=frozenset({"gateway.example"}),
            request_bytes_max=100_000,
            draining=lambda: False,
            about=About(
                version="1.2.3",
                store="embedded",
                upstreams=(Served("lab", ("small", "big-*")),),
                policy="reject",
            ),
            tallies=Tallies(bench_.store, Telemetry(), bench_.clock),
        )
        async with _client(services) as client:
            flusher = Flusher(bench_.store, archive, zone=UTC, clock=bench_.clock)
            yield Api(client, bench_, flusher, services)
    await archive.close()


async def _no_estimate(*_: object) -> Estimate:
    raise AssertionError("these tests have no proxy")


def _client(services: Services) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=routes(services))),
        base_url="http://127.0.0.1",
        follow_redirects=False,
    )
