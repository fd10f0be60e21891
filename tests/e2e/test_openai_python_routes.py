"""openai-python on the routes beside chats: unchanged but for its base URL."""

from decimal import Decimal
from typing import Any

import openai
import pytest

from gateway.event import Kind, Source
from tests.support.gateways import a_customer, kinds, price_of, total_usd


def carrying(customer, **params):
    return {"extra_body": {"customer_params": {"customer_identifier": customer, **params}}}


@pytest.mark.parametrize("stream", [False, True])
def test_completions(door, stream):
    customer = a_customer()
    client = door.openai()

    got = client.completions.create(
        model="demo-small", prompt="Hi", stream=stream, **carrying(customer)
    )
    frames: Any = list(got) if stream else [got]

    assert "".join(f.choices[0].text for f in frames).startswith("You said: Hi")
    [event] = door.settled(customer)
    assert ("completions", Source.REPORTED) == (event.endpoint, event.source)
    if not stream:
        assert price_of(got.usage) == total_usd([event])


@pytest.mark.parametrize("given", ["Hi", [{"role": "user", "content": "Hi"}]])
@pytest.mark.parametrize("stream", [False, True])
def test_r69_responses(door, given, stream):
    customer = a_customer()
    client = door.openai()

    got = client.responses.create(
        model="demo-reasoning", input=given, stream=stream, **carrying(customer)
    )
    made: Any = list(got)[-1].response if stream else got

    assert made.output_text.startswith("You said: Hi")
    [event] = door.settled(customer)
    assert (made.usage.input_tokens, made.usage.output_tokens) == (
        event.usage.input_total,
        event.usage.output_total,
    )
    assert event.usage.reasoning_tokens > 0


def test_a_response_in_the_background(door):
    customer = a_customer()
    client = door.openai()

    queued = client.responses.create(
        model="demo-small", input="Hi", background=True, **carrying(customer)
    )
    assert door.held(customer) > 0
    made = client.responses.retrieve(queued.id)

    assert ("queued", "completed") == (queued.status, made.status)
    [event] = door.settled(customer)
    assert event.usage.total == made.usage.total_tokens
    client.responses.delete(queued.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(queued.id)
    assert 1 == len(door.events(customer))


def test_a_used_up_budget_raises_on_each_route(door):
    """Once: no retry, and nothing is sent."""
    client, sent = door.openai(), len(door.seen)
    for call in (
        lambda told: client.completions.create(model="demo-small", prompt="Hi", **told),
        lambda told: client.responses.create(model="demo-small", input="Hi", **told),
        lambda told: client.embeddings.create(model="demo-embedding", input="Hi", **told),
    ):
        customer = a_customer()
        with pytest.raises(openai.APIStatusError) as refused:
            call(carrying(customer, total_budget=0))
        assert (402, "budget_exceeded") == (refused.value.status_code, refused.value.code)
        assert [Kind.REFUSE] == kinds(door.settled(customer))
    assert sent == len(door.seen)


def test_a_response_is_cut_to_its_budget(door):
    customer, budget = a_customer(), Decimal("0.0007")

    made = door.openai().responses.create(
        model="demo-small", input="Hi", **carrying(customer, total_budget=str(budget))
    )

    assert made.status == "completed"
    [event] = door.settled(customer)
    assert Decimal(event.hold_pico).scaleb(-12) <= budget
    assert event.output_cap_tokens is not None


def test_a_stream_that_is_closed_at_its_last_event_is_a_good_one(door):
    """Whoever stops there has had all of it."""
    customer = a_customer()
    stream = door.openai().responses.create(
        model="demo-small", input="Hi", stream=True, **carrying(customer)
    )
    for event in stream:
        if event.type == "response.completed":
            break
    stream.close()

    [booked] = door.settled(customer)
    assert ("ok", Source.REPORTED) == (booked.status, booked.source)
