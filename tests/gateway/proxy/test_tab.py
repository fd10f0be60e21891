"""The tab: what a call is held for, and the one event that ends it."""

from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest

from gateway.clock import SystemClock
from gateway.customers.apps import App
from gateway.customers.identity import Caller
from gateway.customers.profile import Limits, Profile, Terms
from gateway.customers.windows import Calendar
from gateway.errors import GatewayError, InvalidCall, UpstreamTimeout, UpstreamUnreachable
from gateway.event import Kind, Source, Status
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold
from gateway.openai.answer import Reading
from gateway.openai.call import Endpoint, parse_call
from gateway.proxy.bounding import Budgeting
from gateway.proxy.client import Sent
from gateway.proxy.tab import NO_READING, Tab
from gateway.proxy.upstream import Upstream, UpstreamSettings
from gateway.rating import Fallback, Rating, Unpriced
from gateway.store.keys import Keyspace
from pricing.book import PriceBook
from pricing.usage import Usage

NOW_MS = 1_800_000_000_000
BOOK = PriceBook((), "book-1").overlaid(
    [
        {
            "provider": "lab",
            "model": "small",
            "limits": {"context": 10_000, "max_output": 500},
            "base": {"input": "1", "cache_read": "0.5", "output": "4"},
        },
        {
            "provider": "lab",
            "model": "small-0731",
            "limits": {"context": 10_000, "max_output": 500},
            "base": {"input": "2", "output": "8"},
        },
        {"provider": "lab", "model": "endless", "base": {"input": "1", "output": "4"}},
        {
            "provider": "lab",
            "model": "large",
            "limits": {"context": 100_000, "max_output": 50_000},
            "output_cap_field": "max_tokens",
            "base": {"input": "1", "output": "4"},
        },
        {"provider": "lab", "model": "gift", "free": True},
    ]
)
RATING = Rating(BOOK)
MICRO = 1_000_000
"""One USD per million tokens, in pico-USD a token."""


def body(model="small", **fields):
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]} | fields)


def tab(model="small", *, endpoint=Endpoint.CHAT, rating=RATING, content=None, **fields) -> Tab:
    call = parse_call(endpoint, content or body(model, **fields))
    settings = UpstreamSettings(name="up", provider="lab", base_url="http://up.example")
    return Tab(
        request_id="fbx_" + "0" * 32,
        started_ms=NOW_MS,
        started=0.0,
        call=call,
        app=App(id="my-app", token_sha256=""),
        caller=Caller(customer="acme", change={}, recorded={}, warnings=()),
        upstream=Upstream(settings, transport=httpx.AsyncBaseTransport()),
        upstream_model=call.model,
        rated=rating.rate("lab", call.model, NOW_MS),
        rating=rating,
    )


def terms(**limits) -> Terms:
    return Terms(Limits(**limits), None, Calendar(ZoneInfo("UTC")).at(NOW_MS, None))


LIMITED = terms(total_budget_pico=10**12)
FREE = terms()


def held(made: Tab, by: Terms = LIMITED, rating: Rating = RATING, **budgeting: Any) -> int:
    return made.bound(rating, by, Budgeting(**budgeting)).wanted_pico


def test_all_input_and_output_are_held():
    made = tab(max_tokens=7, n=3)

    assert (made.call.input_bound_tokens + 3 * 7 * 4) * MICRO == held(made)


def test_the_markup_is_held_too():
    plain, marked = held(tab()), held(tab(), terms(total_budget_pico=1, markup_ppm=250_000))

    assert plain * 5 == marked * 4


def test_what_is_free_holds_nothing():
    assert Bound.all_of(0) == tab("gift").bound(RATING, LIMITED, Budgeting())


def test_a_model_without_a_price():
    """Refused where a budget must be kept or the policy says so; else nothing is held."""
    for rating, bound_by in ((RATING, LIMITED), (Rating(BOOK, unpriced=Unpriced.REJECT), FREE)):
        with pytest.raises(InvalidCall) as refused:
            held(tab("nobody's", rating=rating), bound_by, rating)
        assert "model_not_priced" == refused.value.code

    assert 0 == held(tab("nobody's"), FREE)
    fallback = Rating(
        BOOK, unpriced=Fallback(input_usd="10", output_usd="30", output_max_tokens=100)
    )
    made = tab("nobody's", rating=fallback)
    assert (10 * made.call.input_bound_tokens + 30 * 100) * MICRO == held(made, LIMITED, fallback)


def test_where_limits_do_not_bind_none_refuses():
    """Under the policy `soft` a customer with a limit calls whatever others may call."""
    assert 0 == held(tab("nobody's"), binding=False)
    assert held(tab("endless"), binding=False) > 0
    assert held(tab(web_search_options={}), binding=False) > 0


def test_a_smaller_grant_becomes_a_cap():
    """It is in the body, in the closing event and nowhere else."""
    made = tab("large")
    wanted = made.bound(RATING, LIMITED, Budgeting()).wanted_pico
    input_pico = made.call.input_bound_tokens * MICRO

    made.admitted(hold(input_pico + 2_000 * 4 * MICRO + 3, wanted=wanted))

    assert 2_000 == made.output_cap_tokens
    sent = made.call.forwarded(include_usage=False, cap=made.cap_edits)
    assert orjson.loads(body("large")) | {"max_tokens": 2_000} == orjson.loads(sent)
    made.sent = Sent(maybe=True)
    assert 2_000 == made.closing(hold(), RATING, SystemClock()).output_cap_tokens


@pytest.mark.parametrize("model", ["large", "gift", "nobody's"])
def test_what_was_granted_in_full_is_forwarded_as_it_came(model):
    made = tab(model)
    wanted = made.bound(RATING, FREE, Budgeting()).wanted_pico

    made.admitted(hold(wanted, wanted=wanted))

    assert (None, ()) == (made.output_cap_tokens, made.cap_edits)


def hold(amount=10**9, *, wanted=None, markup_ppm=0) -> Hold:
    return Hold(
        request_id="fbx_" + "0" * 32,
        partition=Keyspace().partition_of("acme"),
        profile=Profile("acme", 1, 1, {}),
        terms=terms(markup_ppm=markup_ppm),
        app="my-app",
        amount_pico=amount,
        wanted_pico=amount if wanted is None else wanted,
        orphan_pico=amount,
        spent_period_pico=0,
        spent_total_pico=0,
        held_pico=0,
        window_ids="",
        opening=b"{}",
    )


def ended(held=None, *, rating=RATING, model="small", reading=NO_READING, sent=True, **facts):
    """The closing event of a tab with these facts."""
    made = tab(model, rating=rating)
    made.sent = Sent(maybe=sent)
    made.reading = reading
    for name, value in facts.items():
        setattr(made, name, value)
    return made.closing(held or hold(), rating, SystemClock())


USED = Usage(input_tokens=10, cache_read_tokens=4, output_tokens=3)
REPORTED = Reading(usage=USED, model="small")


def test_reported_usage_is_charged_to_the_digit():
    event = ended(reading=REPORTED, answer_status=200)

    assert (Kind.SETTLE, Source.REPORTED, Status.OK) == (event.kind, event.source, event.status)
    assert (10 + 2 + 12) * MICRO == event.cost_pico == event.charge_pico


def test_a_charge_may_pass_its_hold():
    """The provider has been paid: refusing to book it would be a lie."""
    assert 24 * MICRO == ended(hold(MICRO), reading=REPORTED, answer_status=200).charge_pico


def test_the_markup_of_the_hold_counts():
    event = ended(hold(markup_ppm=500_000), reading=REPORTED, answer_status=200)

    assert (24 * MICRO, 36 * MICRO) == (event.cost_pico, event.charge_pico)


@pytest.mark.parametrize(
    ("served", "cost"),
    [("small-0731", (20 + 8 + 24) * MICRO), ("unheard-of", 24 * MICRO), (None, 24 * MICRO)],
)
def test_the_served_model_is_priced_where_it_is_known(served, cost):
    event = ended(reading=Reading(usage=USED, model=served), answer_status=200)

    assert cost == event.cost_pico


def test_the_fallback_price_is_not_for_a_model_that_has_one():
    """Served under a name that the book does not know, it costs what was asked for costs."""
    fallback = Rating(BOOK, unpriced=Fallback(input_usd="90", output_usd="90", output_max_tokens=9))
    reading = Reading(usage=USED, model="unheard-of")

    event = ended(rating=fallback, reading=reading, answer_status=200)

    assert 24 * MICRO == event.cost_pico


@pytest.mark.parametrize(
    ("amount", "charge"), [(10**9, (25 + 4 * 10) * MICRO), (30 * MICRO, 30 * MICRO), (0, 0)]
)
def test_an_estimate_never_passes_the_hold(amount, charge):
    """A quarter of the bytes sent and seen, rounded up."""
    event = ended(hold(amount), sent_bytes=99, seen_bytes=40, answer_status=200)

    assert (Source.ESTIMATED, charge) == (event.source, event.charge_pico)


def test_an_estimate_with_a_markup():
    event = ended(hold(30 * MICRO, markup_ppm=500_000), sent_bytes=999, answer_status=200)

    assert (30 * MICRO, 20 * MICRO) == (event.charge_pico, event.cost_pico)


def test_what_has_no_rate_costs_what_was_held():
    """Audio at the rate of text would be a tenth; nothing that was sent is free."""
    reading = Reading(usage=Usage(input_tokens=1, audio_in_tokens=50), model="small")

    limited, open_ = (ended(hold(amount), reading=reading, answer_status=200) for amount in (77, 0))

    assert (77, False, "unpriced_audio_in") == (
        limited.charge_pico,
        limited.unpriced,
        limited.error_code,
    )
    assert (0, True) == (open_.charge_pico, open_.unpriced)


def test_an_unpriced_model_is_left_open():
    event = ended(hold(0), model="nobody's", reading=REPORTED, answer_status=200)

    assert not event.unpriced
    event = ended(
        hold(0),
        model="nobody's",
        reading=Reading(usage=USED, model="nobody's"),
        answer_status=200,
    )
    assert (True, 0, USED) == (event.unpriced, event.charge_pico, event.usage)


FREE_ENDS: dict[str, Any] = {
    "not sent": {"sent": False, "error": UpstreamUnreachable("x")},
    "refused": {"answer_status": 429},
    "redirected": {"answer_status": 307},
    "an error and nothing else": {"answer_status": 200, "stream_error": True},
}


@pytest.mark.parametrize("case", FREE_ENDS)
def test_released(case):
    event = ended(**FREE_ENDS[case])

    assert (Kind.RELEASE, 0, None) == (event.kind, event.charge_pico, event.source)


PAID_ENDS: dict[str, Any] = {
    "an error after text": {"answer_status": 200, "stream_error": True, "seen_bytes": 8},
    "an error with usage": {"answer_status": 500, "reading": REPORTED},
    "no answer": {"error": UpstreamTimeout("x")},
    "the client left": {"left": True},
    "stopped": {"error": GatewayError("x", code="gateway_stopped")},
}


@pytest.mark.parametrize("case", PAID_ENDS)
def test_nothing_is_free_once_it_was_sent(case):
    event = ended(**{"sent_bytes": 40} | PAID_ENDS[case])

    assert Kind.SETTLE is event.kind
    assert event.charge_pico > 0


@pytest.mark.parametrize(
    ("facts", "status", "code"),
    [
        ({"answer_status": 200, "whole": True}, Status.OK, 200),
        ({"answer_status": 503}, Status.ERROR, 503),
        ({"answer_status": 200, "stream_error": True}, Status.ERROR, 200),
        ({"left": True}, Status.ABORTED, 499),
        ({"left": True, "answer_status": 200}, Status.ABORTED, 200),
        ({"error": UpstreamTimeout("x")}, Status.ERROR, 504),
        ({"error": UpstreamTimeout("x"), "answer_status": 200}, Status.ERROR, 504),
        (
            {"error": UpstreamTimeout("x"), "answer_status": 200, "answering": True},
            Status.ERROR,
            200,
        ),
        ({"error": GatewayError("x")}, Status.ERROR, 500),
    ],
)
def test_the_status_is_what_the_client_got(facts, status, code):
    event = ended(**facts)

    assert (status, code) == (event.status, event.status_code)


@pytest.mark.parametrize(("whole", "left"), [(False, True), (True, False)])
def test_hanging_up_after_the_end_is_no_departure(whole, left):
    made = tab()
    made.whole = whole

    made.client_left()

    assert left == made.left
