"""Groups: limits that customers share, set while gateways run."""

import pytest

from gateway.customers.groups import Groups
from gateway.customers.scopes import Scopes
from gateway.customers.windows import Calendar
from gateway.errors import BudgetExceeded, BudgetInFlight
from gateway.metering.flusher import Flusher
from gateway.metering.scope_sink import ScopeSink
from pricing.money import pico_usd
from tests.gateway.api.conftest import UTC, admin
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio

ROW = {
    "group_identifier",
    "source",
    "period_budget",
    "total_budget",
    "budget_duration",
    "period_start",
    "period_end",
    "total_period_usage",
    "total_usage",
    "spent_usd",
    "held_usd",
    "remaining_usd",
    "resets_at",
    "overshoot_usd",
}


async def put(api, group: str, content: object):
    return await api.client.put(f"/api/groups/{group}/", json=content, headers=admin())


async def delete(api, group: str):
    return await api.client.delete(f"/api/groups/{group}/", headers=admin())


async def flush(api) -> None:
    """With what is counted on groups."""
    groups = ScopeSink(api.bench.store, Calendar(UTC), api.bench.clock)
    flusher = Flusher(
        api.bench.store, api.services.archive, zone=UTC, clock=api.bench.clock, more=[groups]
    )
    while await flusher.step():
        pass


async def test_a_group_says_what_lies_beyond_its_limit_and_why(api) -> None:
    """Of a call that cost more than was held, of a report, of a limit that was lowered."""
    await put(api, "team", {"total_budget": 5})
    held = await api.bench.hold("a", pico_usd("3"), group_identifier="team")
    await api.bench.settle(held, pico_usd("3.5"))
    await flush(api)
    await put(api, "team", {"total_budget": 3})
    await put(api, "team", {"total_budget": 3.25})
    lowered = (await put(api, "team", {"total_budget": 3})).json()
    assert {"settle": "0.5", "event": "0", "limit": "0.75"} == lowered["overshoot_usd"]

    unlimited = await put(api, "other", {"total_budget": 9_000_000})
    assert {"settle": "0", "event": "0", "limit": "0"} == unlimited.json()["overshoot_usd"]


async def test_a_group_is_held_to_the_limit_that_it_is_given(api) -> None:
    """What it had spent before it got one counts; a raise and a removal hold at once."""
    await api.bench.settle(
        await api.bench.hold("a", pico_usd("3"), group_identifier="team"), pico_usd("3")
    )
    await flush(api)

    given = await put(api, "team", {"total_budget": 5, "budget_duration": "weekly"})

    assert 200 == given.status_code
    row = given.json()
    assert set(row) == ROW
    expected = {
        "group_identifier": "team",
        "source": "api",
        "total_budget": 5.0,
        "period_budget": None,
        "budget_duration": "weekly",
        "spent_usd": "3",
        "remaining_usd": "2",
    }
    assert expected == {name: row[name] for name in expected}
    with pytest.raises(BudgetExceeded) as refused:
        await api.bench.hold("b", pico_usd("2.5"), group_identifier="team")
    assert "group_total_budget" == refused.value.details["limit"]
    await put(api, "team", {"total_budget": 6})
    await api.bench.hold("b", pico_usd("2.5"), group_identifier="team")
    assert 204 == (await delete(api, "team")).status_code
    await api.bench.hold("b", pico_usd("100"), group_identifier="team")
    assert None is (await api.get("/api/groups/team/")).json()["total_budget"]


async def test_a_change_reaches_every_gateway(api, store_server) -> None:
    """Another process asks once a second, and holds what it then reads."""
    scopes = Scopes()
    async with bench(store_server, scopes=scopes) as other:
        groups = Groups(other.store, scopes)
        for budget, amount in ((1, 2), (2, 3)):
            await put(api, "team", {"period_budget": budget})
            await groups.refresh()
            with pytest.raises((BudgetExceeded, BudgetInFlight)):
                await other.hold("a", pico_usd(amount), group_identifier="team")
        await delete(api, "team")
        await groups.refresh()
        await other.hold("a", pico_usd("9"), group_identifier="team")


async def test_what_is_set_here_stands_before_the_configuration(api) -> None:
    """Taken away again, that of the configuration is in force; it cannot be taken away here."""
    before = (await api.get("/api/groups/configured/")).json()
    await put(api, "configured", {"period_budget": "7.5", "period_start": "2026-01-31"})
    changed = (await api.get("/api/groups/configured/")).json()
    first, second = await delete(api, "configured"), await delete(api, "configured")

    after = (await api.get("/api/groups/configured/")).json()
    assert ("config", 1.0, None) == tuple(
        before[name] for name in ("source", "total_budget", "period_budget")
    )
    assert ("api", None, 7.5) == tuple(
        changed[name] for name in ("source", "total_budget", "period_budget")
    )
    assert (204, 422) == (first.status_code, second.status_code)
    assert before == after


async def test_all_groups_are_listed(api) -> None:
    """Those of the configuration, those that were set here, those that calls have named."""
    await put(api, "a%2Fb%20%F0%9F%A6%8A", {"total_budget": 1})
    await api.bench.hold("a", 1, group_identifier="named")

    page = (await api.get("/api/groups/", page_size=2)).json()
    rest = (await api.get(page["next"])).json()

    rows = [*page["results"], *rest["results"]]
    assert (3, None) == (page["count"], rest["next"])
    assert [("a/b 🦊", "api"), ("configured", "config"), ("named", None)] == [
        (row["group_identifier"], row["source"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "period_budget"),
        ({"budget_duration": "daily"}, "period_budget"),
        ({"total_budget": None}, "period_budget"),
        ({"total_budget": -1}, "total_budget"),
        ({"total_budget": 1, "budget_duration": "hourly"}, "budget_duration"),
        ({"total_budget": 1, "rate_limit": 5}, "rate_limit"),
        ({"total_budget": 1, "period_end": "2026-01-01"}, "period_end"),
        (
            {"total_budget": 1, "period_start": "2026-02-01", "period_end": "2026-01-01"},
            "period_end",
        ),
        ({"total_budget": 1, "group_identifier": "other"}, "group_identifier"),
    ],
)
async def test_a_faulty_limit_is_named(api, content, field) -> None:
    response = await put(api, "team", content)

    assert (422, [field]) == (response.status_code, list(response.json()["errors"]))
    assert 404 == (await api.get("/api/groups/team/")).status_code


async def test_a_group_that_is_not_there(api) -> None:
    for response, why in (
        (await api.get("/api/groups/team/"), "'team'."),
        (await delete(api, "team"), "'team'."),
        (await put(api, "%7Ex", {"total_budget": 1}), "must not start with '~'"),
        (await put(api, "x" * 257, {"total_budget": 1}), "at most 256 characters"),
    ):
        assert 404 == response.status_code
        assert why in response.json()["detail"]
