"""Logs: every event is a row, opened it explains its price."""

from typing import Any

import pytest

from gateway.arithmetic import Why, arithmetic
from gateway.clock import rfc3339
from gateway.event import Kind, Source, Status, UsageEvent
from gateway.rating import Rating
from pricing.money import pico_usd
from pricing.usage import Usage

from .conftest import BOOK, usage

pytestmark = pytest.mark.anyio

ROW = (
    "unique_id timestamp customer_identifier customer_email model provider_id app endpoint status "
    "status_code failed stream prompt_tokens completion_tokens cached_tokens reasoning_tokens cost "
    "charge latency time_to_first_token tokens_per_second finish_reason metadata usage_source"
)
FACTS = {
    "model": "small",
    "provider": "lab",
    "endpoint": "chat/completions",
    "price_id": "lab/small@0",
    "book_version": BOOK.version,
    "usage": Usage(input_tokens=800, cache_read_tokens=200, output_tokens=90, reasoning_tokens=10),
    "cost_pico": pico_usd("0.0013"),
    "charge_pico": pico_usd("0.0026"),
    "markup_ppm": 1_000_000,
    "source": Source.REPORTED,
    "latency_ms": 1200,
    "first_token_ms": 200,
    "finish_reason": "stop",
    "upstream_request_id": "req_1",
    "stream": True,
}


async def rows(api, **query) -> list[dict[str, Any]]:
    response = await api.get("/api/request-logs/list/", **query)
    assert 200 == response.status_code, response.text
    found: list[dict[str, Any]] = response.json()["results"]
    return found


async def test_a_row_has_every_field(api) -> None:
    """What was asked, what was used, what it cost: by the documented names."""
    await api.post("/api/users/", {"customer_identifier": "acme", "email": "a@acme.example"})
    request_id = await api.call("acme", **FACTS)
    await api.flush()

    (row,) = await rows(api)

    assert ROW.split() == list(row)
    expected = {
        "unique_id": request_id,
        "customer_identifier": "acme",
        "customer_email": "a@acme.example",
        "model": "small",
        "provider_id": "lab",
        "app": "my-app",
        "endpoint": "chat/completions",
        "status": "ok",
        "status_code": 200,
        "failed": False,
        "stream": True,
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "cached_tokens": 200,
        "reasoning_tokens": 10,
        "cost": 0.0013,
        "charge": 0.0026,
        "latency": 1.2,
        "time_to_first_token": 0.2,
        "tokens_per_second": 100.0,
        "finish_reason": "stop",
        "metadata": None,
        "usage_source": "reported",
    }
    assert expected == {name: row[name] for name in expected}


async def test_an_opened_log_explains_its_price(api) -> None:
    """The line items are worked out from the stored usage, and add up to the cost."""
    await api.post("/api/users/", {"customer_identifier": "acme", "name": "Acme"})
    request_id = await api.call("acme", **FACTS)
    await api.flush()

    log = (await api.get(f"/api/request-logs/{request_id}/")).json()

    assert [
        ("input", 800, "0.000001", "0.0008"),
        ("cache_read", 200, "0.0000005", "0.0001"),
        ("output", 90, "0.000004", "0.00036"),
        ("reasoning", 10, "0.000004", "0.00004"),
    ] == [(i["component"], i["quantity"], i["rate"], i["amount"]) for i in log["line_items"]]
    assert ("0.0013", "0.0026") == (log["cost_usd"], log["charge_usd"])
    assert {
        "rates": "base",
        "tier_over_input_tokens": None,
        "scope": "global",
        "multiplier": "1",
        "sum_usd": "0.0013",
        "rounding_usd": "0",
        "markup_usd": "0.0013",
        "explanation": None,
    } == log["arithmetic"]
    assert ("Acme", 1, 0.0026) == (
        log["customer"]["name"],
        log["customer"]["number_of_requests"],
        log["customer"]["total_cost"],
    )
    assert ("lab/small@0", BOOK.version, "req_1") == (
        log["price_id"],
        log["book_version"],
        log["upstream_request_id"],
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unpriced": True, "price_id": None}, Why.UNPRICED),
        ({"unpriced": True}, Why.NO_RATE),
        ({"price_id": "lab/small@gone"}, Why.PRICE_GONE),
        ({"price_id": "reported"}, Why.REPORTED),
        ({"cost_pico": 1}, Why.OTHER_PRICE),
        ({"service_tier": "flex"}, Why.NO_RATE),
        ({"charge_pico": 7, "hold_pico": 7, "source": Source.ESTIMATED}, Why.HELD),
        ({"charge_pico": 7, "hold_pico": 7, "error_code": "unpriced_audio_in"}, Why.HELD),
        ({"kind": Kind.ORPHAN}, Why.UNRESOLVED),
        ({"kind": Kind.ADJUST}, Why.DIFFERENCE),
        ({"kind": Kind.RELEASE}, Why.NOTHING_USED),
        ({"kind": Kind.REFUSE, "price_id": None}, Why.NOTHING_USED),
    ],
)
def test_lines_that_would_not_add_up_are_not_shown(change, why) -> None:
    """Without the price that billed it, a call has no lines: none is invented. It says why."""
    event = UsageEvent(**{"request_id": "x", "kind": Kind.SETTLE, "at_ms": 1, **FACTS, **change})

    found = arithmetic(event, Rating(BOOK))

    assert ((), why) == (found.items, found.why)


async def test_an_unpriced_call_costs_null(api) -> None:
    """No price is shown as none, never as 0."""
    await api.report(usage(model="unheard-of"))
    await api.flush()

    (row,) = await rows(api)
    log = (await api.get(f"/api/request-logs/{row['unique_id']}")).json()

    assert (None, None, None, None) == (
        row["cost"],
        row["charge"],
        log["cost_usd"],
        log["charge_usd"],
    )


async def test_filters_narrow_the_list_and_the_summary(api) -> None:
    """Each filter selects its rows; the summary is of the same rows."""
    await api.call("acme", **FACTS)
    await api.call("acme", **FACTS | {"model": "big", "status": Status.ERROR, "status_code": 500})
    await api.call("beta", **FACTS | {"app": "other"})
    await api.flush()

    for query, count in [
        ({}, 3),
        ({"customer_identifier": "acme"}, 2),
        ({"customer_identifier": "nobody"}, 0),
        ({"customer_identifier": "~x"}, 0),
        ({"model": "big"}, 1),
        ({"app": "other"}, 1),
        ({"status": "error"}, 1),
        ({"status_code": "200"}, 2),
        ({"customer_identifier": "acme", "status": "ok"}, 1),
        ({"model": ""}, 3),
    ]:
        response = (await api.get("/api/request-logs/list/", **query)).json()
        totals = (await api.get("/api/request-logs/summary/", **query)).json()
        assert (count, count) == (response["count"], len(response["results"])), query
        assert {
            "total_cost": pytest.approx(count * 0.0026),
            "total_tokens": count * 1100,
            "number_of_requests": count,
        } == totals


async def test_times_are_half_open(api) -> None:
    """A call at the start is in, one at the end is out; dates are days of the zone."""
    await api.report(usage())
    await api.flush()
    (event,) = await api.bench.events("acme")
    at, after = rfc3339(event.at_ms), rfc3339(event.at_ms + 1)

    assert 1 == len(await rows(api, start_time=at, end_time=after))
    assert 0 == len(await rows(api, start_time=after))
    assert 0 == len(await rows(api, end_time=at))
    assert 1 == len(await rows(api, start_time=at[:10]))
    assert 0 == len(await rows(api, end_time=at[:10]))
    assert 1 == len(await rows(api, start_time="2020-01-01T00:00:00 01:00"))


async def test_pages_show_each_row_once(api) -> None:
    """The newest first, or the oldest; every row on one page."""
    ids = [await api.call("acme", **FACTS) for _ in range(5)]
    await api.flush()

    pages = [await rows(api, page=page, page_size=2) for page in (1, 2, 3, 4)]

    assert [2, 2, 1, 0] == [len(page) for page in pages]
    newest = [row["unique_id"] for page in pages for row in page]
    assert sorted(ids) == sorted(newest)
    oldest = [row["unique_id"] for row in await rows(api, sort_by="id")]
    assert list(reversed(newest)) == oldest


@pytest.mark.parametrize(
    "query",
    [
        {"status": "fine"},
        {"status_code": "abc"},
        {"start_time": "yesterday"},
        {"end_time": "2026-13-01"},
        {"sort_by": "cost"},
        {"page_size": "0"},
        {"colour": "red"},
    ],
)
async def test_a_query_that_cannot_be_followed_is_refused(api, query) -> None:
    response = await api.get("/api/request-logs/list/", **query)

    assert (422, list(query)) == (response.status_code, list(response.json()["errors"]))


async def test_an_unknown_log_is_not_found(api) -> None:
    assert 404 == (await api.get("/api/request-logs/nothing/")).status_code
