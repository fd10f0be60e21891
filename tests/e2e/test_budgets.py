"""A customer over its budget is refused as openai-python understands it, and nobody else is."""

import asyncio
from decimal import Decimal

import openai
import pytest

from gateway.event import Kind, Status
from tests.support.gateways import (
    a_customer,
    chat_body,
    gateway,
    kinds,
    price_of,
    total_usd,
)

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def soft():
    with gateway(budgets={"policy": "soft"}) as running:
        yield running


@pytest.fixture(scope="module")
def polite():
    with gateway(budgets={"reject_status": 429}) as running:
        yield running


@pytest.fixture(scope="module")
def by_cost():
    with gateway(
        budgets={"count": "cost"}, customers={"default": {"markup_percentage": 100}}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def strict():
    with gateway(unpriced="reject", customers={"registered_only": True}) as running:
        yield running


def ask(client, customer, text="Hello", *, stream=False, **params):
    return client.chat.completions.create(
        model="demo-small",
        messages=[{"role": "user", "content": text}],
        stream=stream,
        max_completion_tokens=1_000,
        extra_body={"customer_params": {"customer_identifier": customer, **params}},
    )


@pytest.mark.parametrize("limit", ["period_budget", "total_budget"])
@pytest.mark.parametrize("stream", [False, True])
def test_r34_a_refusal_is_raised_once(door, limit, stream):
    """402 with the whole story in the body; the SDK does not retry, the upstream sees nothing."""
    customer, client = a_customer(), door.openai()
    spent = price_of(ask(client, customer).usage)
    door.settled(customer)
    before = len(door.seen)

    with pytest.raises(openai.APIStatusError) as refused:
        ask(client, customer, stream=stream, **{limit: "0.0005"})

    error = refused.value
    assert (402, "budget_exceeded") == (error.status_code, error.code)
    assert "false" == error.response.headers["x-should-retry"]
    assert "retry-after" not in error.response.headers
    body = error.response.json()["error"]
    assert {
        "type": "insufficient_quota",
        "param": None,
        "code": "budget_exceeded",
        "customer_identifier": customer,
        "limit": limit,
        "limit_usd": "0.0005",
        "spent_usd": str(spent),
        "held_usd": "0",
    }.items() <= body.items()
    assert {"message", "needed_usd", "resets_at"} <= body.keys()
    assert (limit == "period_budget") == (body["resets_at"] is not None)
    assert f'Customer "{customer}" has used {spent} of its 0.0005 USD' in body["message"]
    assert before == len(door.seen)
    assert [Kind.SETTLE, Kind.REFUSE] == kinds(door.settled(customer, 2))
    row = door.logs(customer, 2)[-1]
    assert ("rejected", 402, 0) == (row["status"], row["status_code"], row["cost"])
    assert spent == door.spent(customer)


def test_the_reset_is_told_where_clients_look(door):
    """A call that passes says what is left of its tightest limit, and until when."""
    customer = a_customer()

    answer = door.chat(customer, customer_params={"period_budget": 1, "total_budget": "0.5"})

    left = Decimal(answer.headers["x-farebox-budget-remaining-usd"])
    charge = Decimal(answer.headers["x-farebox-charge-usd"])
    assert Decimal("0.5") - charge == left
    assert answer.headers["x-farebox-budget-resets-at"].endswith("T00:00:00Z")
    assert "x-farebox-cost-usd" not in answer.headers
    assert customer == answer.headers["x-farebox-customer"]


def test_what_is_left_is_told_in_what_the_limit_is_about(by_cost):
    """`count: cost`: the markup is charged, and takes nothing from the limit."""
    customer = a_customer()

    answer = by_cost.chat(customer, customer_params={"period_budget": 1})

    charge = Decimal(answer.headers["x-farebox-charge-usd"])
    assert 1 - charge / 2 == Decimal(answer.headers["x-farebox-budget-remaining-usd"])


def test_429_where_it_is_wished(polite):
    """`reject_status: 429`: a RateLimitError, and still no retry."""
    customer = a_customer()
    before = len(polite.seen)

    with pytest.raises(openai.RateLimitError) as refused:
        ask(polite.openai(), customer, period_budget=0)

    assert "budget_exceeded" == refused.value.code
    assert before == len(polite.seen)
    assert [Kind.REFUSE] == kinds(polite.settled(customer))


def test_soft_counts_and_never_refuses(soft):
    """Under `policy: soft` an overdrawn customer goes on, and the overdraft is told."""
    customer, client = a_customer(), soft.openai()

    answers = [ask(client, customer, period_budget="0.000001") for _ in range(3)]

    assert sum(price_of(answer.usage) for answer in answers) == soft.spent(customer)
    assert Decimal(soft.user(customer)["remaining_usd"]) < 0


def test_r02_exactly_as_many_calls_as_the_budget_has_room_for(door):
    """64 calls at once, room for the holds of 3: 3 pass, the rest may try again."""
    customer, slowly = a_customer(), "!stall 1"
    hold = hold_of(door, slowly)
    before = len(door.seen)

    outcomes = crowd(door, customer, slowly, total_budget=str(3 * hold + hold / 2))

    passed = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    refused = [o for o in outcomes if isinstance(o, openai.APIStatusError)]
    assert (3, 61) == (len(passed), len(refused))
    assert {(429, "budget_in_flight", "true", "1")} == {
        (o.status_code, o.code, o.response.headers["x-should-retry"], retry_after(o))
        for o in refused
    }
    charged = total_usd([e for e in door.settled(customer, 64) if e.kind is Kind.SETTLE])
    assert sum(price_of(answer.usage) for answer in passed) == charged == door.spent(customer)
    assert 3 == len(door.seen) - before


def crowd(door, customer, text="Hello", count=64, **params):
    """As many calls at once, none of them retried."""

    async def call_at_once():
        async with door.async_openai(max_retries=0) as client:
            calls = [ask(client, customer, text, **params) for _ in range(count)]
            return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(call_at_once())


def retry_after(error):
    return error.response.headers.get("retry-after")


def hold_of(door, text="Hello"):
    """What one call of `ask` holds, in USD."""
    customer = a_customer()
    ask(door.openai(), customer, text, total_budget="1.00000000000")
    [event] = door.settled(customer)
    return Decimal(event.hold_pico).scaleb(-12)


def test_r18_a_default_budget_binds_the_first_call():
    """32 first calls of a stranger at once, whose default has room for none."""
    with gateway(customers={"default": {"period_budget": "0.0000001"}}) as running:
        customer = a_customer()
        outcomes = crowd(running, customer, count=32)

        assert {402} == {outcome.status_code for outcome in outcomes}
        assert 0 == len(running.seen)
        assert 402 != running.chat().status_code  # the anonymous have no defaults


def test_r04_the_budget_does_not_wait_for_the_flusher(door):
    """What one call spent is known to the very next."""
    customer, client = a_customer(), door.openai()
    hold = hold_of(door)
    spent = price_of(ask(client, customer, total_budget=str(hold)).usage)

    with pytest.raises(openai.APIStatusError) as refused:
        ask(client, customer)

    assert str(spent) == refused.value.response.json()["error"]["spent_usd"]


def test_a_rate_limit_says_when_to_come_back(door):
    """429 with a short retry-after, which the SDK may obey."""
    customer = a_customer()
    body = chat_body(customer, customer_params={"rate_limit": 1})

    first, second = (door.post(json=body) for _ in range(2))

    assert (200, 429) == (first.status_code, second.status_code)
    assert "rate_limit_exceeded" == second.json()["error"]["code"]
    assert 1 <= int(second.headers["retry-after"]) <= 60
    assert "true" == second.headers["x-should-retry"]


def test_unknown_models_reach_nobody(door):
    """404 as OpenAI says it; a refusal in the log, no customer made."""
    customer = a_customer()
    before = len(door.seen)

    with pytest.raises(openai.NotFoundError) as refused:
        door.openai().chat.completions.create(
            model="gpt-9", messages=HELLO, extra_body={"customer_identifier": customer}
        )

    assert "model_not_found" == refused.value.code
    assert before == len(door.seen)
    assert 404 == door.api.get(f"/api/users/{customer}/").status_code


def test_r12_an_unpriced_model_is_never_free(door, strict):
    """With a limit it is refused; without, it passes, its cost left open and flagged."""
    limited, free = a_customer(), a_customer()

    refused = door.chat(limited, model="demo-unpriced", customer_params={"period_budget": 5})
    passed = door.chat(free, model="demo-unpriced")

    assert (400, "model_not_priced") == (refused.status_code, refused.json()["error"]["code"])
    assert 200 == passed.status_code
    assert "x-farebox-charge-usd" not in passed.headers
    [event] = door.settled(free)
    assert event.unpriced
    assert event.usage.total > 0
    assert door.logs(free)[0]["cost"] is None
    assert 1 == door.user(free)["usage_sources"]["unpriced_requests"]
    strict.api.post("/api/users/", json={"customer_identifier": "known"})
    assert "model_not_priced" == strict.chat("known", model="demo-unpriced").json()["error"]["code"]


def test_strangers_are_refused_where_customers_are_registered(strict):
    """403, and no customer made; who was created may call, and who is blocked may not."""
    stranger, known = a_customer(), a_customer()
    strict.api.post("/api/users/", json={"customer_identifier": known})

    refused, passed = strict.chat(stranger), strict.chat(known)
    strict.api.patch(f"/api/users/{known}/", json={"blocked": True})
    blocked = strict.chat(known)

    assert (403, 200, 403) == (refused.status_code, passed.status_code, blocked.status_code)
    assert ["customer_not_registered", "customer_blocked"] == [
        answer.json()["error"]["code"] for answer in (refused, blocked)
    ]
    assert [Status.OK, Status.REJECTED] == [e.status for e in strict.settled(known, 2)]


def test_what_finance_set_is_not_undone_by_a_call(door):
    """Fields set through the management API are pinned."""
    customer = a_customer()
    door.api.post("/api/users/", json={"customer_identifier": customer, "period_budget": 0})

    answer = door.chat(customer, customer_params={"period_budget": 100})

    assert 402 == answer.status_code
    assert 0 == door.user(customer)["period_budget"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("period_budget", "abc"), ("total_budget", -1), ("perod_budget", 1), ("rate_limit", 1.5)],
)
def test_a_faulty_limit_is_never_ignored(door, field, value):
    """400 that names the field; other faults never fail a paid call."""
    customer = a_customer()

    refused = door.chat(customer, customer_params={field: value})
    passed = door.chat(customer, customer_params={"email": "none", "colour": "red"})

    error = refused.json()["error"]
    assert (400, f"customer_params.{field}") == (refused.status_code, error["param"])
    assert 200 == passed.status_code
    assert "email" in passed.headers["x-farebox-warnings"]
    assert "colour" in passed.headers["x-farebox-warnings"]
