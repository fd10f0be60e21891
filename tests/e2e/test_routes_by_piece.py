"""Routes that are billed by the piece: search units, images, characters. And by nothing at all."""

import json

import pytest

from gateway.event import Kind, Source, Status
from gateway.openai.outputs import IMAGE_TOKENS_MAX, SPEECH_TOKENS_MAX
from pricing.usage import Usage
from tests.support.gateways import TOKEN, a_customer, an_upstream, gateway
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer
from tests.support.rawupstream import stream as streamed

MICRO = 1_000_000
MILLI_USD = 10**9


def card(model, base=None, fees=None, **fields):
    price = {
        "id": f"demo/{model}@1",
        "source": [{"url": "https://lab.example", "seen": "2026-01-01"}],
        "base": base or {},
        "fees": fees or {},
    }
    return {"provider": "demo", "model": model, "prices": [price], **fields}


PRICES = [
    {"provider": "demo", "model": "omni-moderation-latest", "free": True},
    card("censor", {"input": "1"}, limits={"context": 1_000}),
    card("ranker", fees={"rerank": {"rate": "2", "per": 1_000}}),
    card("reader", {"input": "1"}),
    card("painter", fees={"image": {"rate": "0.04"}, "image:hd-1024x1792": {"rate": "0.12"}}),
    card("drawer", {"input": "5", "image_in": "10", "image_out": "40"}),
    card("speaker", fees={"character": {"rate": "15", "per": 1_000_000}}),
    card("talker", {"input": "1", "audio_out": "12"}),
]


@pytest.fixture(scope="module")
def door(provider):
    account = an_upstream(provider.url, models=["*"])
    with gateway(upstreams=[account], prices=PRICES) as running:
        yield running


def send(door, path, body, customer, **params):
    body = {"customer_params": {"customer_identifier": customer, **params}, **body}
    sent = request(path, json.dumps(body).encode(), authorization=f"Bearer {TOKEN}")
    return exchange(door.url, sent)


def event_of(door, path, body, **params):
    """The one event of a call of a customer with a limit, which every route can keep."""
    customer = a_customer()
    got = send(door, path, body, customer, **{"total_budget": 50, **params})
    assert 200 == got.status, got.body
    [event] = door.settled(customer)
    assert path.removeprefix("/v1/").removeprefix("/api/") == event.endpoint
    assert event.charge_pico <= event.hold_pico or event.source is Source.REPORTED
    return event


def says(provider, **fields):
    provider.answers(answer(json.dumps(fields).encode()))


@pytest.mark.parametrize("prefix", ["/v1", "/api"])
@pytest.mark.parametrize("given", ["Hi", ["Hi", "you"], [{"type": "text", "text": "Hi"}]])
def test_moderations_that_are_free_pass_an_exhausted_budget(door, provider, prefix, given):
    """The model need not be named; the body goes on as it came."""
    says(provider, id="modr-1", model="omni-moderation-latest", results=[])

    event = event_of(door, f"{prefix}/moderations", {"input": given}, total_budget=0)

    assert {"input": given} == json.loads(provider.asked[-1].body)
    assert (Kind.SETTLE, 0, "omni-moderation-latest") == (
        event.kind,
        event.charge_pico,
        event.model,
    )


def test_moderations_by_the_token(door, provider):
    """Some servers count; of one that does not, a quarter of the bytes."""
    says(provider, results=[], usage={"prompt_tokens": 40, "total_tokens": 40})
    counted = event_of(door, "/v1/moderations", {"model": "censor", "input": "x" * 400})
    assert (40 * MICRO, Source.REPORTED) == (counted.charge_pico, counted.source)

    says(provider, results=[])
    guessed = event_of(door, "/v1/moderations", {"model": "censor", "input": "x" * 400})
    assert Source.ESTIMATED is guessed.source
    assert 100 * MICRO < guessed.charge_pico < 120 * MICRO

    parts = [{"type": "image_url", "image_url": {"url": "https://x"}}] * 2
    says(provider, results=[])
    opaque = event_of(door, "/v1/moderations", {"model": "censor", "input": parts})
    assert opaque.hold_pico > 2 * 1_000 * MICRO


DOCUMENTS = ["one", "two", {"text": "three"}]


def test_rerank_by_search_units(door, provider):
    """Cohere's; of a server that does not say, as few as the documents need."""
    body = {"model": "ranker", "query": "Which?", "documents": DOCUMENTS, "top_n": 1}
    says(provider, results=[], meta={"billed_units": {"search_units": 1}})
    counted = event_of(door, "/v1/rerank", body)
    assert (2 * MILLI_USD, Source.REPORTED) == (counted.charge_pico, counted.source)

    says(provider, results=[])
    guessed = event_of(door, "/api/rerank", {**body, "documents": ["x" * 1_000] * 101})
    assert (2 * 2 * MILLI_USD, Source.ESTIMATED) == (guessed.charge_pico, guessed.source)
    assert 6 * 2 * MILLI_USD == guessed.hold_pico  # each long one counts as several


@pytest.mark.parametrize("usage", [{"total_tokens": 90}, {"prompt_tokens": 90, "total_tokens": 90}])
def test_rerank_by_the_token(door, provider, usage):
    """Voyage's and Jina's: the query is read with each of the documents."""
    query = "q" * 1_000
    body = {"model": "reader", "query": query, "documents": ["x"] * 50}
    says(provider, object="list", data=[], model="reader", usage=usage)

    event = event_of(door, "/v1/rerank", body)

    assert 90 * MICRO == event.charge_pico
    assert event.hold_pico > 50 * 1_000 * MICRO


def test_rerank_of_pictures_has_no_bound(door):
    body = {"model": "reader", "query": "q", "documents": [{"image": "https://x"}]}
    got = send(door, "/v1/rerank", body, a_customer(), total_budget=5)
    assert (400, "documents") == (got.status, got.json()["error"]["param"])


def test_images_by_the_piece(door, provider):
    """At the price of their size and quality, told from the call: the answer does not say."""
    says(provider, created=1, data=[{"url": "https://x"}, {"url": "https://y"}])
    body = {"model": "painter", "prompt": "A cat", "n": 2, "quality": "hd", "size": "1024x1792"}

    event = event_of(door, "/v1/images/generations", body)

    assert body == json.loads(provider.asked[-1].body)
    assert (240 * MILLI_USD, Source.REPORTED) == (event.charge_pico, event.source)
    assert (("image:hd-1024x1792", 2),) == event.usage.fees
    assert 240 * MILLI_USD == event.hold_pico

    says(provider, created=1, data=[{"url": "https://x"}])
    plain = event_of(door, "/api/images/generations", {"model": "painter", "prompt": "A cat"})
    assert 40 * MILLI_USD == plain.charge_pico


DREW = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 4_160,
    "total_tokens": 4_210,
}


@pytest.mark.parametrize("stream_it", [False, True])
def test_images_by_the_token(door, provider, stream_it):
    if stream_it:
        done = json.dumps({"type": "image_generation.completed", "b64_json": "AA", "usage": DREW})
        sent = b"event: image_generation.completed\ndata: " + done.encode() + b"\n\n"
        provider.answers(streamed(sent))
    else:
        says(provider, created=1, data=[{"b64_json": "AA"}], usage=DREW)
    body = {"model": "drawer", "prompt": "A cat", "stream": stream_it}

    event = event_of(door, "/v1/images/generations", body)

    assert Usage(input_tokens=10, image_in_tokens=40, image_out_tokens=4_160) == event.usage
    assert (10 * 5 + 40 * 10 + 4_160 * 40) * MICRO == event.charge_pico
    assert event.hold_pico > IMAGE_TOKENS_MAX * 40 * MICRO


@pytest.mark.parametrize(
    "usage", [{"output_tokens": 900}, {"input_tokens": 10, "output_tokens": 900}]
)
def test_what_an_images_route_makes_is_images(door, provider, usage):
    """Whatever its usage leaves out."""
    says(provider, created=1, data=[], usage=usage)

    event = event_of(door, "/v1/images/generations", {"model": "drawer", "prompt": "A cat"})

    assert 900 == event.usage.image_out_tokens


SOUND = b"\xff\xfb\x90\x00" * 5_000


def test_speech_by_the_character(door, provider):
    """What is read aloud is counted as it was sent; the sound comes back to the byte."""
    provider.answers(answer(SOUND, "content-type: audio/mpeg"))
    customer, text = a_customer(), "Grüße, 世界"
    body = {"model": "speaker", "input": text, "voice": "alloy"}

    got = send(door, "/v1/audio/speech", body, customer, total_budget=5)

    assert (SOUND, b"audio/mpeg") == (got.body, got.header("content-type"))
    [event] = door.settled(customer)
    assert (len(text) * 15 * MICRO, Source.REPORTED) == (event.charge_pico, event.source)
    assert event.hold_pico == event.charge_pico
    assert got.header("x-farebox-charge-usd") == b"0.000135"


def test_speech_that_fails_is_free(door, provider):
    provider.answers(answer(b"{}", status="500 Oops"))
    customer = a_customer()

    send(door, "/v1/audio/speech", {"model": "speaker", "input": "Hi"}, customer)

    [event] = door.settled(customer)
    assert (Kind.RELEASE, Status.ERROR) == (event.kind, event.status)


def test_speech_that_breaks_off_is_estimated(door, provider):
    """The provider has read it aloud, whatever of it arrived."""
    provider.answers(answer(SOUND, "content-type: audio/mpeg", length=10**6))
    customer = a_customer()

    send(door, "/v1/audio/speech", {"model": "speaker", "input": "Hi there"}, customer)

    [event] = door.settled(customer)
    assert (Source.ESTIMATED, Status.ERROR) == (event.source, event.status)
    assert 8 * 15 * MICRO == event.charge_pico


@pytest.mark.parametrize("stream_it", [False, True])
def test_speech_by_the_token(door, provider, stream_it):
    """Told at the end of a stream; else guessed from the text."""
    body = {"model": "talker", "input": "x" * 400, "voice": "alloy"}
    if stream_it:
        body["stream_format"] = "sse"
        used = {"input_tokens": 100, "output_tokens": 500, "total_tokens": 600}
        done = json.dumps({"type": "speech.audio.done", "usage": used}).encode()
        first = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
        provider.answers(streamed(first, b"data: " + done + b"\n\n"))
    else:
        provider.answers(answer(SOUND, "content-type: audio/mpeg"))

    event = event_of(door, "/v1/audio/speech", body)

    assert event.hold_pico > 400 * SPEECH_TOKENS_MAX * 12 * MICRO
    if stream_it:
        assert (Source.REPORTED, (100 + 500 * 12) * MICRO) == (event.source, event.charge_pico)
    else:
        assert (Source.ESTIMATED, 600) == (event.source, event.usage.audio_out_tokens)
        assert 0 < event.charge_pico < event.hold_pico


BODIES = {
    "moderations": {"model": "censor", "input": "Hi"},
    "rerank": {"model": "ranker", "query": "q", "documents": ["x"]},
    "images/generations": {"model": "painter", "prompt": "x"},
    "audio/speech": {"model": "speaker", "input": "x"},
}


@pytest.mark.parametrize("path", BODIES)
def test_a_used_up_budget_stops_each_route(door, provider, path):
    before, customer = len(provider.asked), a_customer()

    got = send(door, f"/v1/{path}", BODIES[path], customer, total_budget=0)

    assert (402, "budget_exceeded") == (got.status, got.json()["error"]["code"])
    assert before == len(provider.asked)
    [event] = door.settled(customer)
    assert (Kind.REFUSE, path) == (event.kind, event.endpoint)
