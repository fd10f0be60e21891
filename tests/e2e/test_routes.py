"""Every metered route, behind a provider that says what a test has it say."""

import json
import threading
from typing import Any

import pytest

from gateway.app import build_app
from gateway.cli.server import SETTINGS
from gateway.config import parsed
from gateway.event import Kind, Source, Status
from gateway.store.keys import background
from pricing.money import usd
from pricing.usage import Usage
from tests.gateway.openai.usage_streams import STREAMS, stream
from tests.support.gateways import (
    ADMIN_KEY,
    TOKEN,
    a_customer,
    an_upstream,
    gateway,
    settings,
    wait_until,
)
from tests.support.rawhttp import connected, exchange, request
from tests.support.rawupstream import answer, raw_upstream
from tests.support.rawupstream import stream as streamed
from tests.support.servers import serve

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
                "fees": {
                    "web_search": {"rate": "10", "per": 1000},
                    "container:1g": {"rate": "0.03"},
                    "container:4g": {"rate": "0.12"},
                },
            }
        ],
    },
]
MICRO = 1_000_000
"""A dollar per million tokens, in pico-USD a token."""

UNBOUNDED = "call_not_boundable"


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


def test_a_container_is_held_for_and_billed_once(door, provider):
    """At the price of its memory, however often code ran in it."""
    tool = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}
    body = {"model": "writer", "input": "Hi", "max_output_tokens": 100, "tools": [tool]}
    ran = [{"type": "code_interpreter_call", "container_id": "cntr_1"}] * 2
    answer = RESPONSE | {"tools": [tool], "output": ran, "usage": USED}
    customer = a_customer()
    provider.answers(said(**answer))

    send(door, "/v1/responses", {**body, "max_tool_calls": 2}, customer, total_budget=5)

    [event] = door.settled(customer)
    assert (("container:4g", 1),) == event.usage.fees
    assert 2 * 120_000 * MICRO < event.hold_pico < 2 * 1_920_000 * MICRO
    plain = a_customer()
    provider.answers(said(**RESPONSE, usage=USED))
    send(door, "/v1/responses", {"model": "writer", "input": "Hi"}, plain)
    assert 120_000 * MICRO == event.charge_pico - door.settled(plain)[0].charge_pico


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


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "end_turn"}
TOLD = {
    "input_tokens": 100,
    "cache_read_input_tokens": 400,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 50,
}
CHARGED = (100 + 400 // 2 + 100 * 5 // 4 + 200 * 2 + 50 * 4) * MICRO
ASKED = {"model": "writer", "max_tokens": 300}
MESSAGES = {
    "a text": [{"role": "user", "content": "Hello"}],
    "blocks": [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "input": {}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "content": [{"type": "text", "text": "4"}]},
            ],
        },
    ],
}


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("path", ["/v1/messages", "/api/messages", "/anthropic/v1/messages"])
def test_messages(door, provider, messages, path):
    """Anthropic's own: what is read from and written to its caches has prices of its own."""
    customer, body = a_customer(), {**ASKED, "messages": messages}
    provider.answers(said(**MESSAGE, usage=TOLD))

    got = send(door, path, body, customer, total_budget=5)

    assert (200, TOLD) == (got.status, json.loads(got.body)["usage"])
    assert b"POST /v1/messages " in provider.asked[-1].line
    assert body == json.loads(provider.asked[-1].body)
    [event] = door.settled(customer)
    assert ("messages", CHARGED, "end_turn") == (
        event.endpoint,
        event.charge_pico,
        event.finish_reason,
    )
    assert 300 * 4 * MICRO < event.hold_pico < 3_000 * MICRO


def message_events():
    begun = {
        **MESSAGE,
        "model": "writer",
        "stop_reason": None,
        "usage": {**TOLD, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello there"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 50},
        },
        {"type": "message_stop"},
    ]


def test_messages_in_a_stream(door, provider):
    """Two events say what was used: the first the input, a later one the output."""
    customer, sent = a_customer(), frames(*message_events())
    provider.answers(streamed(sent))
    body = {**ASKED, "messages": MESSAGES["a text"], "stream": True}

    got = send(door, "/v1/messages", body, customer, total_budget=5)

    assert sent == got.body
    assert body == json.loads(provider.asked[-1].body)
    [event] = door.settled(customer)
    assert (CHARGED, Source.REPORTED, True) == (event.charge_pico, event.source, event.stream)


def test_messages_that_break_off_are_estimated(door, provider):
    """What was counted stands; the text that was seen comes on top."""
    customer, (begun, text, _, _) = a_customer(), message_events()
    provider.answers(streamed(frames(begun, text, text), end=False))

    got = send(door, "/v1/messages", {**ASKED, "messages": [], "stream": True}, customer)

    assert not got.whole
    [event] = door.settled(customer)
    assert (Source.ESTIMATED, Status.ERROR) == (event.source, event.status)
    assert CHARGED - 49 * 4 * MICRO < event.charge_pico < CHARGED


def test_a_recorded_stream_of_messages(door, provider):
    customer, sent = a_customer(), stream("anthropic-messages")
    provider.answers(streamed(sent))

    got = send(door, "/v1/messages", {**ASKED, "messages": [], "stream": True}, customer)

    assert sent == got.body
    [event] = door.settled(customer)
    assert STREAMS["anthropic-messages"].usage == event.usage


def test_messages_speak_anthropics_errors(door):
    """Of refusals, and of a path that is none; with a reason that a program can read."""
    cases = {
        ("/v1/messages", "total_budget", 0): (402, "billing_error", "budget_exceeded"),
        ("/anthropic/v1/messages", "model", "other"): (
            400,
            "invalid_request_error",
            "model_not_priced",
        ),
        ("/anthropic/v1/complete", "model", "writer"): (404, "not_found_error", None),
        ("/api/messages", "max_tokens", None): (400, "invalid_request_error", "missing_field"),
    }
    for (path, field, value), (status, kind, code) in cases.items():
        body: Any = {**ASKED, "messages": MESSAGES["a text"]}
        params: Any = {"total_budget": 5}
        (params if field in params else body)[field] = value

        got = send(door, path, body, a_customer(), **params)

        answer_ = json.loads(got.body)
        assert (status, "error", kind) == (got.status, answer_["type"], answer_["error"]["type"])
        assert code is None or code == answer_["error"]["code"]
        assert answer_["error"]["message"]
    wrong = exchange(door.url, request("/v1/messages", b"{}", x_api_key="nobody's"))
    assert (401, "authentication_error") == (wrong.status, wrong.json()["error"]["type"])


def test_messages_are_capped_above_what_is_thought(door, provider):
    """Never below ``thinking.budget_tokens``: the provider would refuse."""
    thinking = {"type": "enabled", "budget_tokens": 2_000}
    body = {**ASKED, "messages": MESSAGES["a text"], "max_tokens": 4_000, "thinking": thinking}
    provider.answers(said(**MESSAGE, usage=TOLD))

    got = send(door, "/v1/messages", body, a_customer(), total_budget="0.009")
    capped = json.loads(provider.asked[-1].body)["max_tokens"]
    assert (200, str(capped).encode()) == (got.status, got.header("x-farebox-output-cap"))
    assert 2_000 < capped < 4_000

    status, _ = refusal(door, "/v1/messages", body, total_budget="0.008")
    assert 402 == status


def test_messages_name_their_customer_as_anthropic_does(door, provider):
    """``metadata.user_id``, where nothing else does; it stays in the body. No JSON is a name."""
    customer = a_customer()
    for named in (customer, '{"session_id":"1"}'):
        body = {**ASKED, "messages": [], "metadata": {"user_id": named}}
        provider.answers(said(**MESSAGE, usage=TOLD))
        got = send(door, "/v1/messages", body)
        assert body == json.loads(provider.asked[-1].body)
        told = got.header("x-farebox-customer")
        assert (customer.encode() if named == customer else b"~anonymous") == told.replace(
            b"%7E", b"~"
        )
    assert 1 == len(door.settled(customer))


def test_tools_of_the_caller_are_the_callers(door, provider):
    """Anthropic's form of a function has no type; what its provider runs has, and a limit."""
    body = {**ASKED, "messages": [], "tools": [{"name": "f", "input_schema": {}}]}
    provider.answers_each(*[said(**MESSAGE, usage=TOLD)] * 3)
    assert 200 == send(door, "/v1/messages", body, a_customer(), total_budget=5).status
    searching = {"type": "web_search_20250305", "name": "web_search"}

    status, error = refusal(door, "/v1/messages", {**body, "tools": [searching]})
    assert (400, UNBOUNDED) == (status, error["code"])

    customer = a_customer()
    body["tools"] = [{**searching, "max_uses": 2}]
    assert 200 == send(door, "/v1/messages", body, customer, total_budget=5).status
    [event] = door.settled(customer)
    assert (3 * (20_000 * 2 + 300 * 4) + 2 * 10_000) * MICRO == event.hold_pico


@pytest.mark.parametrize(
    "path", ["/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens"]
)
def test_counting_tokens_passes_unmetered(door, provider, path):
    customer, counted = a_customer(), b'{"input_tokens": 12}'
    provider.answers(answer(counted, "request-id: req_1"))
    body = {"model": "demo/writer", "messages": []}

    got = send(door, path + "?beta=true", body, customer, total_budget=0)

    assert (200, counted, b"req_1") == (got.status, got.body, got.header("request-id"))
    assert b"POST /v1/messages/count_tokens?beta=true " in provider.asked[-1].line
    assert {**body, "model": "writer"} == json.loads(provider.asked[-1].body)
    assert door.store.get(door.partition(customer).number(customer)) is None


def test_what_anthropic_is_told_in_headers_and_query_goes_on(door, provider):
    provider.answers(said(**MESSAGE, usage=TOLD))
    content = json.dumps({**ASKED, "messages": []}).encode()
    told = {"x_api_key": TOKEN, "anthropic_version": "2023-06-01", "anthropic_beta": "a-1"}

    exchange(door.url, request("/v1/messages?beta=true&customer_identifier=x", content, **told))

    asked = provider.asked[-1]
    assert b"POST /v1/messages?beta=true HTTP/1.1" == asked.line
    assert (b"2023-06-01", b"a-1") == (
        asked.header(b"anthropic-version"),
        asked.header(b"anthropic-beta"),
    )
    assert asked.header(b"x-api-key") is None


QUEUED = {**RESPONSE, "id": "resp_b", "status": "queued", "usage": None}
STORED = {"model": "writer", "input": "Hello", "max_output_tokens": 500, "background": True}


def get(door, path, method="GET"):
    sent = request(path, method=method, authorization=f"Bearer {TOKEN}", content_type=None)
    return exchange(door.url, sent)


def in_background(door, provider, **fields):
    """A call whose response is being made; its customer, and the path of the response."""
    customer, response = a_customer(), f"resp_{a_customer()}"
    provider.answers(said(**{**QUEUED, "id": response}))
    got = send(door, "/v1/responses", {**STORED, **fields}, customer, total_budget=5)
    assert (200, "queued") == (got.status, json.loads(got.body)["status"])
    assert got.header("x-farebox-charge-usd") is None
    assert door.held(customer) > 0
    assert [] == door.events(customer)
    return customer, f"/v1/responses/{response}"


def test_a_background_response_is_settled_once(door, provider):
    """By the first answer that says it has ended, and held for until then."""
    customer, path = in_background(door, provider)
    held = door.held(customer)

    provider.answers(said(**{**QUEUED, "status": "in_progress"}))
    get(door, path)
    assert (held, []) == (door.held(customer), door.events(customer))

    whole = said(**RESPONSE, usage=USED)
    provider.answers(whole)
    for _ in range(3):
        got = get(door, path.replace("/v1/", "/api/"))
        assert USED == json.loads(got.body)["usage"]
    [event] = door.settled(customer)
    assert ("responses", BILLED, Source.REPORTED, "completed") == (
        event.endpoint,
        event.charge_pico,
        event.source,
        event.finish_reason,
    )
    assert ("demo", "writer", "my-app") == (event.upstream, event.model, event.app)
    assert event.hold_pico == held * 10**12


def test_a_background_response_is_settled_from_a_stream(door, provider):
    customer, path = in_background(door, provider)
    sent = frames(*response_events("response.completed", usage=USED))
    provider.answers(streamed(sent))

    got = get(door, path + "?stream=true&starting_after=3")

    assert sent == got.body
    assert b"?stream=true&starting_after=3 " in provider.asked[-1].line
    [event] = door.settled(customer)
    assert BILLED == event.charge_pico


@pytest.mark.parametrize(
    ("status", "kind", "charge"),
    [
        ("incomplete", Kind.SETTLE, BILLED),
        ("failed", Kind.RELEASE, 0),
        ("cancelled", Kind.SETTLE, None),
    ],
)
def test_how_a_background_response_can_end(door, provider, status, kind, charge):
    """A failure without usage is free; what was cancelled is estimated."""
    customer, path = in_background(door, provider)
    ended = {**QUEUED, "status": status, "usage": USED if charge else None}
    if status == "failed":
        ended["error"] = {"code": "server_error", "message": "No."}
    provider.answers(said(**ended))

    got = get(door, path + "/cancel", "POST") if status == "cancelled" else get(door, path)

    assert 200 == got.status
    [event] = door.settled(customer)
    assert kind is event.kind
    if charge is None:
        assert (Source.ESTIMATED, True) == (event.source, 0 < event.charge_pico < BILLED)
    else:
        assert charge == event.charge_pico


def test_a_background_stream_that_is_left_goes_on(door, provider):
    """Closing it does not stop the provider: the call stays held for."""
    customer, response = a_customer(), f"resp_{a_customer()}"
    [begun, text, _] = response_events("response.completed")
    begun["response"]["id"] = response
    provider.answers(streamed(frames(begun, text), end=False))

    got = send(door, "/v1/responses", {**STORED, "stream": True}, customer, total_budget=5)

    assert not got.whole
    assert door.held(customer) > 0
    provider.answers(said(**RESPONSE, usage=USED))
    get(door, f"/v1/responses/{response}")
    [event] = door.settled(customer)
    assert (BILLED, True) == (event.charge_pico, event.stream)


def test_a_background_response_outlives_its_gateway(provider, tmp_path):
    """What bills it is in the store: another gateway settles it."""
    same: Any = {"upstreams": [an_upstream(provider.url, models=["*"])], "prices": PRICES}
    with gateway(**same) as first:
        customer, path = in_background(first, provider)
        config = parsed(settings(tmp_path, provider.url, **same), origin="test")
        another = build_app(config, store_url=first.store_url, admin_key=ADMIN_KEY)
        with serve(another, **SETTINGS) as url:
            provider.answers(said(**RESPONSE, usage=USED))
            exchange(url, request(path, method="GET", authorization=f"Bearer {TOKEN}"))

        [event] = first.settled(customer)
        assert BILLED == event.charge_pico


@pytest.mark.parametrize(
    ("method", "end"), [("GET", ""), ("GET", "/input_items?limit=2"), ("DELETE", "")]
)
def test_kept_responses_pass_unmetered(door, provider, method, end):
    kept = b'{"id": "resp_9", "status": "completed", "usage": {"input_tokens": 5}}'
    provider.answers(answer(kept, "x-request-id: req_1"))

    got = get(door, f"/v1/responses/resp_9{end}", method)

    assert (200, kept, b"req_1") == (got.status, got.body, got.header("x-request-id"))
    assert f"{method} /v1/responses/resp_9{end} HTTP/1.1".encode() == provider.asked[-1].line


def test_what_responses_do_not_have(door, provider):
    before = len(provider.asked)

    assert 404 == get(door, "/v1/responses/resp_9/other").status
    assert 404 == get(door, "/v1/responses/a%20b").status
    assert 405 == get(door, "/v1/responses/resp_9/cancel").status
    assert 405 == get(door, "/v1/responses").status
    assert 401 == exchange(door.url, request("/v1/responses/resp_9", method="GET")).status
    assert before == len(provider.asked)


def test_errors_about_kept_responses_pass(door, provider):
    gone = b'{"error": {"message": "Response with id ... not found."}}'
    provider.answers(answer(gone, status="404 Not Found"))

    got = get(door, "/v1/responses/resp_gone")

    assert (404, gone) == (got.status, got.body)


def test_the_upstream_that_has_a_response_is_found(provider):
    """Each is asked in turn, where nobody noted which it is."""
    with raw_upstream() as other:
        kept = b'{"id": "resp_9"}'
        other.answers(answer(kept))
        provider.answers(answer(b"{}", status="404 Not Found"))
        accounts = [
            an_upstream(provider.url, name="first"),
            an_upstream(other.url, name="second"),
        ]
        with gateway(upstreams=accounts, prices=PRICES) as door:
            got = get(door, "/v1/responses/resp_9")

        assert (200, kept) == (got.status, got.body)


PREFIXED: dict[str, Any] = {
    "completions": {"prompt": "Hi"},
    "responses": {"input": "Hi"},
    "messages": {"messages": [], "max_tokens": 9},
    "embeddings": {"input": "Hi"},
    "moderations": {"input": "Hi"},
    "rerank": {"query": "q", "documents": ["x"]},
    "images/generations": {"prompt": "x"},
    "audio/speech": {"input": "x", "voice": "alloy"},
}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", PREFIXED)
def test_an_upstreams_name_chooses_it_on_every_route(door, provider, path, slash):
    """And is taken off the model; each call is one event, whatever it is answered."""
    customer = a_customer()
    provider.answers(said(usage=COUNTED))

    got = send(door, f"/v1/{path}{slash}", {"model": "demo/writer", **PREFIXED[path]}, customer)

    assert 200 == got.status
    assert f"POST /v1/{path} HTTP/1.1".encode() == provider.asked[-1].line
    assert {"model": "writer", **PREFIXED[path]} == json.loads(provider.asked[-1].body)
    [event] = door.settled(customer)
    assert (path, "demo/writer", "demo") == (event.endpoint, event.model, event.upstream)


@pytest.mark.parametrize("path", PREFIXED)
def test_a_refusal_of_the_provider_passes_and_is_free(door, provider, path):
    """To the byte, with its headers, on every route."""
    customer, refused = a_customer(), b'{"error": {"message": "No.", "x": 1.0}}'
    provider.answers(
        answer(refused, "retry-after: 7", "x-request-id: r1", status="429 Too Many Requests")
    )

    got = send(door, f"/v1/{path}", {"model": "writer", **PREFIXED[path]}, customer)

    assert (429, refused, b"7", b"r1") == (
        got.status,
        got.body,
        got.header("retry-after"),
        got.header("x-request-id"),
    )
    [event] = door.settled(customer)
    assert (Kind.RELEASE, Status.ERROR, 429) == (event.kind, event.status, event.status_code)


def test_who_leaves_before_a_background_call_is_answered(door, provider):
    """It goes on at the provider all the same: its id is waited for, so that it can be billed."""
    customer, response = a_customer(), f"resp_{a_customer()}"
    asked, gone = threading.Event(), threading.Event()

    def late(connection, _):
        asked.set()
        assert gone.wait(10)
        connection.sendall(said(**{**QUEUED, "id": response}))

    provider.script = late
    body = {"customer_params": {"customer_identifier": customer}, **STORED}
    sent = request("/v1/responses", json.dumps(body).encode(), authorization=f"Bearer {TOKEN}")
    with connected(door.url) as connection:
        connection.sendall(sent)
        assert asked.wait(10)
    gone.set()
    wait_until(lambda: door.store.get(background(response)) is not None, "it is known by its id")

    provider.answers(said(**RESPONSE, usage=USED))
    get(door, f"/v1/responses/{response}")
    [event] = door.settled(customer)
    assert BILLED == event.charge_pico
