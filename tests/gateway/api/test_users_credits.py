"""Credits: what a customer may spend beside its total budget; once, and in the books."""

import asyncio

import pytest

from gateway.errors import BudgetExceeded, BudgetInFlight
from pricing.money import pico_usd

pytestmark = pytest.mark.anyio

CREDITS = "/api/users/acme/credits/"


async def shown(api, *names):
    detail = (await api.get("/api/users/acme/")).json()
    return tuple(detail[name] for name in names)


async def test_a_credit_raises_what_remains_of_the_total(api) -> None:
    """At once, for a gateway that knew the customer before; the period's limit stays."""
    await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 1})
    await api.bench.settle(await api.bench.hold("acme", pico_usd("1")), pico_usd("1"))
    with pytest.raises(BudgetExceeded):
        await api.bench.hold("acme", 1)

    answer = await api.post(CREDITS, {"amount_usd": "2.5", "reason": "goodwill"})

    assert 201 == answer.status_code
    expected = {
        "customer_identifier": "acme",
        "amount_usd": "2.5",
        "reason": "goodwill",
        "duplicate": False,
        "credits_usd": "2.5",
        "remaining_usd": "2.5",
    }
    assert expected == {name: answer.json()[name] for name in expected}
    await api.bench.hold("acme", pico_usd("2.5"))
    with pytest.raises(BudgetInFlight) as refused:
        await api.bench.hold("acme", 1)
    assert ("3.5", "1") == (refused.value.details["limit_usd"], refused.value.details["spent_usd"])
    await api.patch("/api/users/acme/", {"period_budget": 1})
    with pytest.raises(BudgetExceeded):
        await api.bench.hold("acme", 1)


async def test_a_credit_can_be_taken_back(api) -> None:
    """Below what is spent, too: then nothing remains."""
    await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 1})
    await api.bench.settle(await api.bench.hold("acme", pico_usd("0.75")), pico_usd("0.75"))

    await api.post(CREDITS, {"amount_usd": -1.5})

    assert ("-1.5", "-1.25", "0.75") == await shown(
        api, "credits_usd", "remaining_usd", "spent_usd"
    )
    with pytest.raises(BudgetExceeded):
        await api.bench.hold("acme", 1)


async def test_a_key_credits_once(api) -> None:
    """However often it is sent, by however many; for another credit it is a conflict."""
    await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 1})
    await api.post("/api/users/", {"customer_identifier": "other"})
    credit = {"amount_usd": 5, "reason": "r", "idempotency_key": "invoice 7"}

    answers = await asyncio.gather(*(api.post(CREDITS, credit) for _ in range(8)))
    other = await api.post(CREDITS, {**credit, "amount_usd": 6})
    of_other = await api.post("/api/users/other/credits/", credit)

    assert [200] * 7 + [201] == sorted(answer.status_code for answer in answers)
    assert 1 == len({answer.json()["id"] for answer in answers})
    assert (409, 201) == (other.status_code, of_other.status_code)
    assert ("5", "6") == await shown(api, "credits_usd", "remaining_usd")


async def test_a_credit_is_an_event_and_no_usage(api) -> None:
    """In the logs, with its reason; in no total of what was used; and the books add up."""
    await api.post("/api/users/", {"customer_identifier": "acme"})
    answer = await api.post(CREDITS, {"amount_usd": "0.5", "reason": "goodwill"})
    await api.call("acme", charge_pico=7, cost_pico=7)
    await api.flush()

    log = (await api.get(f"/api/request-logs/{answer.json()['id']}")).json()
    summary = (await api.get("/api/analytics/summary")).json()

    assert ("credit", "0.5", {"reason": "goodwill"}) == (
        log["kind"],
        log["credit_usd"],
        log["metadata"],
    )
    assert ("acme", 0.0) == (log["customer_identifier"], log["charge"])
    assert (1, 7e-12) == (summary["requests"], summary["total_charge"])
    assert (1, "0.000000000007", None) == await shown(
        api, "number_of_requests", "spent_usd", "remaining_usd"
    )
    assert [] == await api.differences()
    await api.bench.command("HINCRBY", *await account(api), 1)
    (found,) = await api.differences()
    assert ("spent", "credit", 1) == (found.finding.value, found.subject, found.amount)


async def account(api):
    profile = await api.bench.directory.load("acme")
    partition = api.bench.directory.partition_of("acme")
    return partition.account(profile.number), "credit"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "amount_usd"),
        ({"amount_usd": 0}, "amount_usd"),
        ({"amount_usd": "x"}, "amount_usd"),
        ({"amount_usd": True}, "amount_usd"),
        ({"amount_usd": 9_000_001}, "amount_usd"),
        ({"amount_usd": "-9000001"}, "amount_usd"),
        ({"amount_usd": "0.0000000000001"}, "amount_usd"),
        ({"amount_usd": 1, "reason": 5}, "reason"),
        ({"amount_usd": 1, "idempotency_key": ""}, "idempotency_key"),
        ({"amount_usd": 1, "idempotency_key": "x" * 129}, "idempotency_key"),
        ({"amount_usd": 1, "idempotency_key": "x" * 1_000}, "idempotency_key"),
        ({"amount_usd": 1, "amount": 1}, "amount"),
    ],
)
async def test_a_faulty_credit_is_refused(api, content, field) -> None:
    """422 names the field; nothing is credited."""
    await api.post("/api/users/", {"customer_identifier": "acme"})

    answer = await api.post(CREDITS, content)

    assert (422, [field]) == (answer.status_code, list(answer.json()["errors"]))
    assert ("0",) == await shown(api, "credits_usd")


async def test_nobody_cannot_be_credited(api) -> None:
    assert 404 == (await api.post(CREDITS, {"amount_usd": 1})).status_code
