"""Reported usage: counted once, priced exactly, refused with a reason."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.event import Kind, Source
from gateway.ledger.requests import new_request_id
from gateway.rating import Fallback, Rating, Unpriced
from gateway.store.client import Store
from gateway.store.replies import failed
from pricing.money import pico_usd
from pricing.names import OwnNames, Target

from .conftest import BARE_TOKEN, BOOK, MANAGER_TOKEN, OTHER_TOKEN, TOKEN, usage

pytestmark = pytest.mark.anyio

COST = "0.0013"
"""800 tokens at 1, 200 cached at 0.5, 100 out at 4 USD per million."""


async def test_the_usage_is_counted_and_priced(api) -> None:
    """202 says what it came to; the ledger and the log say the same."""
    response = await api.report(usage(metadata={"feature": "search"}))

    assert 202 == response.status_code
    body = response.json()
    assert ("accepted", False, COST) == (body["status"], body["duplicate"], body["costUsd"])
    assert pico_usd(COST) == await api.bench.spent("acme")
    (event,) = await api.bench.events("acme")
    assert body["eventId"] == event.request_id == response.headers["x-farebox-request-id"]
    assert (Kind.EVENT, Source.EVENT, "my-app", "small", "lab") == (
        event.kind,
        event.source,
        event.app,
        event.model,
        event.provider,
    )
    assert (800, 200, 100) == (
        event.usage.input_tokens,
        event.usage.cache_read_tokens,
        event.usage.output_tokens,
    )
    assert {"feature": "search"} == event.metadata


@pytest.mark.parametrize("header", ["Authorization", "api-key", "x-api-key"])
async def test_every_way_to_send_the_token(api, header) -> None:
    """What OpenAI's, Azure's and Anthropic's clients send is understood."""
    token = f"Bearer {TOKEN}" if header == "Authorization" else TOKEN

    response = await api.client.post("/v1/events/", json=usage(), headers={header: token})

    assert 202 == response.status_code


@pytest.mark.parametrize("consumer", [None, "", ...])
async def test_nobody_in_particular_is_anonymous(api, consumer) -> None:
    """Null, empty and absent are the anonymous customer, also under a prefix."""
    await api.report(usage(appId="other", consumerId=consumer), token=OTHER_TOKEN)

    assert pico_usd(COST) == await api.bench.spent("~anonymous")


async def test_the_prefix_of_an_app_keeps_its_customers_apart(api) -> None:
    """Two apps may use the same identifiers for different customers."""
    await api.report(usage(appId="other"), token=OTHER_TOKEN)

    assert (0, pico_usd(COST)) == (await api.bench.spent("acme"), await api.bench.spent("o/acme"))


@pytest.mark.parametrize("by_header", [False, True])
async def test_the_same_event_counts_once(api, by_header) -> None:
    """Sent three times under one id, in the body or the header, it is charged once."""
    event_id, headers = ("e-1", {}) if not by_header else (..., {"Idempotency-Key": "e-1"})

    answers = [await api.report(usage(eventId=event_id), headers=headers) for _ in range(3)]

    assert [202] * 3 == [answer.status_code for answer in answers]
    assert [False, True, True] == [answer.json()["duplicate"] for answer in answers]
    assert {("e-1", COST)} == {(a.json()["eventId"], a.json()["costUsd"]) for a in answers}
    assert 1 == len({answer.headers["x-farebox-request-id"] for answer in answers})
    assert pico_usd(COST) == await api.bench.spent("acme")


async def test_body_and_header_are_one_key(api) -> None:
    """An id means the same wherever it stands; two different ones are refused."""
    await api.report(usage(eventId="e-1"))

    again = await api.report(usage(), headers={"Idempotency-Key": "e-1"})
    both = await api.report(usage(eventId="e-1"), headers={"Idempotency-Key": "e-1"})
    other = await api.report(usage(eventId="e-1"), headers={"Idempotency-Key": "e-2"})

    assert (True, True) == (again.json()["duplicate"], both.json()["duplicate"])
    assert (400, "eventId") == (other.status_code, other.json()["error"]["param"])


async def test_the_same_id_for_another_usage_is_a_conflict(api) -> None:
    """409, and the first one stands."""
    await api.report(usage(eventId="e-1"))

    response = await api.report(usage(eventId="e-1", outputTokens=101))

    assert 409 == response.status_code
    assert "false" == response.headers["x-should-retry"]
    assert pico_usd(COST) == await api.bench.spent("acme")


async def test_an_id_is_scoped_to_app_and_customer(api) -> None:
    """Two apps, or two customers, may use the same id."""
    for consumer in ("acme", "beta"):
        answer = await api.report(usage(eventId="e-1", consumerId=consumer))
        assert not answer.json()["duplicate"]

    other = await api.report(usage(eventId="e-1", appId="boss"), token=MANAGER_TOKEN)

    assert not other.json()["duplicate"]
    assert 2 * pico_usd(COST) == await api.bench.spent("acme")


async def test_what_the_proxy_counted_is_not_counted_again(api) -> None:
    """An event named by one of our request ids is a duplicate, whatever it says."""
    response = await api.report(usage(eventId=new_request_id(1_700_000_000_000)))

    assert (202, True) == (response.status_code, response.json()["duplicate"])
    assert 0 == await api.bench.spent("acme")
    assert [] == await api.bench.events("acme")


async def test_an_event_is_not_refused_for_a_limit(api) -> None:
    """The money is spent: it is booked over the limit, and the next call is refused."""
    await api.post("/api/users/", {"customer_identifier": "acme", "period_budget": 0})

    response = await api.report(usage())

    assert 202 == response.status_code
    assert "-0.0013" == (await api.get("/api/users/acme/")).json()["remaining_usd"]


async def test_the_markup_is_charged(api) -> None:
    """The customer pays cost times markup; the provider's cost is kept beside it."""
    await api.post("/api/users/", {"customer_identifier": "acme", "markup_percentage": 50})

    response = await api.report(usage())

    assert "0.00195" == response.json()["costUsd"]
    (event,) = await api.bench.events("acme")
    assert (pico_usd("0.0013"), pico_usd("0.00195")) == (event.cost_pico, event.charge_pico)


async def test_a_dated_event_counts_on_its_day(api) -> None:
    """Usage of an earlier window is in the totals, and not in the window of now."""
    then = datetime.now(UTC) - timedelta(days=34)
    await api.report(usage(timestamp=then.isoformat()))
    await api.flush()

    detail = (await api.get("/api/users/acme/")).json()

    assert (0.0013, 0.0) == (detail["total_usage"], detail["total_period_usage"])
    assert detail["first_seen"].startswith(then.date().isoformat())


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"inputTokens": True}, "inputTokens"),
        ({"inputTokens": 1.0}, "inputTokens"),
        ({"inputTokens": "1"}, "inputTokens"),
        ({"inputTokens": -1}, "inputTokens"),
        ({"inputTokens": None}, "inputTokens"),
        ({"inputTokens": ...}, "inputTokens"),
        ({"inputTokens": 10**9 + 1}, "inputTokens"),
        ({"inputTokens": 10**30}, "inputTokens"),
        ({"outputTokens": False}, "outputTokens"),
        ({"outputTokens": ...}, "outputTokens"),
        ({"outputTokens": [1]}, "outputTokens"),
        ({"inputTokensCached": 1001}, "inputTokensCached"),
        ({"inputTokensCached": None}, "inputTokensCached"),
        ({"inputTokensCached": "0"}, "inputTokensCached"),
        ({"appId": ...}, "appId"),
        ({"appId": 5}, "appId"),
        ({"eventType": ...}, "eventType"),
        ({"eventType": "image_gen"}, "eventType"),
        ({"consumerId": "~anonymous"}, "consumerId"),
        ({"consumerId": True}, "consumerId"),
        ({"consumerId": "x" * 10_000}, "consumerId"),
        ({"consumerId": "a\nb"}, "consumerId"),
        ({"consumerId": {"a": 1}}, "consumerId"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"model": "a\0b"}, "model"),
        ({"provider": "x" * 257}, "provider"),
        ({"provider": "a\nb"}, "provider"),
        ({"eventId": ""}, "eventId"),
        ({"eventId": "x" * 129}, "eventId"),
        ({"eventId": 7}, "eventId"),
        ({"eventId": "a\nb"}, "eventId"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": 1_700_000_000}, "timestamp"),
        ({"timestamp": "2026-01-01"}, "timestamp"),
        ({"timestamp": "2026-01-01T00:00:00"}, "timestamp"),
        ({"timestamp": "2026-02-30T00:00:00Z"}, "timestamp"),
        ({"timestamp": "2020-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "timestamp"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "x" * 4096}}, "metadata"),
        ({"inputtokens": 5}, "inputtokens"),
        ({"costUsd": "0"}, "costUsd"),
    ],
)
async def test_a_faulty_event_is_named_and_not_counted(api, changes, param) -> None:
    """400 in OpenAI's shape, with the field; nothing is guessed, nothing is booked."""
    response = await api.report(usage(**changes))

    assert 400 == response.status_code
    error = response.json()["error"]
    assert ("invalid_request_error", param) == (error["type"], error["param"])
    assert error["message"].startswith(param)
    assert [] == await api.bench.events("acme")


async def test_r74_an_event_counts_when_it_happened_or_is_refused(api) -> None:
    """A day back: on its day. 40 days back, an hour ahead, NaN, -5 or 2^63: 400, uncounted."""
    now = datetime.now(UTC)
    faulty = [
        (usage(timestamp=(now - timedelta(days=40)).isoformat()), "timestamp"),
        (usage(timestamp=(now + timedelta(hours=1)).isoformat()), "timestamp"),
        (usage(inputTokens=-5), "inputTokens"),
        (usage(outputTokens=2**63), "outputTokens"),
    ]
    for content, param in faulty:
        refused = await api.report(content)
        assert (400, param) == (refused.status_code, refused.json()["error"]["param"])
    no_number = json.dumps(usage(inputTokens=float("nan"))).encode()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    refused = await api.client.post("/v1/events", content=no_number, headers=headers)
    assert (400, "invalid_json") == (refused.status_code, refused.json()["error"]["code"])
    assert [] == await api.bench.events("acme")

    yesterday = now - timedelta(days=1)
    ahead = now + timedelta(minutes=4)
    assert 202 == (await api.report(usage(timestamp=yesterday.isoformat()))).status_code
    assert 202 == (await api.report(usage(timestamp=ahead.isoformat()))).status_code
    await api.flush()
    active = (await api.get("/api/analytics/daily-active-users")).json()["data"]
    called = [day["date"] for day in active if day["active"]]
    assert [yesterday.date().isoformat(), now.date().isoformat()] == called
    latest = (await api.bench.events("acme"))[-1].at_ms
    assert latest < ahead.timestamp() * 1000  # ahead is taken as now


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"5", {}, 400),
        (b'{"events": {}}', {}, 400),
        (b'{"inputTokens": 1, "inputTokens": 2}', {}, 400),
        (b'{"metadata": {"a": "\\ud800"}}', {}, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b" " * 100_001, {}, 413),
        (b"{}", {"authorization": "Bearer nobody"}, 401),
        (b"{}", {"authorization": "Basic abc"}, 401),
        (b"{}", {"authorization": b"Bearer \xc3\xbc"}, 401),
    ],
)
async def test_an_unreadable_request_is_refused_in_the_same_shape(
    api, body, headers, status
) -> None:
    """Bad JSON, bad types and bad tokens: OpenAI's error object, and no retry."""
    given = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **headers}

    response = await api.client.post("/v1/events", content=body, headers=given)

    assert status == response.status_code
    assert {"message", "type", "param", "code"} <= set(response.json()["error"])
    assert "false" == response.headers["x-should-retry"]


async def test_the_token_is_checked_before_the_body(api) -> None:
    """Who has no token does not get to send a large body."""
    response = await api.client.post("/v1/events", content=b" " * 200_000)

    assert 401 == response.status_code


async def test_another_method_is_refused(api) -> None:
    response = await api.client.get("/v1/events")

    assert (405, "POST") == (response.status_code, response.headers["allow"])
    assert "method_not_allowed" == response.json()["error"]["code"]


async def test_an_app_speaks_for_itself_only(api) -> None:
    """A token and another app's id: 403, nothing counted."""
    response = await api.report(usage(appId="other"))

    assert (403, "appId") == (response.status_code, response.json()["error"]["param"])
    assert [] == await api.bench.events("acme")


async def test_an_event_needs_a_model_from_somewhere(api) -> None:
    """An app without a default model must name one, and is told so."""
    refused = await api.report(usage(appId="bare"), token=BARE_TOKEN)
    accepted = await api.report(usage(appId="bare", model="small"), token=BARE_TOKEN)

    assert (400, "model") == (refused.status_code, refused.json()["error"]["param"])
    assert COST == accepted.json()["costUsd"]


async def test_a_model_without_a_price_is_never_free(api) -> None:
    """Its usage is counted, its cost is left open: null, not 0."""
    for _ in range(2):
        response = await api.report(usage(model="unheard-of", eventId="e-1"))
        assert (202, None) == (response.status_code, response.json()["costUsd"])
    await api.flush()

    detail = (await api.get("/api/users/acme/")).json()

    assert (1, 1100, 1) == (
        detail["number_of_requests"],
        detail["total_tokens"],
        detail["usage_sources"]["unpriced_requests"],
    )


async def test_a_free_model_costs_nothing(api) -> None:
    """An explicit zero is a price: "0", not null."""
    assert "0" == (await api.report(usage(model="gift"))).json()["costUsd"]


async def test_unpriced_can_be_refused_or_priced_at_a_fallback(api) -> None:
    """`reject` refuses what has no price; a fallback prices it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    rejecting = Rating(BOOK, unpriced=Unpriced.REJECT)
    fallback = Rating(BOOK, unpriced=Fallback(input_usd="10", output_usd="30", output_max_tokens=1))
    answers = []
    for rating in (rejecting, fallback):
        async with api.serving(rating=rating) as client:
            body = usage(model="unheard-of")
            answers.append(await client.post("/v1/events", json=body, headers=headers))

    refused, priced = answers
    assert (400, "model_not_priced") == (refused.status_code, refused.json()["error"]["code"])
    assert "0.013" == priced.json()["costUsd"]


@pytest.mark.parametrize("wrapped", [False, True])
async def test_each_event_of_a_batch_stands_alone(api, wrapped) -> None:
    """The good ones count, the others say what is wrong, in the order they were sent."""
    batch = [
        usage(eventId="1"),
        usage(eventId="1"),
        usage(eventId="1", outputTokens=5),
        usage(eventId="2", inputTokens=True),
        usage(eventId="3", appId="other"),
        usage(),
        "nonsense",
    ]

    response = await api.report({"events": batch} if wrapped else batch)

    assert 202 == response.status_code
    body = response.json()
    assert (2, 1, 4) == (body["accepted"], body["duplicates"], body["rejected"])
    statuses = [result["status"] for result in body["results"]]
    assert ["accepted", "duplicate", "conflict", *["rejected"] * 2, "accepted", "rejected"] == (
        statuses
    )
    params = [result["error"] and result["error"]["param"] for result in body["results"]]
    assert [None, None, "eventId", "inputTokens", "appId", None, None] == params
    assert 2 * pico_usd(COST) == await api.bench.spent("acme")


async def test_r24_a_batch_says_what_became_of_each(api) -> None:
    """New, counted before, twice in the batch, wrong: four states, and only the new one counts."""
    await api.report(usage(eventId="before"))
    batch = [
        usage(eventId="new"),
        usage(eventId="before"),
        usage(eventId="new"),
        usage(eventId="wrong", outputTokens=-1),
        usage(eventId="before", outputTokens=101),
    ]

    first, again = [(await api.report(batch)).json() for _ in range(2)]
    await api.flush()

    assert ["accepted", "duplicate", "duplicate", "rejected", "conflict"] == statuses(first)
    assert (1, 2, 2) == (first["accepted"], first["duplicates"], first["rejected"])
    wrong, conflict = [result["error"] for result in first["results"][3:]]
    assert ("outputTokens", "event_conflict") == (wrong["param"], conflict["code"])
    assert ["duplicate", "duplicate", "duplicate", "rejected", "conflict"] == statuses(again)
    assert (0, 3, 2) == (again["accepted"], again["duplicates"], again["rejected"])
    assert first["results"][1:] == again["results"][1:]
    assert COST == again["results"][0]["costUsd"]
    assert 2 == len(await api.bench.events("acme"))
    assert 2 * pico_usd(COST) == await api.bench.spent("acme")
    user = (await api.get("/api/users/acme/")).json()
    assert (2, 2 * 1_100) == (user["number_of_requests"], user["total_tokens"])


def statuses(body):
    return [result["status"] for result in body["results"]]


async def test_a_large_batch_for_new_customers_is_counted_whole(api) -> None:
    """A thousand events of customers nobody knew, in one request."""
    batch = [usage(consumerId=f"c{i % 3}", eventId=str(i), metadata=...) for i in range(700)]

    body = (await api.report(batch)).json()

    assert 700 == body["accepted"]
    spent = [await api.bench.spent(f"c{i}") for i in range(3)]
    assert 700 * pico_usd(COST) == sum(spent)


@pytest.mark.parametrize("batch", [[{}] * 1001, {"events": [], "more": 1}])
async def test_a_batch_has_its_form(api, batch) -> None:
    response = await api.report(batch)

    assert 400 == response.status_code


async def test_a_batch_has_an_id_for_each_event(api) -> None:
    """One key for many events would make all but the first a conflict."""
    response = await api.report([usage()], headers={"Idempotency-Key": "e-1"})

    assert 400 == response.status_code


async def test_without_the_ledger_nothing_is_taken(api, monkeypatch) -> None:
    """503, to be sent again; a batch that was taken in part says which part."""

    def away(self, name, keys, args, **kwargs):
        if keys[0].endswith("n:acme"):
            return failed("The ledger is not reachable; try again shortly.")
        return script(self, name, keys, args, **kwargs)

    script = Store.script
    monkeypatch.setattr(Store, "script", away)

    single = await api.report(usage())
    batch = await api.report([usage(), usage()])
    partly = await api.report([usage(eventId="1"), usage(consumerId="beta", eventId="2")])

    assert (503, 503, 202) == (single.status_code, batch.status_code, partly.status_code)
    assert ("true", "ledger_unavailable") == (
        single.headers["x-should-retry"],
        single.json()["error"]["code"],
    )
    assert ["rejected", "accepted"] == [r["status"] for r in partly.json()["results"]]


@pytest.mark.parametrize(
    ("told", "provider", "priced"),
    [
        ({"model": "fast"}, "lab", True),
        ({"model": "prod"}, "azure", False),
        ({"model": "fast", "provider": "lab"}, "lab", True),
        ({"model": "fast", "provider": "other"}, "other", False),
    ],
)
async def test_an_operators_name_is_priced_as_what_it_stands_for(
    api, told, provider, priced
) -> None:
    """Its provider is that of the target, where the report names none."""
    names = OwnNames(aliases={"fast": Target("lab", "small"), "prod": Target("azure", "gpt-4o")})
    async with api.serving(rating=Rating(BOOK.named(names))) as client:
        response = await client.post(
            "/v1/events", json=usage(**told), headers={"Authorization": f"Bearer {TOKEN}"}
        )

    assert (COST if priced else None) == response.json()["costUsd"]
    (event,) = await api.bench.events("acme")
    assert (told["model"], provider) == (event.model, event.provider)
