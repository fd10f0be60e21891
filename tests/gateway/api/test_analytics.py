"""Analytics: totals of a span, which add up to its events."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pricing.money import pico_usd
from pricing.usage import Usage

from .conftest import admin, usage

pytestmark = pytest.mark.anyio


async def test_the_summary_adds_up(api) -> None:
    """Tokens, money and people of the last 30 days; the anonymous are nobody."""
    facts = {
        "model": "small",
        "cost_pico": pico_usd("0.5"),
        "charge_pico": pico_usd("0.75"),
        "usage": Usage(input_tokens=6, cache_read_tokens=4, output_tokens=2, reasoning_tokens=1),
    }
    for customer in ("acme", "acme", "beta", "~anonymous"):
        await api.call(customer, **facts)
    await api.report(usage(model="unheard-of"))
    await api.flush()

    response = await api.get("/api/analytics/summary")

    assert {
        "requests": 5,
        "total_tokens": 4 * 13 + 1100,
        "prompt_tokens": 4 * 10 + 1000,
        "cached_tokens": 4 * 4 + 200,
        "completion_tokens": 4 * 3 + 100,
        "reasoning_tokens": 4,
        "total_cost": 2.0,
        "total_charge": 3.0,
        "active_users": 2,
        "errors": 0,
        "rejected": 0,
        "unpriced": 1,
    } == response.json()


async def test_the_span_and_the_filters_narrow_it(api) -> None:
    """Half-open, the last 30 days unless told; by app, model and customer."""
    then = datetime.now(UTC) - timedelta(days=33)
    await api.report(usage(timestamp=then.isoformat()))
    await api.report(usage(consumerId="beta", model="gift"))
    await api.flush()
    day = then.date()

    for query, expected in [
        ({}, 1),
        ({"from": day.isoformat()}, 2),
        ({"from": day.isoformat(), "to": (day + timedelta(days=1)).isoformat()}, 1),
        ({"to": day.isoformat()}, 0),
        ({"from": day.isoformat(), "customer_identifier": "acme"}, 1),
        ({"customer_identifier": "nobody"}, 0),
        ({"model": "gift"}, 1),
        ({"app": "other"}, 0),
    ]:
        summary = (await api.get("/api/analytics/summary", **query)).json()
        assert (expected, expected) == (summary["requests"], summary["active_users"]), query


async def test_the_top_users_and_the_rest_are_everybody(api) -> None:
    """The greatest by the asked metric, and under `other` what is left."""
    for customer, cost, tokens in [("a", "1", 50), ("b", "3", 20), ("c", "2", 30)]:
        spent = pico_usd(cost)
        counted = Usage(input_tokens=tokens)
        await api.call(customer, cost_pico=spent, charge_pico=spent, usage=counted)
    await api.flush()

    by_cost = (await api.get("/api/analytics/top-users", limit=2)).json()
    by_tokens = (await api.get("/api/analytics/top-users/", metric="tokens", limit=1)).json()

    assert ["b", "c"] == [user["customer_identifier"] for user in by_cost["data"]]
    assert {"cost": 1.0, "charge": 1.0, "tokens": 50, "requests": 1} == by_cost["other"]
    assert ["a"] == [user["customer_identifier"] for user in by_tokens["data"]]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "soon"},
        {"to": "2026-02-30"},
        {"from": "2999-01-01"},
        {"granularity": "week"},
        {"timezone": "Mars/Olympus"},
        {"metric": "cost"},
    ],
)
async def test_a_query_that_cannot_be_followed_is_refused(api, query) -> None:
    response = await api.get("/api/analytics/summary", **query)

    assert (422, list(query)) == (response.status_code, list(response.json()["errors"]))


async def spend(api, customer: str, cost: str, **facts) -> None:
    spent = pico_usd(cost)
    used = {"usage": Usage(input_tokens=10), "latency_ms": 400, "first_token_ms": 100, **facts}
    await api.call(customer, cost_pico=spent, charge_pico=2 * spent, **used)


async def test_daily_active_users_are_new_or_returning(api) -> None:
    """The last 30 days, one each; who calls for the first time is new."""
    await spend(api, "acme", "1")
    await spend(api, "~anonymous", "1")
    await api.report(
        usage(consumerId="beta", timestamp=(datetime.now(UTC) - timedelta(days=3)).isoformat())
    )
    await spend(api, "beta", "1")
    await api.flush()

    days = (await api.get("/api/analytics/daily-active-users/")).json()["data"]

    assert 30 == len(days)
    today = {"date": datetime.now(UTC).date().isoformat(), "active": 2, "new": 1, "returning": 1}
    assert today == days[-1]
    assert (1, 1, 0) == tuple(days[-4][name] for name in ("active", "new", "returning"))


async def test_cost_by_user_shows_the_greatest_and_the_rest(api) -> None:
    """Every day has every user of the chart, so that it needs no filling."""
    for customer, cost in [("a", "1"), ("b", "3"), ("c", "2")]:
        await spend(api, customer, cost)
    await api.flush()

    data = (await api.get("/api/analytics/cost-by-user", limit=2)).json()["data"]

    assert {"users": {"b": 3.0, "c": 2.0}, "other": 1.0}.items() <= data[-1].items()
    assert {"users": {"b": 0.0, "c": 0.0}, "other": 0.0}.items() <= data[0].items()


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ({}, {"total": 3.0}),
        ({"metric": "charge"}, {"total": 6.0}),
        ({"metric": "requests", "group_by": "model"}, {"big": 1, "small": 1}),
        ({"metric": "cost", "group_by": "customer", "limit": 1}, {"beta": 2.0, "(other)": 1.0}),
        ({"metric": "requests", "group_by": "app"}, {"my-app": 2}),
        ({"metric": "errors"}, {"total": 0}),
        ({"metric": "error_rate"}, {"total": 0.0}),
        ({"metric": "latency_p50"}, {"total": 0.4}),
        ({"metric": "latency_p95"}, {"total": 0.4}),
        ({"metric": "ttft_p50"}, {"total": 0.1}),
        ({"metric": "requests", "customer_identifier": "acme"}, {"total": 1}),
    ],
)
async def test_series(api, query, values) -> None:
    """By any metric and key; the last slot is now."""
    await spend(api, "acme", "1", model="small")
    await spend(api, "beta", "2", model="big")
    await api.flush()

    for granularity in ("hour", "day", "month"):
        start = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        response = await api.get(
            "/api/analytics/series", granularity=granularity, **{"from": start}, **query
        )
        assert values == response.json()["data"][-1]["values"], response.text


async def test_a_slot_without_calls_has_no_rate(api) -> None:
    """Null is not zero: nothing failed, and nothing was well."""
    for metric in ("error_rate", "latency_p50"):
        data = (await api.get("/api/analytics/series", metric=metric)).json()["data"]
        assert {None} == {slot["values"]["total"] for slot in data}


async def test_rates_are_of_everything(api) -> None:
    """Percentiles of parts are not offered where they are not worked out."""
    response = await api.get("/api/analytics/series", metric="latency_p50", group_by="model")

    assert (422, ["group_by"]) == (response.status_code, list(response.json()["errors"]))


@pytest.mark.parametrize(
    "path", ["summary", "top-users", "daily-active-users", "cost-by-user", "series"]
)
async def test_every_answer_is_had_as_csv(api, path) -> None:
    """By its address or by `Accept`, the same; amounts are exact."""
    await spend(api, "=HYPERLINK(A1)", "0.000000000001")
    await api.flush()

    by_address = await api.get(f"/api/analytics/{path}.csv")
    by_header = await api.client.get(
        f"/api/analytics/{path}", headers={**admin(), "accept": "text/csv, */*"}
    )

    assert 200 == by_address.status_code
    assert by_address.text == by_header.text
    assert "text/csv; charset=utf-8" == by_address.headers["content-type"]
    assert "=HYPER" not in by_address.text.replace("'=HYPER", "")
    if path in {"top-users", "cost-by-user"}:
        assert "'=HYPERLINK(A1)" in by_address.text
        assert "0.000000000001" in by_address.text


async def test_days_are_those_of_the_zone_asked_for(api) -> None:
    """From and to are read in it, too."""
    await spend(api, "acme", "1")
    await api.flush()

    for zone in ("Asia/Kathmandu", "America/New_York"):
        day = datetime.now(ZoneInfo(zone)).date().isoformat()
        response = await api.get("/api/analytics/series", timezone=zone, **{"from": day})
        (slot,) = response.json()["data"]
        assert 1.0 == slot["values"]["total"]
        assert datetime.fromisoformat(slot["time"]).astimezone(ZoneInfo(zone)).hour == 0
