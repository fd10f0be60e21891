"""``request_breakdown``: the call's own answer says what it has cost."""

import gzip
import json
from typing import Any

import pytest

from pricing.money import PICO_PER_USD
from tests.support.gateways import TOKEN, a_customer, chat_body, gateway
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer
from tests.support.rawupstream import stream as streamed

USED = {
    "prompt_tokens": 1_000,
    "completion_tokens": 200,
    "prompt_tokens_details": {"cached_tokens": 400},
}
COST = (600 * 150_000 + 400 * 75_000 + 200 * 600_000) / PICO_PER_USD
TEXT = b'data: {"model":"demo-small","choices":[{"delta":{"content":"Hi"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
TAIL = b'data: {"choices":[],"usage":' + json.dumps(USED).encode() + b"}\n\n"
DONE = b"data: [DONE]\n\n"
ANSWER = b'{"model":"demo-small", "choices":[],"usage":' + json.dumps(USED).encode() + b"}\n"


@pytest.fixture(scope="module")
def door(provider):
    with gateway(upstream_url=provider.url) as running:
        yield running


def send(door, path="/v1/chat/completions", **fields: Any):
    """A call that asks for it, of a customer with ten dollars a month."""
    customer = a_customer()
    params = {"customer_identifier": customer, "period_budget": 10}
    body = chat_body(**fields) | {"customer_params": params, "request_breakdown": True}
    sent = request(path, json.dumps(body).encode(), authorization=f"Bearer {TOKEN}")
    got = exchange(door.url, sent)
    [event] = door.settled(customer)
    return got, event


def check(told, event, got):
    expected = {
        "prompt_tokens": 1_000,
        "completion_tokens": 200,
        "cached_tokens": 400,
        "cost": COST,
        "model": "demo-small",
        "budget_remaining_usd": str(10 - COST),
        "budget_resets_at": got.header("x-farebox-budget-resets-at").decode(),
    }
    assert expected == {name: told[name] for name in expected}
    assert event.latency_ms == told["latency"] * 1000
    assert {*expected, "latency", "time_to_first_token"} == told.keys()


def test_in_a_body(door, provider):
    """One member more at its end, every other byte as it was."""
    provider.answers(answer(ANSWER, "x-other: 1"))

    got, event = send(door)

    start = ANSWER.rstrip()[:-1] + b',"request_breakdown":'
    assert got.body.startswith(start)
    assert got.body.endswith(b"}}\n")
    check(got.json()["request_breakdown"], event, got)
    assert "request_breakdown" not in json.loads(provider.asked[-1].body)
    assert (b"identity", b"1") == (
        provider.asked[-1].header(b"accept-encoding"),
        got.header("x-other"),
    )


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_in_a_stream(door, provider, asks, cut):
    """The last frame before ``[DONE]``, wherever the network cuts; the rest is untouched."""
    sent = TEXT + STOP + TAIL + DONE
    pieces = [sent[at : at + cut] for at in range(0, len(sent), cut)]
    provider.answers(streamed(*pieces))
    options = {"stream_options": {"include_usage": True}} if asks else {}

    got, event = send(door, stream=True, **options)

    frames = got.body.removesuffix(DONE)
    before, _, told = frames.rpartition(b"data: ")
    assert TEXT + STOP + (TAIL if asks else b"") == before
    frame = json.loads(told)
    assert ("request_breakdown", "chat.completion.chunk", []) == (
        frame["id"],
        frame["object"],
        frame["choices"],
    )
    check(frame["request_breakdown"], event, got)
    assert frame["request_breakdown"]["time_to_first_token"] >= 0


def test_in_a_stream_without_a_last_word(door, provider):
    """Some providers never send ``[DONE]``: then it comes at the end."""
    provider.answers(streamed(TEXT, STOP, TAIL))

    got, event = send(door, stream=True)

    told = json.loads(got.body.rpartition(b"data: ")[2])["request_breakdown"]
    check(told, event, got)


def test_openai_python_reads_it(door, provider):
    client = door.openai()
    asked = {"request_breakdown": True, "customer_identifier": a_customer()}
    body: Any = {"model": "demo-small", "messages": [], "extra_body": asked}

    provider.answers(answer(ANSWER))
    whole = client.chat.completions.create(**body)
    provider.answers(streamed(TEXT, STOP, TAIL, DONE))
    *_, last = client.chat.completions.create(**body, stream=True)

    assert COST == whole.request_breakdown["cost"] == last.request_breakdown["cost"]


@pytest.mark.parametrize(
    "said",
    [
        answer(b'{"error":{}}', status="400 Bad Request"),
        answer(b"[]"),
        answer(b"{}", "content-type: text/plain"),
        answer(gzip.compress(ANSWER), "content-encoding: gzip"),
    ],
)
def test_what_has_no_place_for_it_stays_as_it_is(door, provider, said):
    provider.answers(said)

    got, _ = send(door)

    assert said.endswith(got.body)


def test_routes_whose_streams_have_no_place_for_it(door, provider):
    """Their clients would not know the event: the header says so."""
    done = b'data: {"type":"response.completed","response":{"id":"r","status":"completed"}}\n\n'
    provider.answers(streamed(done))

    got, _ = send(door, "/v1/responses", stream=True)

    assert done == got.body
    assert b"request_breakdown" in got.header("x-farebox-warnings")
