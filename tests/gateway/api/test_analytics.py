"""Analytics: totals of a span, which add up to its events."""

from datetime import UTC, datetime, timedelta

import pytest

from pricing.money import pico_usd
from pricing.usage import Usage

from .conftest import usage

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
    assert {"cost": 1.0, "tokens": 50, "requests": 1} == by_cost["other"]
    assert ["a"] == [user["customer_identifier"] for user in by_tokens["data"]]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "soon"},
        {"to": "2026-02-30"},
        {"from": "2999-01-01"},
        {"granularity": "day"},
    ],
)
async def test_a_query_that_cannot_be_followed_is_refused(api, query) -> None:
    response = await api.get("/api/analytics/summary", **query)

    assert (422, list(query)) == (response.status_code, list(response.json()["errors"]))
