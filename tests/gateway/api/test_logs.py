"""Logs: every event is a row, opened it explains its price."""

from typing import Any

import pytest

from gateway.arithmetic import Why, arithmetic
from gateway.clock import rfc3339
from gateway.event import Kind, Source, Status, UsageEvent
from gateway.rating import Rating
from gateway.store.archive import LogFilter, Wanted, listing
from pricing.money import pico_usd
from pricing.usage import Usage

from .conftest import BOOK, admin, usage

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
        {"sort_by": "colour"},
        {"page_size": "0"},
        {"cost": "1e999999"},
        {"latency": "-1e9999999"},
        {"status_code": "2147483648"},
        {"start_time": "2026-11-29", "end_time": "2026-11-28"},
        {"colour": "red"},
    ],
)
async def test_a_query_that_cannot_be_followed_is_refused(api, query) -> None:
    response = await api.get("/api/request-logs/list/", **query)

    assert (422, list(query)[:1]) == (response.status_code, list(response.json()["errors"]))


async def test_an_unknown_log_is_not_found(api) -> None:
    assert 404 == (await api.get("/api/request-logs/nothing/")).status_code


async def found(api, filters: object, **query) -> list[str]:
    """Models of the rows that a body's filters leave, the oldest first."""
    response = await api.client.post(
        "/api/request-logs/list/",
        params={"sort_by": "id", **query},
        json={"filters": filters},
        headers=admin(),
    )
    assert 200 == response.status_code, response.text
    totals = await api.post("/api/request-logs/summary/", {"filters": filters})
    calls = [row for row in response.json()["results"] if row["status"] != "rejected"]
    assert len(calls) == totals.json()["number_of_requests"]
    return [row["model"] for row in response.json()["results"]]


BODIES = [
    ({}, "a b c d"),
    ({"cost": {"operator": "gt", "value": [2.0]}}, "c d"),
    ({"cost": {"operator": "gte", "value": ["2"]}}, "b c d"),
    ({"cost": {"operator": "lt", "value": [2]}}, "a"),
    ({"charge": {"operator": "lte", "value": [2]}}, "a"),
    ({"model": {"operator": "", "value": "b"}}, "b"),
    ({"model": {"value": ["a", "d"]}}, "a d"),
    ({"model": {"operator": "in", "value": ["a", "d"]}}, "a d"),
    ({"model": {"operator": "not", "value": ["a", "d"]}}, "b c"),
    ({"model": {"operator": "iexact", "value": ["B"]}}, "b"),
    ({"model": {"operator": "gt", "value": ["b"]}}, "c d"),
    ({"endpoint": {"operator": "startswith", "value": ["chat/"]}}, "a b"),
    ({"endpoint": {"operator": "endswith", "value": ["s"]}}, "a b c"),
    ({"endpoint": {"operator": "contains", "value": ["mbed"]}}, "c"),
    ({"endpoint": {"operator": "contains", "value": ["MBED"]}}, ""),
    ({"endpoint": {"operator": "icontains", "value": ["MBED"]}}, "c"),
    ({"endpoint": {"operator": "contains", "value": ["%"]}}, ""),
    ({"endpoint": {"operator": "isnull", "value": [True]}}, "d"),
    ({"endpoint": {"operator": "isnull", "value": [False]}}, "a b c"),
    ({"latency": {"operator": "gt", "value": [1.5]}}, "b c d"),
    ({"time_to_first_token": {"operator": "isnull", "value": [True]}}, "a b c d"),
    ({"failed": {"value": [True]}}, "c"),
    ({"failed": {"operator": "not", "value": [True]}}, "a b d"),
    ({"stream": {"value": ["true"]}}, ""),
    ({"status": {"operator": "not", "value": ["ok"]}}, "c"),
    ({"status_code": {"operator": "gte", "value": [400]}}, "c"),
    ({"status_code": {"value": [500]}}, "c"),
    ({"status_code": {"value": [200.5]}}, ""),
    ({"status_code": {"operator": "in", "value": ["499.5", 500]}}, "c"),
    ({"status_code": {"operator": "not", "value": [200.5]}}, "a b c d"),
    ({"prompt_tokens": {"operator": "lt", "value": [2.5]}}, "a b"),
    ({"prompt_tokens": {"operator": "lte", "value": [2.5]}}, "a b"),
    ({"prompt_tokens": {"operator": "gt", "value": [2.5]}}, "c d"),
    ({"prompt_tokens": {"operator": "gte", "value": [2.5]}}, "c d"),
    ({"cost": {"operator": "lt", "value": ["1.0000000000005"]}}, "a"),
    ({"customer_identifier": {"operator": "startswith", "value": ["ac"]}}, "a b"),
    ({"customer_identifier": {"operator": "icontains", "value": ["ET"]}}, "c d"),
    ({"customer_identifier": {"operator": "in", "value": ["acme", "beta"]}}, "a b c d"),
    ({"customer_identifier": {"operator": "not", "value": ["acme"]}}, "c d"),
    ({"customer_email": {"operator": "endswith", "value": ["@acme.example"]}}, "a b"),
    ({"metadata": {"operator": "contains", "value": ['"tag":"x"']}}, "b"),
    ({"prompt_tokens": {"operator": "gt", "value": [1]}, "model": {"value": "b"}}, "b"),
    ({"timestamp": {"operator": "gt", "value": ["2020-01-01"]}}, "a b c d"),
    ({"timestamp": {"operator": "lte", "value": ["2020-01-01T00:00:00Z"]}}, ""),
]


async def test_body_filters_have_every_operator(api) -> None:
    """Exactly the rows that meet all of them; the summary is of the same."""
    await api.post("/api/users/", {"customer_identifier": "acme", "email": "a@acme.example"})
    for place, (model, customer) in enumerate(
        [("a", "acme"), ("b", "acme"), ("c", "beta"), ("d", "beta")], 1
    ):
        await api.call(
            customer,
            model=model,
            at_ms=api.bench.clock.now_ms() - 1_000 + place,
            cost_pico=place * 10**12,
            charge_pico=2 * place * 10**12,
            endpoint={"a": "chat/completions", "b": "chat/completions", "c": "embeddings"}.get(
                model, ""
            ),
            status=Status.ERROR if model == "c" else Status.OK,
            status_code=500 if model == "c" else 200,
            usage=Usage(input_tokens=place),
            latency_ms=place * 1_000,
            metadata={"tag": "x"} if model == "b" else None,
        )
    await api.flush()

    for filters, expected in BODIES:
        assert expected == " ".join(await found(api, filters)), filters


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"colour": {"value": ["red"]}}, "filters.colour"),
        ({"model": "small"}, "filters.model"),
        ({"model": {"operator": "like", "value": ["x"]}}, "filters.model"),
        ({"model": {"operator": "gt", "value": []}}, "filters.model"),
        ({"cost": {"operator": "contains", "value": [1]}}, "filters.cost"),
        ({"cost": {"operator": "gt", "value": ["much"]}}, "filters.cost"),
        ({"cost": {"operator": "gt", "value": ["NaN"]}}, "filters.cost"),
        ({"cost": {"operator": "gt", "value": [10**30]}}, "filters.cost"),
        ({"cost": {"operator": "gt", "value": ["1e999999"]}}, "filters.cost"),
        ({"failed": {"operator": "gt", "value": [True]}}, "filters.failed"),
        ({"failed": {"value": ["maybe"]}}, "filters.failed"),
        ({"status": {"value": ["fine"]}}, "filters.status"),
        ({"timestamp": {"operator": "gt", "value": ["soon"]}}, "filters.timestamp"),
        ({"customer_identifier": {"operator": "isnull", "value": [True]}}, "filters.customer"),
        ([], "filters"),
    ],
)
async def test_a_filter_that_cannot_be_followed_is_refused(api, filters, field) -> None:
    """It names itself; nothing is shown that was not asked for."""
    response = await api.post("/api/request-logs/list/", {"filters": filters})

    assert 422 == response.status_code
    assert next(iter(response.json()["errors"])).startswith(field)


async def test_rows_have_the_fields_that_are_asked_for(api) -> None:
    await api.call("acme", **FACTS)
    await api.flush()

    (row,) = await rows(api, include_fields="model, cost")
    unknown = await api.get("/api/request-logs/list/", include_fields="model,colour")

    assert {"model": "small", "cost": 0.0013} == row
    assert (422, ["include_fields"]) == (unknown.status_code, list(unknown.json()["errors"]))


async def test_next_leads_through_everything(api) -> None:
    """By number, then by place: each row once, however deep."""
    ids = [await api.call("acme", **FACTS) for _ in range(7)]
    await api.flush()
    first = (await api.get("/api/request-logs/list/", page_size=2)).json()
    middle = (await api.get("/api/request-logs/list/", page_size=2, page=2)).json()
    archive = api.services.archive
    place = (await archive.page(Wanted(filter=LogFilter(), size=2))).following

    assert "page=2" in first["next"]
    seen = [row["unique_id"] for row in first["results"]]
    address = f"/api/request-logs/list/?page_size=2&after={place.at_ms}-{place.row_id}"
    while address:
        found = (await api.client.get(address, headers=admin())).json()
        seen += [row["unique_id"] for row in found["results"]]
        address = found["next"]

    assert middle["results"] == (await rows(api, page_size=2, page=2))
    assert sorted(ids) == sorted(seen)


async def test_pages_end_where_places_begin(api) -> None:
    """A page at a depth that would have to be counted to is not offered."""
    response = await api.get("/api/request-logs/list/", page=1_000, page_size=100)

    assert (422, ["page"]) == (response.status_code, list(response.json()["errors"]))


@pytest.mark.parametrize("sort", ["cost", "charge", "latency", "prompt_tokens"])
async def test_other_orders(api, sort) -> None:
    """Greatest or least first; what is not known comes last."""
    for place in (2, 3, 1):
        await api.call(
            "acme",
            cost_pico=place,
            charge_pico=place,
            latency_ms=place,
            usage=Usage(input_tokens=place),
            model=str(place),
        )
    await api.call("acme", model="0")
    await api.flush()
    last = ["0"] if sort == "latency" else []

    up = [row["model"] for row in await rows(api, sort_by=sort)]
    down = [row["model"] for row in await rows(api, sort_by=f"-{sort}")]

    assert [*(["0"] if not last else []), "1", "2", "3", *last] == up
    assert ["3", "2", "1", "0"] == down


async def test_a_long_list_says_that_it_was_not_counted(api, monkeypatch) -> None:
    """A filter without an index looks at so many rows a page, and goes on from there."""
    monkeypatch.setattr(listing, "WALKED_MAX", 4)
    for place in range(10):
        await api.call("acme", model="m", endpoint="wanted" if place == 0 else "chat")
    await api.flush()
    seen, pages, address = [], 0, "/api/request-logs/list/?endpoint=wanted&page_size=5"

    while address:
        page = (await api.client.get(address, headers=admin())).json()
        seen += page["results"]
        pages, address = pages + 1, page["next"]
        assert address is None or page["count_exact"] is False

    assert (1, 3) == (len(seen), pages)
