"""Who is let in, by which name, and what everybody else is told."""

import asyncio

import pytest

from gateway.api.answers import MalformedRequest
from gateway.api.hosts import check_host
from gateway.api.tallies import Tallies
from gateway.clock import SystemClock
from gateway.customers.directory import Directory
from gateway.errors import LedgerUnavailable
from gateway.ledger.unheld import Unheld
from gateway.store.client import Store
from gateway.telemetry import Telemetry

from .conftest import ADMIN_KEY, MANAGER_TOKEN, TOKEN, admin

pytestmark = pytest.mark.anyio

MANAGED = [
    ("GET", "/api/users/list/"),
    ("GET", "/api/users/"),
    ("POST", "/api/users/create/"),
    ("GET", "/api/users/acme/"),
    ("PATCH", "/api/users/acme/"),
    ("DELETE", "/api/users/acme/"),
    ("GET", "/api/groups/"),
    ("PUT", "/api/groups/acme/"),
    ("DELETE", "/api/groups/acme/"),
    ("POST", "/api/users/acme/credits/"),
    ("POST", "/api/users/list/"),
    ("GET", "/api/user/detail/acme"),
    ("PATCH", "/api/user/update/acme"),
    ("GET", "/api/request-logs/list/"),
    ("GET", "/api/request-logs/summary/"),
    ("GET", "/api/request-logs/fbx_1"),
    ("GET", "/api/analytics/summary"),
    ("GET", "/api/analytics/top-users"),
]


@pytest.mark.parametrize(("method", "path"), MANAGED)
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer nonsense", 401),
        ("Bearer ", 401),
        (f"Basic {ADMIN_KEY}", 401),
        (ADMIN_KEY, 401),
        (f"Bearer {TOKEN}", 403),
    ],
)
async def test_management_needs_a_key(api, method, path, authorization, status) -> None:
    """No path shows or changes anything without it, and no answer repeats a key."""
    headers = {"Authorization": authorization} if authorization else {}

    response = await api.client.request(method, path, headers=headers)

    assert status == response.status_code
    assert isinstance(response.json()["detail"], str)
    assert "nonsense" not in response.text
    assert ADMIN_KEY not in response.text


async def test_an_app_may_be_let_in_to_manage(api) -> None:
    headers = {"Authorization": f"Bearer {MANAGER_TOKEN}"}

    assert 200 == (await api.client.get("/api/users/list/", headers=headers)).status_code


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("LOCALHOST.", True),
        ("api.localhost:1", True),
        ("127.0.0.1:8080", True),
        ("10.1.2.3", True),
        ("[::1]:8080", True),
        ("[2001:db8::1]", True),
        ("gateway.example:443", True),
        ("Gateway.Example", True),
        ("evil.example", False),
        ("gateway.example.evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[::1", True),
        ("[evil]", False),
        ("", False),
    ],
)
def test_only_known_names_are_served(host: str, is_served: bool) -> None:
    """A page that points its own name here is turned away."""
    try:
        check_host(host, {"gateway.example"})
    except MalformedRequest:
        assert not is_served
    else:
        assert is_served


@pytest.mark.parametrize("path", ["/openapi.json", "/api/users/list/"])
async def test_a_foreign_host_is_refused(api, path) -> None:
    """Even with the key: it is a browser that has been misled."""
    response = await api.client.get(path, headers=admin() | {"Host": "evil.example"})

    assert 400 == response.status_code


async def test_no_path_is_a_redirect(api) -> None:
    """With a slash or without: a redirected POST would arrive as a GET."""
    for method, path in [*MANAGED, ("GET", "/livez"), ("GET", "/readyz"), ("POST", "/v1/events")]:
        for spelling in (path.rstrip("/"), path.rstrip("/") + "/"):
            response = await api.client.request(method, spelling, headers=admin())
            assert response.status_code not in range(300, 400), spelling


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/api/nothing", 404, None),
        ("POST", "/api/users/a/b", 404, None),
        ("GET", "/nothing/here/", 404, None),
        ("GET", "/api/users//", 404, None),
        ("DELETE", "/api/users/list/", 405, "GET, HEAD, POST"),
        ("PUT", "/api/users/acme/", 405, "DELETE, GET, HEAD, PATCH"),
        ("GET", "/api/users/%FF/", 400, None),
    ],
)
async def test_what_is_not_there_says_so(api, method, path, status, allow) -> None:
    """Unknown paths and methods answer in the same form as everything else."""
    response = await api.client.request(method, path, headers=admin())

    assert (status, allow) == (response.status_code, response.headers.get("allow"))
    assert isinstance(response.json()["detail"], str)


async def test_head_is_answered_like_get(api) -> None:
    assert 200 == (await api.client.head("/livez")).status_code


async def test_a_fault_of_ours_shows_nothing(api, monkeypatch, caplog) -> None:
    """500 without a reason for the caller; the reason is in the log."""

    async def broken(*_):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(Directory, "known", broken)

    response = await api.get("/api/users/acme/")

    assert (500, {"detail": "internal error"}) == (response.status_code, response.json())
    assert "secret inside" in caplog.text


async def test_without_the_ledger_management_says_so(api, monkeypatch) -> None:
    async def away(*_):
        raise LedgerUnavailable("The ledger is not reachable; try again shortly.")

    monkeypatch.setattr(Directory, "known", away)

    response = await api.get("/api/users/acme/")

    assert (503, "1") == (response.status_code, response.headers["retry-after"])


async def test_readiness_has_its_reasons(api, monkeypatch) -> None:
    """Alive is not ready: draining or without a ledger, no new calls should come."""
    assert ["ready"] == list((await api.client.get("/readyz")).json().values())
    async with api.serving(draining=lambda: True) as client:
        draining = await client.get("/readyz")
        assert 200 == (await client.get("/livez")).status_code

    def silent(*_):
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Store, "admits", silent)
    monkeypatch.setattr("gateway.api.health.PING_SECONDS_MAX", 0.05)
    silenced = await api.client.get("/readyz")

    assert (503, ["draining"]) == (draining.status_code, draining.json()["reasons"])
    assert (503, ["ledger: no answer"]) == (silenced.status_code, silenced.json()["reasons"])


async def test_gateways_that_count_otherwise_are_named(api) -> None:
    """Whichever of them is asked, as long as the other lives; calls are taken all the same."""
    by_charge, by_cost = [
        Tallies(api.bench.store, Telemetry(), SystemClock(), count) for count in ("charge", "cost")
    ]
    await by_charge.tell()
    await by_cost.tell()

    said = []
    for tallies in (by_charge, by_cost):
        async with api.serving(tallies=tallies) as client:
            said.append((await client.get("/readyz")).json())
    await by_cost.leave()
    async with api.serving(tallies=by_charge) as client:
        alone = (await client.get("/readyz")).json()

    assert ["ready", "ready"] == [answer["status"] for answer in said]
    assert [
        "budgets.count: charge here, cost in 1 workers of other gateways",
        "budgets.count: cost here, charge in 1 workers of other gateways",
    ] == [reason.split(": each")[0] for answer in said for reason in answer["degraded"]]
    assert {"status": "ready"} == alone


async def test_a_full_store_is_not_ready(api, monkeypatch) -> None:
    """It answers, and lets nobody in; whoever passes while it is away does not now either."""
    monkeypatch.setattr(Unheld, "passes_all", True)
    await api.bench.command("CONFIG", "SET", "maxmemory", "1")
    try:
        full = await api.client.get("/readyz")
    finally:
        await api.bench.command("CONFIG", "SET", "maxmemory", "0")

    assert 503 == full.status_code
    (reason,) = full.json()["reasons"]
    assert reason.startswith("ledger: takes no new calls: ")
    assert "maxmemory" in reason
    assert 200 == (await api.client.get("/readyz")).status_code
    assert [] == await api.bench.command("KEYS", "{fb?.*"), "asking writes nothing"
