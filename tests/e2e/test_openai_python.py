"""The main path, by the real openai-python: nothing but `base_url` and `customer_params` differ."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from gateway.event import Kind, Source, Status
from tests.support.gateways import a_customer, by_hand, price_of, total_usd

HELLO = [{"role": "user", "content": "Hello there"}]
LONG = [{"role": "system", "content": "Be brief. " * 600}, *HELLO]


def paid_by(customer, **params):
    return {"customer_params": {"customer_identifier": customer, **params}}


@pytest.mark.parametrize("messages", [HELLO, LONG], ids=["short", "cached"])
@pytest.mark.parametrize("model", ["demo-small", "demo-large", "demo-reasoning"])
def test_an_answer_is_charged_what_it_reports(door, model, messages):
    """Usage and cost are readable a moment later, exact to the last digit."""
    customer = a_customer()

    answer = door.openai().chat.completions.create(
        model=model, messages=messages, extra_body=paid_by(customer)
    )

    assert answer.choices[0].message.content.startswith("You said: Hello there")
    usage, cost = answer.usage, price_of(answer.usage, model)
    [event] = door.settled(customer)
    [row] = door.logs(customer)
    user = door.user(customer)
    totals = door.summary(customer_identifier=customer)
    assert cost == total_usd([event]) == Decimal(user["spent_usd"])
    assert cost == Decimal(door.log(row["unique_id"])["charge_usd"])
    assert (Kind.SETTLE, Status.OK, Source.REPORTED) == (event.kind, event.status, event.source)
    cached = usage.prompt_tokens_details.cached_tokens
    reasoning = usage.completion_tokens_details.reasoning_tokens
    assert (messages is LONG, model == "demo-reasoning") == (cached > 0, reasoning > 0)
    assert (usage.prompt_tokens, usage.completion_tokens, cached, reasoning) == tuple(
        row[name]
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    )
    assert (1, usage.total_tokens, float(cost), 1) == tuple(
        totals[name] for name in ("requests", "total_tokens", "total_charge", "active_users")
    )
    assert (1, usage.total_tokens) == (user["number_of_requests"], user["total_tokens"])


@pytest.mark.parametrize("asks", [False, True])
def test_r07_a_stream_costs_what_the_same_call_costs_unstreamed(door, asks):
    """Usage is asked for where the caller did not; who did not ask sees no trace of it."""
    whole, streamed = a_customer(), a_customer()
    client = door.openai()
    options = {"stream_options": {"include_usage": True}} if asks else {}

    answer = client.chat.completions.create(
        model="demo-small", messages=LONG, extra_body=paid_by(whole)
    )
    chunks = list(
        client.chat.completions.create(
            model="demo-small", messages=LONG, stream=True, extra_body=paid_by(streamed), **options
        )
    )

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert answer.choices[0].message.content == text
    assert asks == any(not chunk.choices for chunk in chunks)
    assert asks == any(chunk.usage for chunk in chunks)
    [one], [other] = door.settled(whole), door.settled(streamed)
    assert (one.usage, one.charge_pico) == (other.usage, other.charge_pico)
    assert Source.REPORTED is other.source
    assert other.stream


def test_the_async_client_does_the_same(door):
    """Chat, stream, embeddings and models through AsyncOpenAI."""
    customer = a_customer()

    async def use():
        async with door.async_openai() as client:
            answer = await client.chat.completions.create(
                model="demo-small", messages=HELLO, extra_body=paid_by(customer)
            )
            stream = await client.chat.completions.create(
                model="demo-small", messages=HELLO, stream=True, extra_body=paid_by(customer)
            )
            text = "".join([c.choices[0].delta.content or "" async for c in stream])
            vectors = await client.embeddings.create(
                model="demo-embedding", input=["one", "two"], extra_body=paid_by(customer)
            )
            return answer, text, vectors, [m.id async for m in await client.models.list()]

    answer, text, vectors, models = asyncio.run(use())

    assert answer.choices[0].message.content == text
    assert 2 == len(vectors.data)
    assert {"demo-small", "demo-reasoning", "demo-embedding"} <= set(models)
    charged = 2 * price_of(answer.usage) + price_of(vectors.usage, "demo-embedding")
    assert charged == total_usd(door.settled(customer, 3)) == door.spent(customer)


def test_embeddings_are_charged_for_their_input(door):
    """Base64, as openai-python asks for it, arrives as floats."""
    customer = a_customer()

    vectors = door.openai().embeddings.create(
        model="demo-embedding", input="x" * 4_000, extra_body=paid_by(customer)
    )

    assert 8 == len(vectors.data[0].embedding)
    assert 1_000 == vectors.usage.prompt_tokens
    assert by_hand("demo-embedding", 1_000) == total_usd(door.settled(customer))
    assert "embeddings" == door.logs(customer)[0]["endpoint"]


def test_models_are_listed_and_shown(door):
    """What the upstream lists, narrowed to what is configured; no customer is made."""
    client = door.openai()

    assert "demo-unpriced" in {model.id for model in client.models.list()}
    assert "demo-small" == client.models.retrieve("demo-small").id


def test_customer_params_make_the_customer(door):
    """Profile and limits come with the call; only what is present changes anything."""
    customer, client = a_customer(), door.openai()

    def call(**params: Any):
        client.chat.completions.create(
            model="demo-small", messages=HELLO, extra_body=paid_by(customer, **params)
        )

    call(name="Ada", email="ada@example.com", metadata={"plan": "pro"}, period_budget=2.5)
    call(metadata={"seats": 3}, budget_duration="yearly", markup_percentage=20, rate_limit=600)

    user = door.user(customer)
    assert ("Ada", "ada@example.com", {"plan": "pro", "seats": 3}, 2.5, "yearly", 600) == tuple(
        user[name]
        for name in ("name", "email", "metadata", "period_budget", "budget_duration", "rate_limit")
    )
    first, second = door.settled(customer, 2)
    assert first.cost_pico == first.charge_pico == second.cost_pico
    assert second.charge_pico * 100 == second.cost_pico * 120


def test_mixed_traffic_adds_up(door):
    """Logs, users, analytics and the ledger's balance say the same sum."""
    customer, client = a_customer(), door.openai()
    sums = Decimal(0)
    for number in range(12):
        model = ("demo-small", "demo-large", "demo-reasoning")[number % 3]
        messages = [{"role": "user", "content": f"Call {number}"}]
        answer = client.chat.completions.create(
            model=model, messages=messages, extra_body=paid_by(customer), seed=number
        )
        sums += price_of(answer.usage, model)
    event: dict[str, object] = {"appId": "my-app", "eventType": "text_gen", "consumerId": customer}
    event |= {"inputTokens": 1_000, "inputTokensCached": 400, "outputTokens": 10}
    assert 202 == door.post("/v1/events", json=event).status_code
    sums += by_hand("demo-small", 1_000, 10, 400)
    door.chat(customer, "!status 500")

    events = door.settled(customer, 14)
    rows = door.logs(customer, 14)

    exact = sum(Decimal(door.log(row["unique_id"])["charge_usd"]) for row in rows)
    assert sums == total_usd(events) == door.spent(customer) == exact
    assert float(sums) == pytest.approx(door.user(customer)["total_cost"], rel=1e-12)
    totals = door.summary(customer_identifier=customer)
    assert (float(sums), 13, 1) == (totals["total_charge"], totals["requests"], totals["errors"])
