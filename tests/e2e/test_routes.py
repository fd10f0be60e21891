"""Every metered route, behind a provider that says what a test has it say."""

import json

import pytest

from gateway.event import Kind, Source, Status
from pricing.money import usd
from pricing.usage import Usage
from tests.gateway.openai.usage_streams import STREAMS, stream
from tests.support.gateways import TOKEN, a_customer, an_upstream, gateway
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer, raw_upstream
from tests.support.rawupstream import stream as streamed

PRICES = [
    {
        "provider": "demo",
        "model": "writer",
        "limits": {"context": 20_000, "max_output": 4_000},
        "output_cap_field": "max_completion_tokens",
        "prices": [
            {
                "id": "demo/writer@1",
                "source": [{"url": "https://lab.example", "seen": "2026-01-01"}],
                "base": {
                    "input": "1",
                    "cache_read": "0.5",
                    "cache_write_5m": "1.25",
                    "cache_write_1h": "2",
                    "output": "4",
                },
                "fees": {"web_search": {"rate": "10", "per": 1000}},
            }
        ],
    },
]
MICRO = 1_000_000
"""A dollar per million tokens, in pico-USD a token."""

UNBOUNDED = "call_not_boundable"


@pytest.fixture(scope="module")
def provider():
    with raw_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def door(provider):
    account = an_upstream(provider.url, models=["*"])
    with gateway(upstream_url=provider.url, upstreams=[account], prices=PRICES) as running:
        yield running


def send(door, path, body, customer=None, **params):
    """A call as it stands on the wire, our fields in front."""
    if customer is not None:
        body = {"customer_params": {"customer_identifier": customer, **params}, **body}
    sent = request(path, json.dumps(body).encode(), authorization=f"Bearer {TOKEN}")
    return exchange(door.url, sent)


def refusal(door, path, body, **params):
    """The error of a call of a customer with a limit, which is to reach no provider."""
    params = {"total_budget": 1_000} | params
    got = send(door, path, body, a_customer(), **params)
    return got.status, json.loads(got.body)["error"]


def said(**fields):
    return answer(json.dumps({"model": "writer", **fields}).encode())


def frames(*events):
    return b"".join(
        (b"event: %b\n" % event["type"].encode() if "type" in event else b"")
        + b"data: "
        + json.dumps(event).encode()
        + b"\n\n"
        for event in events
    )


DONE = b"data: [DONE]\n\n"
COUNTED = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
SAID = {"id": "cmpl-1", "object": "text_completion", "choices": [{"text": "Hi", "index": 0}]}

PROMPTS = {
    "a text": "Once",
    "texts": ["Once", "Twice"],
    "tokens": [1, 2, 3],
    "lists of tokens": [[1, 2], [3]],
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("prefix", ["/v1", "/api"])
def test_completions(door, provider, prompt, prefix):
    customer, body = a_customer(), {"model": "writer", "prompt": prompt, "max_tokens": 50}
    provider.answers(said(**SAID, usage=COUNTED))

    got = send(door, f"{prefix}/completions", body, customer, total_budget=5)

    assert json.loads(got.body)["usage"] == COUNTED
    assert b"POST /v1/completions " in provider.asked[-1].line
    assert body == json.loads(provider.asked[-1].body)
    [event] = door.settled(customer)
    assert ("completions", Source.REPORTED) == (event.endpoint, event.source)
    assert 100 * MICRO + 20 * 4 * MICRO == event.charge_pico
    prompts = 2 if prompt in (PROMPTS["texts"], PROMPTS["lists of tokens"]) else 1
    assert prompts * 50 * 4 * MICRO < event.hold_pico < (prompts * 50 * 4 + 400) * MICRO


def test_completions_are_asked_for_their_usage(door, provider):
    """In a stream, as a chat is; the frame that comes of it is ours."""
    customer, body = a_customer(), {"model": "writer", "prompt": "Once", "stream": True}
    text = frames({**SAID, "model": "writer", "choices": [{"text": "Hi", "finish_reason": "stop"}]})
    provider.answers(streamed(text, frames({"choices": [], "usage": COUNTED}), DONE))

    got = send(door, "/v1/completions", body, customer)

    assert text + DONE == got.body
    assert {"include_usage": True} == json.loads(provider.asked[-1].body)["stream_options"]
    [event] = door.settled(customer)
    assert (120, True, Source.REPORTED) == (event.usage.total, event.stream, event.source)


def test_completions_are_capped(door, provider):
    """In the one field that the route has, whatever the model's card names."""
    customer, body = a_customer(), {"model": "writer", "prompt": "Once", "n": 2}
    provider.answers(said(**SAID, usage=COUNTED))

    got = send(door, "/v1/completions", body, customer, total_budget="0.02")

    sent = json.loads(provider.asked[-1].body)
    assert 1_024 <= sent["max_tokens"] < 1_250
    assert sent["max_tokens"] == int(got.header("x-farebox-output-cap"))


INPUTS = {
    "a text": "Hello",
    "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": [{"type": "input_text", "text": "there"}]},
        {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "4"},
        {"type": "reasoning", "summary": [], "encrypted_content": "AAAA"},
    ],
}
USED = {
    "input_tokens": 1_000,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens": 200,
    "output_tokens_details": {"reasoning_tokens": 50},
    "total_tokens": 1_200,
}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "output": []}
BILLED = (600 + 400 // 2 + 200 * 4) * MICRO


@pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("prefix", ["/v1", "/api"])
def test_r69_responses(door, provider, given, prefix):
    customer, body = a_customer(), {"model": "writer", "input": given, "max_output_tokens": 500}
    provider.answers(said(**RESPONSE, usage=USED))

    got = send(door, f"{prefix}/responses", body, customer, total_budget=5)

    assert (200, USED) == (got.status, json.loads(got.body)["usage"])
    assert body == json.loads(provider.asked[-1].body)
    [event] = door.settled(customer)
    assert ("responses", BILLED, "completed") == (
        event.endpoint,
        event.charge_pico,
        event.finish_reason,
    )
    assert 500 * 4 * MICRO < event.hold_pico < 20_000 * MICRO
    assert got.header("x-farebox-charge-usd") == usd(BILLED).encode()


def response_events(kind, **fields):
    begun = {**RESPONSE, "model": "writer", "status": "in_progress", "usage": None}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.output_text.delta", "delta": "Hello there"},
        {"type": kind, "response": {**begun, "status": kind.partition(".")[2], **fields}},
    ]


@pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("response.completed", Status.OK),
        ("response.incomplete", Status.OK),
        ("response.failed", Status.ERROR),
    ],
)
def test_r69_responses_in_a_stream(door, provider, given, kind, status):
    """Counted in the last event, whichever that is; never asked for usage."""
    customer, body = a_customer(), {"model": "writer", "input": given, "stream": True}
    sent = frames(*response_events(kind, usage=USED))
    provider.answers(streamed(sent))

    got = send(door, "/v1/responses", body, customer)

    assert sent == got.body
    assert "stream_options" not in json.loads(provider.asked[-1].body)
    [event] = door.settled(customer)
    assert (BILLED, status, Source.REPORTED) == (event.charge_pico, event.status, event.source)


def test_r69_a_response_that_fails_without_usage_is_free(door, provider):
    customer = a_customer()
    [begun, _, failed] = response_events("response.failed", error={"code": "server_error"})
    provider.answers(streamed(frames(begun, failed)))

    send(door, "/v1/responses", {"model": "writer", "input": "Hi", "stream": True}, customer)

    [event] = door.settled(customer)
    assert (Kind.RELEASE, Status.ERROR) == (event.kind, event.status)


def test_responses_are_capped(door, provider):
    customer, body = a_customer(), {"model": "writer", "input": "Hello"}
    provider.answers(said(**RESPONSE, usage=USED))

    got = send(door, "/v1/responses", body, customer, total_budget="0.014")

    sent = json.loads(provider.asked[-1].body)
    assert 1_024 <= sent["max_output_tokens"] <= 1_750
    assert sent["max_output_tokens"] == int(got.header("x-farebox-output-cap"))


REFERENCES = {
    "an earlier response": {"previous_response_id": "resp_0"},
    "a conversation": {"conversation": {"id": "conv_1"}},
    "a stored prompt": {"prompt": {"id": "pmpt_1", "variables": {}}},
    "a file": {
        "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]
    },
    "an item": {"input": [{"type": "item_reference", "id": "msg_1"}]},
    "what a tool had found": {"input": [{"type": "web_search_call", "id": "ws_1"}]},
}


@pytest.mark.parametrize("fields", REFERENCES.values(), ids=REFERENCES)
def test_what_a_response_only_refers_to_is_held_for_in_full(door, provider, fields):
    """The model's context is the bound; the reference goes upstream as it came."""
    customer, body = a_customer(), {"model": "writer", "max_output_tokens": 100, **fields}
    provider.answers(said(**RESPONSE, usage=USED))

    send(door, "/v1/responses", body, customer, total_budget=5)

    assert body == json.loads(provider.asked[-1].body)
    [event] = door.settled(customer)
    dearest_input = 2
    assert (20_000 * dearest_input + 100 * 4) * MICRO == event.hold_pico


def test_another_gateways_prompt_is_refused(door):
    status, error = refusal(door, "/v1/responses", {"model": "writer", "prompt": {"prompt_id": 1}})

    assert (400, "unsupported_field", "prompt") == (status, error["code"], error["param"])


TOOLS = {"tools": [{"type": "web_search"}]}


def test_hosted_tools_need_a_bound(door, provider):
    """``max_tool_calls``, for a customer with a limit; each may read a whole context."""
    body = {"model": "writer", "input": "Hi", "max_output_tokens": 100, **TOOLS}

    status, error = refusal(door, "/v1/responses", body)
    assert (400, UNBOUNDED, "tools") == (status, error["code"], error["param"])

    customer = a_customer()
    provider.answers(said(**RESPONSE, usage=USED))
    send(door, "/v1/responses", {**body, "max_tool_calls": 2}, customer, total_budget=5)
    [event] = door.settled(customer)
    assert (3 * (20_000 * 2 + 100 * 4) + 2 * 10_000) * MICRO == event.hold_pico


def test_a_used_up_budget_stops_each_route(door, provider):
    before = len(provider.asked)
    bodies = {
        "completions": {"prompt": "Hi"},
        "responses": {"input": "Hi"},
    }
    for path, body in bodies.items():
        status, error = refusal(door, f"/v1/{path}", {"model": "writer", **body}, total_budget=0)
        assert (402, "budget_exceeded") == (status, error["code"]), path
    assert before == len(provider.asked)


@pytest.mark.parametrize("name", [name for name in STREAMS if name.startswith("openai-responses")])
def test_recorded_streams(door, provider, name):
    customer, sent = a_customer(), stream(name)
    provider.answers(streamed(sent))

    got = send(door, "/v1/responses", {"model": "writer", "input": "", "stream": True}, customer)

    assert sent == got.body
    [event] = door.settled(customer)
    assert (STREAMS[name].usage or Usage()) == event.usage
