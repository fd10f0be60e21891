"""Users: what management writes is what calls are held to, and what is read back."""

from urllib.parse import quote

import pytest

from gateway.clock import rfc3339
from pricing.money import pico_usd
from pricing.usage import Usage

pytestmark = pytest.mark.anyio

DETAIL = {
    "id",
    "customer_identifier",
    "name",
    "email",
    "first_seen",
    "last_active_timeframe",
    "active_days",
    "number_of_requests",
    "total_tokens",
    "total_cost",
    "average_latency",
    "average_ttft",
    "period_budget",
    "budget_duration",
    "total_period_usage",
    "period_start",
    "period_end",
    "total_budget",
    "total_usage",
    "total_requests",
    "total_prompt_tokens",
    "total_completion_tokens",
    "total_cache_hits",
    "average_monthly_cost",
    "top_models",
    "warnings",
    "last_active",
    "created_at",
    "updated_at",
    "metadata",
    "group_identifier",
    "markup_percentage",
    "rate_limit",
    "blocked",
    "pinned",
    "spent_usd",
    "held_usd",
    "remaining_usd",
    "resets_at",
    "usage_sources",
    "credits_usd",
    "carried_over_usd",
    "overshoot_usd",
}

HOSTILE = [
    "a/b",
    "https://x.example/a?b=c#d",
    "ü ö/é:%2F",
    "🦊",
    "100%",
    "..",
    "create me",
    "a+b&c=d",
    "%6Cist",
    "'; DROP TABLE events;--",
    "<script>",
]


@pytest.mark.parametrize("path", ["/api/users/create/", "/api/users/create", "/api/users/"])
async def test_create_answers_the_detail(api, path) -> None:
    """A customer exists before its first call, with every field that was given."""
    given = {
        "customer_identifier": "acme",
        "name": "Acme",
        "email": "a@acme.example",
        "period_budget": 10.5,
        "total_budget": "100",
        "budget_duration": "daily",
        "markup_percentage": 12.5,
        "rate_limit": 60,
        "metadata": {"plan": "gold"},
        "group_identifier": "group-1",
    }

    response = await api.post(path, given)

    assert 201 == response.status_code
    detail = response.json()
    expected = given | {"total_budget": 100.0, "blocked": False, "total_period_usage": 0.0}
    assert expected == {name: detail[name] for name in expected}
    assert sorted(set(given) - {"customer_identifier"}) == detail["pinned"]
    assert ("0", "0", "10.5") == (detail["spent_usd"], detail["held_usd"], detail["remaining_usd"])
    assert detail == (await api.get("/api/users/acme/")).json()


async def test_create_twice_is_a_conflict(api) -> None:
    """Creating a customer that exists changes nothing and says so."""
    await api.post("/api/users/", {"customer_identifier": "acme", "name": "first"})

    response = await api.post("/api/users/create/", {"customer_identifier": "acme", "name": "2nd"})

    assert 409 == response.status_code
    assert "first" == (await api.get("/api/users/acme")).json()["name"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "customer_identifier"),
        ({"customer_identifier": None}, "customer_identifier"),
        ({"customer_identifier": ""}, "customer_identifier"),
        ({"customer_identifier": "~anonymous"}, "customer_identifier"),
        ({"customer_identifier": "x" * 257}, "customer_identifier"),
        ({"customer_identifier": "x" * 10_000}, "customer_identifier"),
        ({"customer_identifier": "a\u0000b"}, "customer_identifier"),
        ({"customer_identifier": ["a"]}, "customer_identifier"),
        ({"customer_identifier": "a", "period_budget": "abc"}, "period_budget"),
        ({"customer_identifier": "a", "period_budget": -1}, "period_budget"),
        ({"customer_identifier": "a", "period_budget": True}, "period_budget"),
        ({"customer_identifier": "a", "total_budget": 9_000_001}, "total_budget"),
        ({"customer_identifier": "a", "perod_budget": 5}, "perod_budget"),
        ({"customer_identifier": "a", "budget_duration": "hourly"}, "budget_duration"),
        ({"customer_identifier": "a", "email": "nobody"}, "email"),
        ({"customer_identifier": "a", "blocked": "yes"}, "blocked"),
        ({"customer_identifier": "a", "metadata": {"a": "x" * 5000}}, "metadata"),
        ({"customer_identifier": "a", "period_end": "2026-01-01"}, "period_end"),
        (
            {"customer_identifier": "a", "period_start": "2026-02-01", "period_end": "2026-01-01"},
            "period_end",
        ),
    ],
)
async def test_a_faulty_field_is_named_and_nothing_is_written(api, content, field) -> None:
    """422 names each field with what is expected of it; no customer comes of it."""
    response = await api.post("/api/users/create/", content)

    assert 422 == response.status_code
    body = response.json()
    assert "Validation error" == body["detail"]
    assert [field] == list(body["errors"])
    assert isinstance(body["errors"][field], list)
    assert 0 == (await api.get("/api/users/list/")).json()["count"]


async def test_every_faulty_field_is_named_at_once(api) -> None:
    """Who fills in a form sees all that is wrong with it."""
    content = {"customer_identifier": "a", "email": "x", "rate_limit": 0, "name": 5}

    response = await api.post("/api/users/create/", content)

    assert {"email", "rate_limit", "name"} == set(response.json()["errors"])


async def test_a_misspelt_field_gets_a_hint(api) -> None:
    """A constant with a typing error must not look as if it had set a limit."""
    response = await api.post("/api/users/", {"customer_identifier": "a", "perod_budget": 5})

    assert "did you mean period_budget?" in response.json()["errors"]["perod_budget"][0]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b'"text"', {}, 400),
        (b"\xff\xfe{}", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"customer_identifier": "a", "customer_identifier": "b"}', {}, 400),
        (b'{"customer_identifier": NaN}', {}, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-encoding": "gzip"}, 415),
        (b" " * 100_001, {}, 413),
    ],
)
async def test_an_unreadable_body_is_refused(api, body, headers, status) -> None:
    """Broken JSON, doubled keys, foreign types, oversized bodies: a 4xx with a reason."""
    key = {"authorization": "Bearer admin-key", "content-type": "application/json"}

    response = await api.client.post("/api/users/create/", content=body, headers=key | headers)

    assert status == response.status_code
    assert isinstance(response.json()["detail"], str)


@pytest.mark.parametrize("identifier", HOSTILE)
async def test_any_identifier_can_be_asked_for(api, identifier) -> None:
    """Slashes, percent signs and any Unicode survive the way through a path."""
    created = await api.post("/api/users/", {"customer_identifier": identifier})
    assert 201 == created.status_code
    segment = quote(identifier, safe="").replace(".", "%2E")

    shown = [
        await api.get(f"/api/users/{segment}/"),
        await api.get(f"/api/users/{segment}"),
        await api.get(f"/api/user/detail/{segment}"),
        await api.get("/api/user/detail/", customer_identifier=identifier),
        await api.get("/api/users/", customer_identifier=identifier),
        await api.patch(f"/api/users/{segment}/", {}),
        await api.patch("/api/user/update/", {}, customer_identifier=identifier),
    ]

    assert [(200, identifier)] * 7 == [
        (response.status_code, response.json()["customer_identifier"]) for response in shown
    ]


async def test_names_of_paths_can_be_identifiers(api) -> None:
    """A customer called `list` or `create` is shown by the query, and listed."""
    for name in ("list", "create"):
        await api.post("/api/users/", {"customer_identifier": name})
        shown = await api.get("/api/users/", customer_identifier=name)
        assert name == shown.json()["customer_identifier"]

    assert 2 == (await api.get("/api/users/list/")).json()["count"]


@pytest.mark.parametrize("segment", ["nobody", "~x", "%00", "x" * 300])
async def test_an_unknown_customer_is_not_found(api, segment) -> None:
    """404 with a reason, for what is not there and for what can never be."""
    for response in (
        await api.get(f"/api/users/{segment}/"),
        await api.patch(f"/api/users/{segment}/", {"name": "x"}),
    ):
        assert 404 == response.status_code
        assert response.json()["detail"]


async def test_equal_text_is_one_customer(api) -> None:
    """Composed and decomposed Unicode name the same customer."""
    await api.post("/api/users/", {"customer_identifier": "é"})

    assert 200 == (await api.get("/api/users/" + quote("é"))).status_code


@pytest.mark.parametrize("path", ["/api/users/acme/", "/api/user/update/acme"])
async def test_change_sets_pins_and_removes(api, path) -> None:
    """PATCH changes only what it names; null removes a field and its pin."""
    created = {"customer_identifier": "acme", "name": "Acme", "period_budget": 10, "rate_limit": 5}
    await api.post("/api/users/", created)

    response = await api.patch(path, {"period_budget": "20.25", "name": None, "blocked": True})

    assert 200 == response.status_code
    detail = response.json()
    assert (20.25, None, 5, True) == (
        detail["period_budget"],
        detail["name"],
        detail["rate_limit"],
        detail["blocked"],
    )
    assert ["blocked", "period_budget", "rate_limit"] == detail["pinned"]


async def test_what_management_sets_a_call_does_not_change(api) -> None:
    """A raise by finance outlives the constant in an application's code."""
    await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 50})

    await api.bench.hold("acme", 1, total_budget=pico_usd("1"))

    assert 50.0 == (await api.get("/api/users/acme/")).json()["total_budget"]


async def test_a_change_keeps_the_identifier(api) -> None:
    """A body may repeat the identifier, and may not change it."""
    await api.post("/api/users/", {"customer_identifier": "acme"})

    same = await api.patch("/api/users/acme/", {"customer_identifier": "acme", "name": "A"})
    other = await api.patch("/api/users/acme/", {"customer_identifier": "b", "name": "B"})

    assert (200, 422) == (same.status_code, other.status_code)
    assert ["customer_identifier"] == list(other.json()["errors"])


async def test_metadata_is_merged_and_stays_small(api) -> None:
    """Keys are added one by one; what would grow too large is refused, not dropped."""
    await api.post("/api/users/", {"customer_identifier": "acme", "metadata": {"a": "x" * 3000}})

    merged = await api.patch("/api/users/acme/", {"metadata": {"b": 1}})
    refused = await api.patch("/api/users/acme/", {"metadata": {"c": "x" * 3000}})

    assert {"a", "b"} == set(merged.json()["metadata"])
    assert (422, ["metadata"]) == (refused.status_code, list(refused.json()["errors"]))


async def test_detail_adds_up(api) -> None:
    """Money is the ledger's at once; counts follow when the flusher has passed."""
    await api.post("/api/users/", {"customer_identifier": "acme", "period_budget": 10})
    facts = {
        "charge_pico": pico_usd("1.25"),
        "cost_pico": pico_usd("1"),
        "model": "small",
        "usage": Usage(input_tokens=10, cache_read_tokens=5, output_tokens=7),
        "latency_ms": 1500,
        "first_token_ms": 250,
    }
    await api.call("acme", **facts)
    held = await api.bench.hold("acme", pico_usd("0.5"))
    await api.flush()

    detail = (await api.get("/api/users/acme/")).json()

    expected = {
        "number_of_requests": 1,
        "total_requests": 1,
        "total_tokens": 22,
        "total_prompt_tokens": 15,
        "total_completion_tokens": 7,
        "total_cost": 1.25,
        "total_usage": 1.25,
        "total_period_usage": 1.25,
        "total_cache_hits": 1,
        "top_models": {"small": 1},
        "average_monthly_cost": 1.25,
        "average_latency": 1.5,
        "average_ttft": 0.25,
        "active_days": 1,
        "spent_usd": "1.25",
        "held_usd": "0.5",
        "remaining_usd": "8.25",
        "resets_at": rfc3339(held.terms.period_resets_ms or 0),
        "period_end": rfc3339(held.terms.period_resets_ms or 0),
        "usage_sources": {
            "reported_usd": "1.25",
            "estimated_usd": "0",
            "unresolved_usd": "0",
            "unpriced_requests": 0,
        },
    }
    assert expected == {name: detail[name] for name in expected}
    assert DETAIL == set(detail)


async def test_anonymous_is_shown_and_has_no_limits(api) -> None:
    """The anonymous customer can be looked at; a limit on it would have no effect."""
    await api.call("~anonymous", charge_pico=7, cost_pico=7)

    shown = await api.get("/api/users/~anonymous/")
    refused = await api.patch("/api/users/~anonymous/", {"period_budget": 1})

    assert "0.000000000007" == shown.json()["spent_usd"]
    assert (422, ["period_budget"]) == (refused.status_code, list(refused.json()["errors"]))
