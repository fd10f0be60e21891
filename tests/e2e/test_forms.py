"""Uploads: forms with files, metered, their bytes untouched but for our fields."""

import gzip
import re
from decimal import Decimal
from typing import Any

import openai
import pytest

from gateway.event import Kind, Source
from gateway.openai.media_input import AUDIO_BYTES_A_SECOND_MIN
from pricing.money import pico_usd
from tests.support.forms import BOUNDARY, MEDIA, SOUND, customer_fields, field, file, form
from tests.support.gateways import TOKEN, a_customer, an_upstream, gateway
from tests.support.rawhttp import connected, exchange, request
from tests.support.rawupstream import answer, head_of, raw_upstream, taking
from tests.support.rawupstream import stream as streamed

HEARD = b'{"text":"Hello","usage":{"type":"duration","seconds":9}}'
PATH = "/v1/audio/transcriptions"
SECOND = Decimal("0.0001")


def card(model, fees, **fields):
    price = {
        "id": f"demo/{model}@1",
        "source": [{"url": "https://lab.example", "seen": "2026-01-01"}],
        "fees": fees,
    }
    return {"provider": "demo", "model": model, "prices": [price], **fields}


PRICES = [
    card("ear", {"second": {"rate": str(SECOND)}}),
    card("painter", {"image": {"rate": "0.04"}}),
]


@pytest.fixture(scope="module")
def provider():
    with raw_upstream() as upstream:
        upstream.answers(answer(HEARD))
        yield upstream


@pytest.fixture(scope="module")
def door(provider):
    account = an_upstream(provider.url, models=["*"])
    limits = {"upload_bytes": 4_000_000}
    with gateway(upstreams=[account], prices=PRICES, limits=limits) as running:
        yield running


MODEL = field("model", "ear")


def send(door, body, path=PATH, **headers):
    told = {
        "authorization": f"Bearer {TOKEN}",
        "content_type": MEDIA,
    }
    return exchange(door.url, request(path, body, **told | headers))


ORDERS = {
    "ours first": lambda ours: [ours, MODEL, field("language", "de"), file()],
    "ours last": lambda ours: [MODEL, file(), field("language", "de"), ours],
    "file first": lambda ours: [file(), ours, field("language", "de"), MODEL],
    "ours apart": lambda ours: [ours, file(), MODEL, field("disable_log", "true"), field("x", "")],
}


@pytest.mark.parametrize("order", ORDERS)
def test_r76_a_form_is_forwarded_without_our_fields(door, provider, order):
    """Wherever they stand: the boundary stays, the length is right, no other byte changes."""
    customer = a_customer()
    parts = ORDERS[order](customer_fields(customer, name="Zoë"))

    got = send(door, form(*parts))

    ours = re.compile(rb"customer_params|disable_log")
    asked = provider.asked[-1]
    assert (200, HEARD) == (got.status, got.body)
    assert form(*(part for part in parts if not ours.search(part))) == asked.body
    assert str(len(asked.body)).encode() == asked.header(b"content-length")
    assert MEDIA.encode() == asked.header(b"content-type")
    [event] = door.settled(customer)
    assert (Kind.SETTLE, Source.REPORTED) == (event.kind, event.source)
    assert pico_usd(9 * SECOND) == event.charge_pico
    assert "Zoë" == door.user(customer)["name"]


def test_r76_openai_python_uploads_as_ever(door, provider):
    """What it makes of extra_body, extra_query and default_headers."""
    carriers: list[dict[str, Any]] = [
        {"extra_body": {"customer_params": {"customer_identifier": (by_body := a_customer())}}},
        {"extra_query": {"customer_params": {"customer_identifier": (by_query := a_customer())}}},
        {"extra_headers": {"x-farebox-customer": (by_header := a_customer())}},
    ]

    for carrier in carriers:
        heard = door.openai().audio.transcriptions.create(
            model="ear", file=("a.mp3", SOUND), timestamp_granularities=["word"], **carrier
        )
        assert "Hello" == heard.text
        asked = provider.asked[-1]
        assert SOUND in asked.body
        assert b"customer" not in asked.line + asked.body
        assert b"timestamp_granularities[]" in asked.body

    for customer in (by_body, by_query, by_header):
        assert 1 == len(door.settled(customer))


def test_the_upstreams_name_is_taken_off_the_model(door, provider):
    send(door, form(file(), field("model", "demo/ear"), customer_fields(a_customer())))

    assert form(file(), MODEL) == provider.asked[-1].body


def test_a_customer_with_a_limit_is_held_to_the_sound_it_sends(door, provider):
    """Held by the size of the file: as long as it can be; what it was is what it costs."""
    customer = a_customer()
    longest = -(-len(SOUND) // AUDIO_BYTES_A_SECOND_MIN)
    before = len(provider.asked)

    small = send(
        door,
        form(MODEL, file(), customer_fields(customer, period_budget=str(longest * SECOND / 2))),
    )
    enough = send(
        door, form(MODEL, file(), customer_fields(customer, period_budget=str(longest * SECOND)))
    )

    assert (402, "budget_exceeded") == (small.status, small.json()["error"]["code"])
    assert 200 == enough.status
    assert 1 == len(provider.asked) - before
    event = door.settled(customer, 2)[-1]
    assert (pico_usd(longest * SECOND), pico_usd(9 * SECOND)) == (
        event.hold_pico,
        event.charge_pico,
    )


def test_what_cannot_be_bounded_is_refused_to_a_customer_with_a_limit(door, provider):
    """A model without a price; and without a limit it passes."""
    before = len(provider.asked)
    unknown = field("model", "unheard-of")

    limited = send(door, form(unknown, file(), customer_fields(a_customer(), total_budget="5")))
    free = send(door, form(unknown, file(), customer_fields(a_customer())))

    assert (400, "model_not_priced") == (limited.status, limited.json()["error"]["code"])
    assert (200, 1) == (free.status, len(provider.asked) - before)


def test_a_picture_that_is_edited(door, provider):
    """Several files in one field; numbers are text."""
    customer = a_customer()
    provider.answers(answer(b'{"data":[{"url":"u"},{"url":"u"}]}'))
    parts = [
        field("model", "painter"),
        file(b"PNG1", "image[]"),
        file(b"PNG2", "image[]"),
        field("prompt", "a cat"),
        field("n", "2"),
    ]

    got = send(door, form(*parts, customer_fields(customer)), "/v1/images/edits")

    provider.answers(answer(HEARD))
    assert 200 == got.status
    assert form(*parts) == provider.asked[-1].body
    assert [pico_usd("0.08")] == [e.charge_pico for e in door.settled(customer)]


def test_a_transcript_that_is_streamed(door, provider):
    customer = a_customer()
    frames = [
        b'data: {"type":"transcript.text.delta","delta":"Hel"}\n\n',
        b'data: {"type":"transcript.text.done","usage":{"type":"duration","seconds":9}}\n\n',
    ]
    provider.answers(streamed(*frames))

    got = send(door, form(MODEL, field("stream", "true"), file(), customer_fields(customer)))

    provider.answers(answer(HEARD))
    assert (b"".join(frames), True) == (got.body, got.whole)
    [event] = door.settled(customer)
    assert (True, pico_usd(9 * SECOND)) == (event.stream, event.charge_pico)


@pytest.mark.parametrize(
    ("parts", "code", "param"),
    [
        ([file()], "missing_field", "model"),
        ([MODEL, MODEL, file()], "duplicate_field", "model"),
        ([MODEL, field("prompt", "a"), field("prompt", "a")], "duplicate_field", "prompt"),
        ([file(b"ear", "model"), file()], "invalid_type", "model"),
        ([MODEL, file(), field("fallback_models", "x")], "unsupported_field", "fallback_models"),
        ([MODEL, file(), field("retry_params[n]", "1")], "unsupported_field", "retry_params"),
        ([MODEL, file(), field("stream", "yes")], "invalid_type", "stream"),
        ([MODEL, customer_fields("a"), customer_fields("b")], "customer_conflict", None),
        (
            [MODEL, customer_fields("a"), field("customer_identifier", "b")],
            "customer_conflict",
            None,
        ),
        ([MODEL, field("customer_params", "a")], "invalid_customer", "customer_params"),
        ([MODEL, file(b"x", "customer_identifier")], "invalid_value", "customer_identifier"),
        (
            [MODEL, customer_fields("a", period_budget="much")],
            "invalid_value",
            "customer_params.period_budget",
        ),
        ([MODEL + b"--" + BOUNDARY.encode() + b"x"], "invalid_form", None),
    ],
)
def test_a_faulty_form_is_refused_by_name(door, provider, parts, code, param):
    before = len(provider.asked)

    got = send(door, form(*parts))

    error = got.json()["error"]
    assert (400, code) == (got.status, error["code"])
    assert param is None or param == error["param"]
    assert before == len(provider.asked)


def test_what_is_too_large_is_refused(door, provider):
    """By what it declares, and by what comes; and when it becomes so."""
    before = len(provider.asked)
    huge = form(MODEL, file(bytes(4_000_000)))
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(huge), huge)

    declared = send(door, b"", content_length="4000001")
    head = request(PATH, b"", content_length=None, transfer_encoding="chunked")
    token = f"authorization: Bearer {TOKEN}\r\n".encode()
    head = head.replace(b"application/json", MEDIA.encode()).replace(b"host:", token + b"host:")
    came = exchange(door.url, head + chunked)
    became = send(door, gzip.compress(huge), content_encoding="gzip")

    assert [413, 413, 413] == [a.status for a in (declared, came, became)]
    assert before == len(provider.asked)


def test_a_compressed_form_is_read_and_forwarded_as_it_is_inside(door, provider):
    customer = a_customer()
    inside = form(MODEL, file(), customer_fields(customer))

    got = send(door, gzip.compress(inside), content_encoding="gzip")

    assert 200 == got.status
    assert form(MODEL, file()) == provider.asked[-1].body
    assert 1 == len(door.settled(customer))


def test_who_leaves_while_uploading_pays_nothing(door, provider):
    """Nothing is held or sent before all of it is there; and no file stays behind."""
    customer = a_customer()
    before = len(provider.asked)
    whole = request(
        PATH,
        form(customer_fields(customer), MODEL, file(bytes(3_000_000))),
        authorization=f"Bearer {TOKEN}",
        content_type=MEDIA,
    )

    with connected(door.url) as connection:
        connection.sendall(whole[:2_000_000])
    got = send(door, form(MODEL, file(bytes(3_000_000)), customer_fields(customer)))

    assert 200 == got.status
    assert 1 == len(door.settled(customer))
    assert 1 == len(provider.asked) - before
    assert [] == list((door.folder / "uploads").iterdir())


def refusing(no):
    """Answers when it has seen the head, and never looks at the rest."""

    def take(connection):
        head_of(connection)
        connection.sendall(answer(no, status="413 Too Large"))
        connection.settimeout(5)
        while connection.recv(65_536):
            pass

    return take


def test_an_upstream_that_refuses_early_need_not_read_it_all(door, provider):
    """Its error reaches the client, and nothing is charged."""
    customer = a_customer()
    no = b'{"error":{"message":"too large"}}'
    with (
        taking(refusing(no)) as url,
        gateway(upstreams=[an_upstream(url, models=["*"])], prices=PRICES) as small,
    ):
        got = send(small, form(MODEL, file(bytes(3_000_000)), customer_fields(customer)))
        [event] = small.settled(customer)

    assert (413, no) == (got.status, got.body)
    assert (Kind.RELEASE, 0) == (event.kind, event.charge_pico)


def test_a_form_where_json_belongs_is_said_so(door):
    got = send(door, form(MODEL), "/v1/chat/completions")

    assert (415, "content-type") == (got.status, got.json()["error"]["param"])


def test_openai_pythons_errors_are_typed(door):
    with pytest.raises(openai.BadRequestError) as refused:
        door.openai(max_retries=0).audio.transcriptions.create(
            model="ear", file=SOUND, extra_body={"models": ["x"]}
        )
    assert "unsupported_field" == refused.value.code
