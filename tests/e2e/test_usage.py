"""Usage on its way from the provider's bytes to the event: nothing is lost, altered or made up."""

import json

import httpx
import pytest

from gateway.event import Kind, Source, Status
from tests.gateway.openai.test_usage_fuzz import NONSENSE
from tests.gateway.openai.usage_streams import STREAMS, stream
from tests.support.gateways import TOKEN, a_customer, chat_body, gateway, wait_until
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer
from tests.support.rawupstream import stream as streamed

IN, CACHED, OUT = 150_000, 75_000, 600_000
"""Rates of demo-small, pico-USD a token."""

TEXT = (
    b'data: {"model":"demo-small","choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
)
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def door(provider):
    with gateway(upstream_url=provider.url) as running:
        yield running


def send(door, body):
    content = json.dumps(body).encode()
    sent = request("/v1/chat/completions", content, authorization=f"Bearer {TOKEN}")
    return exchange(door.url, sent)


def event_of(door, body):
    """The body that came back, and the one event of the call."""
    customer = a_customer()
    got = send(door, chat_body(customer, **body))
    [event] = door.settled(customer)
    return got.body, event


def metric(door, line):
    page = httpx.get(f"{door.url}/metrics", trust_env=False).text
    found = [row.rpartition(" ")[2] for row in page.splitlines() if row.startswith(line)]
    return float(found[0]) if found else 0.0


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.parametrize("stream_it", [False, True])
def test_r37_nonsense_reaches_the_client_as_it_came(door, provider, name, stream_it):
    """To the byte; the call is estimated, kept within its hold, and says what it could not read."""
    block = NONSENSE[name]
    said = b'{"model":"demo-small","choices":[{"message":{"content":"Hi"}}],"usage":' + block + b"}"
    frame = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":' + block + b"}\n\n"
    if stream_it:
        said = TEXT + frame + STOP + DONE
        provider.answers(streamed(TEXT, frame, STOP, DONE))
    else:
        provider.answers(answer(said))

    got, event = event_of(door, {"stream": stream_it, "max_tokens": 50})

    assert said == got
    assert (Kind.SETTLE, Source.ESTIMATED, Status.OK) == (event.kind, event.source, event.status)
    assert 0 < event.charge_pico <= event.hold_pico
    assert len(event.raw_usage or "") <= 2_048


def test_r37_what_could_not_be_read_is_in_the_log_and_the_metrics(door, provider):
    before = metric(door, 'farebox_calls_estimated_total{why="unparsed"}')
    provider.answers(answer(b'{"choices":[],"usage":{"prompt_tokens":"many"}}'))

    _, event = event_of(door, {})

    assert '{"prompt_tokens":"many"}' == event.raw_usage
    shown = door.log(event.request_id)
    assert ('{"prompt_tokens":"many"}', "estimated") == (shown["raw_usage"], shown["usage_source"])
    wait_until(
        lambda: metric(door, 'farebox_calls_estimated_total{why="unparsed"}') == before + 1,
        "it is counted",
    )


def test_r07_an_upstream_that_does_not_count_is_noticed(door, provider):
    """It ignores our wish for usage: estimated, flagged, counted."""
    before = metric(door, 'farebox_calls_estimated_total{why="missing"}')
    provider.answers(streamed(TEXT, STOP, DONE))

    _, event = event_of(door, {"stream": True})

    assert (Source.ESTIMATED, 1) == (event.source, event.usage.output_tokens)
    assert event.charge_pico > 0
    wait_until(
        lambda: metric(door, 'farebox_calls_estimated_total{why="missing"}') == before + 1,
        "it is counted",
    )


@pytest.mark.parametrize("stream_it", [False, True])
def test_r39_zeros_that_are_said_at_the_end_are_booked(door, provider, stream_it):
    zeros = b'"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}'
    tail = b'data: {"choices":[],' + zeros + b"\n\n"
    whole = answer(b'{"model":"demo-small","choices":[{"message":{"content":"Hi"}}],' + zeros)
    provider.answers(streamed(TEXT, STOP, tail, DONE) if stream_it else whole)

    _, event = event_of(door, {"stream": stream_it})

    assert (Kind.SETTLE, Source.REPORTED, 0) == (event.kind, event.source, event.charge_pico)


def test_r39_zeros_on_the_way_are_not(door, provider):
    """The provider breaks off before its last frame: what it had said until then is paid for."""
    early = TEXT.replace(b"}\n\n", b',"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n')
    provider.answers(streamed(early, early, end=False))
    customer = a_customer()

    send(door, chat_body(customer, stream=True))

    [event] = door.settled(customer)
    assert (Source.ESTIMATED, Status.ERROR) == (event.source, event.status)
    assert (1, True) == (event.usage.output_tokens, event.usage.input_tokens > 0)


def test_a_count_of_a_part_is_completed(door, provider):
    """What was counted stands; of the answer, what came after it is estimated."""
    counted = TEXT.replace(b"}\n\n", b',"usage":{"prompt_tokens":1000,"completion_tokens":30}}\n\n')
    provider.answers(streamed(counted, TEXT, TEXT, TEXT, end=False))
    customer = a_customer()

    send(door, chat_body(customer, stream=True, text="x" * 4_000))

    [event] = door.settled(customer)
    assert Source.ESTIMATED is event.source
    assert (1_000, 32) == (event.usage.input_tokens, event.usage.output_tokens)
    assert 1_000 * IN + 32 * OUT == event.charge_pico


def test_an_estimate_of_a_whole_answer_is_of_its_text(door, provider):
    """Not of what frames it: ids, log probabilities, pictures."""
    padding = b'"logprobs":"' + b"y" * 40_000 + b'",'
    provider.answers(
        answer(b"{" + padding + b'"choices":[{"message":{"content":"' + b"x" * 40 + b'"}}]}')
    )

    _, event = event_of(door, {})

    assert (Source.ESTIMATED, 10) == (event.source, event.usage.output_tokens)


CHATS = [name for name in STREAMS if name.endswith("-chat") and name != "cohere-chat"]


@pytest.mark.parametrize("name", CHATS)
def test_r70_a_providers_stream_is_billed_as_it_counts(door, provider, name):
    """Each provider behind the same upstream: the bytes come back, the buckets are booked."""
    sent = stream(name)
    provider.answers(streamed(sent))

    got, event = event_of(door, {"stream": True, "stream_options": {"include_usage": True}})

    usage = STREAMS[name].usage
    assert usage is not None
    assert sent == got
    assert (Source.REPORTED, usage) == (event.source, event.usage)
    assert (
        usage.input_tokens * IN
        + usage.cache_read_tokens * CACHED
        + usage.cache_write_5m_tokens * IN
        + usage.output_total * OUT
    ) == event.cost_pico


@pytest.mark.parametrize(
    ("account", "cost_pico"), [({}, 10 * IN + 4 * OUT), ({"reported_cost": "trust"}, 7_350_000)]
)
def test_r44_a_provider_that_states_its_cost(provider, account, cost_pico):
    """Kept beside ours, and noticed where it is another; booked where it is trusted."""
    counted = b'{"prompt_tokens":10,"completion_tokens":4,"cost":7.35e-06,"is_byok":false}'
    provider.answers(answer(b'{"model":"demo-small","choices":[],"usage":' + counted + b"}"))
    with gateway(upstream_url=provider.url, account=account) as door:
        _, event = event_of(door, {})

        assert (cost_pico, 7_350_000) == (event.cost_pico, event.reported_cost_pico)
        shown = door.log(event.request_id)
        assert "0.00000735" == shown["reported_cost_usd"]
        drifts = 0.0 if account else 1.0
        wait_until(
            lambda: metric(door, "farebox_reported_cost_drifts_total") == drifts, "it is counted"
        )


def test_openrouter_is_priced_by_what_it_says(provider):
    """Without a word in the configuration; a policy against unknown prices does not refuse it."""
    counted = b'{"prompt_tokens":10,"completion_tokens":4,"cost":0.00000735}'
    provider.answers(answer(b'{"model":"x/y","choices":[],"usage":' + counted + b"}"))
    account = {"name": "or", "provider": "openrouter", "models": ["*/*"]}
    with gateway(upstream_url=provider.url, account=account, unpriced="reject") as door:
        customer = a_customer()
        assert 200 == door.chat(customer, model="x/y").status_code
        (event,) = door.settled(customer)

    assert (7_350_000, 7_350_000, "reported", False) == (
        event.cost_pico,
        event.charge_pico,
        event.price_id,
        event.unpriced,
    )
