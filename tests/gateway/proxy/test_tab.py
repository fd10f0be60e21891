"""The tab: what a call is held for, and the one event that ends it."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.customers.apps import App
from gateway.customers.credentials import Credential
from gateway.customers.identity import Caller
from gateway.customers.profile import Limits, Profile, Terms
from gateway.customers.windows import Calendar
from gateway.errors import GatewayError, InvalidCall, UpstreamTimeout, UpstreamUnreachable
from gateway.event import Kind, Source, Status
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold
from gateway.openai.answer import Reading
from gateway.openai.call import Endpoint, call_of, parse_call
from gateway.openai.forms import Attached
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
        {
            "provider": "lab",
            "model": "finder",
            "limits": {"context": 10_000, "max_output": 500},
            "prices": [
                {
                    "id": "lab/finder@1",
                    "source": [{"url": "https://lab.example", "seen": "2026-01-01"}],
                    "base": {"input": "1", "output": "4"},
                    "multipliers": [{"when": {"scope": "us"}, "num": 11, "den": 10}],
                    "fees": {
                        "request": {"rate": "5", "per": 1000},
                        "web_search": {"rate": "10", "per": 1000},
                    },
                }
            ],
        },
    ]
)
RATING = Rating(BOOK)
MICRO = 1_000_000
"""One USD per million tokens, in pico-USD a token."""


def body(model="small", **fields):
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]} | fields)


def tab(
    model="small", *, endpoint=Endpoint.CHAT, rating=RATING, content=None, account=None, **fields
) -> Tab:
    call = parse_call(endpoint, content or body(model, **fields))
    settings = UpstreamSettings(
        name="up", provider="lab", base_url="http://up.example", **(account or {})
    )
    return Tab(
        request_id="fbx_" + "0" * 32,
        started_ms=NOW_MS,
        started=0.0,
        call=call,
        credential=Credential(app=App(id="my-app", token_sha256="")),
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


def held(made: Tab, by: Terms = LIMITED, **budgeting: Any) -> int:
    return made.bound(by, Budgeting(**budgeting)).wanted_pico


def test_all_input_and_output_are_held():
    made = tab(max_tokens=7, n=3)

    assert (made.call.input_bound_tokens + 3 * 7 * 4) * MICRO == held(made)


def test_the_markup_is_held_too():
    plain, marked = held(tab()), held(tab(), terms(total_budget_pico=1, markup_ppm=250_000))

    assert plain * 5 == marked * 4


def test_what_is_free_holds_nothing():
    assert Bound.all_of(0) == tab("gift").bound(LIMITED, Budgeting())


def test_a_model_without_a_price():
    """Refused where a budget must be kept or the policy says so; else nothing is held."""
    for rating, bound_by in ((RATING, LIMITED), (Rating(BOOK, unpriced=Unpriced.REJECT), FREE)):
        with pytest.raises(InvalidCall) as refused:
            held(tab("nobody's", rating=rating), bound_by)
        assert "model_not_priced" == refused.value.code

    assert 0 == held(tab("nobody's"), FREE)
    fallback = Rating(
        BOOK, unpriced=Fallback(input_usd="10", output_usd="30", output_max_tokens=100)
    )
    made = tab("nobody's", rating=fallback)
    assert (10 * made.call.input_bound_tokens + 30 * 100) * MICRO == held(made, LIMITED)


def test_a_place_without_a_price():
    """As a model without one: what it costs elsewhere is no price for here."""
    for rating, bound_by in ((RATING, LIMITED), (Rating(BOOK, unpriced=Unpriced.REJECT), FREE)):
        with pytest.raises(InvalidCall, match=r"where it is served \(eu\)") as refused:
            held(tab("finder", rating=rating, account={"scope": "eu"}), bound_by)
        assert "model_not_priced" == refused.value.code

    assert 0 == held(tab("finder", account={"scope": "eu"}), FREE)
    assert 0 == held(tab("finder", account={"scope": "eu"}), binding=False)
    assert held(tab("finder", account={"scope": "us"})) == held(tab("finder"))
    assert held(tab("small", account={"scope": "eu"})) == held(tab("small"))


def test_where_limits_do_not_bind_none_refuses():
    """Under the policy `soft` a customer with a limit calls whatever others may call."""
    assert 0 == held(tab("nobody's"), binding=False)
    assert held(tab("endless"), binding=False) > 0
    assert held(tab(web_search_options={}), binding=False) > 0


def test_a_smaller_grant_becomes_a_cap():
    """It is in the body, in the closing event and nowhere else."""
    made = tab("large")
    wanted = made.bound(LIMITED, Budgeting()).wanted_pico
    input_pico = made.call.input_bound_tokens * MICRO

    made.admitted(hold(input_pico + 2_000 * 4 * MICRO + 3, wanted=wanted))

    assert 2_000 == made.output_cap_tokens
    sent = made.call.forwarded(include_usage=False, cap=made.cap_edits)
    assert isinstance(sent, bytes)
    assert orjson.loads(body("large")) | {"max_tokens": 2_000} == orjson.loads(sent)
    made.sent = Sent(maybe=True)
    assert 2_000 == made.closing(hold(), SystemClock()).output_cap_tokens


@pytest.mark.parametrize("model", ["large", "gift", "nobody's"])
def test_what_was_granted_in_full_is_forwarded_as_it_came(model):
    made = tab(model)
    wanted = made.bound(FREE, Budgeting()).wanted_pico

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


def ended(
    held=None, *, rating=RATING, model="small", reading=NO_READING, sent=True, call=None, **facts
):
    """The closing event of a tab with these facts."""
    made = tab(model, rating=rating, **(call or {}))
    made.sent = Sent(maybe=sent)
    made.reading = reading
    for name, value in facts.items():
        setattr(made, name, value)
    return made.closing(held or hold(), SystemClock())


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


def test_a_place_without_a_price_is_left_open():
    """Where nothing was held for it; else it costs what was."""
    event = ended(
        hold(0),
        model="finder",
        call={"account": {"scope": "eu"}},
        reading=Reading(usage=USED, model="finder"),
        answer_status=200,
    )

    assert (True, "unpriced_scope:eu", "eu", USED) == (
        event.unpriced,
        event.error_code,
        event.scope,
        event.usage,
    )


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


def test_r39_explicit_zeros_cost_nothing():
    """The provider has said so at the end: that is no missing usage."""
    event = ended(reading=Reading(usage=Usage(), model="small"), sent_bytes=99, answer_status=200)

    assert (Kind.SETTLE, Source.REPORTED) == (event.kind, event.source)
    assert (0, 0, False) == (event.cost_pico, event.usage.total, event.unpriced)


def test_r39_an_error_that_counts_nothing_is_released():
    event = ended(reading=Reading(usage=Usage()), sent_bytes=99, answer_status=500)

    assert (Kind.RELEASE, 0) == (event.kind, event.charge_pico)


PARTLY = Reading(usage=Usage(input_tokens=10, output_tokens=1), usage_final=False, model="small")


@pytest.mark.parametrize(
    ("uncounted", "output"),
    [(0, 1), (1, 2), (40, 11)],
)
def test_a_count_of_a_part_is_completed_with_what_was_seen(uncounted, output):
    """What the provider counted stands; what came after it is estimated, and it is flagged."""
    event = ended(
        reading=PARTLY, sent_bytes=999, seen_bytes=400, uncounted_bytes=uncounted, left=True
    )

    assert (Source.ESTIMATED, Status.ABORTED) == (event.source, event.status)
    assert (10, output) == (event.usage.input_tokens, event.usage.output_tokens)
    assert (10 + 4 * output) * MICRO == event.charge_pico


def test_a_count_of_a_part_never_passes_the_hold():
    event = ended(hold(12 * MICRO), reading=PARTLY, uncounted_bytes=4_000, left=True)

    assert 12 * MICRO == event.charge_pico


def test_a_part_without_its_input_is_no_count():
    """Output alone, in the middle of an answer: all of it is estimated."""
    reading = Reading(usage=Usage(output_tokens=3), usage_final=False)

    event = ended(reading=reading, sent_bytes=40, seen_bytes=80, answer_status=200)

    assert (10, 20) == (event.usage.input_tokens, event.usage.output_tokens)


def test_an_estimate_of_embeddings_has_no_output():
    """Megabytes of numbers are no words."""
    call = {
        "endpoint": Endpoint.EMBEDDINGS,
        "content": orjson.dumps({"model": "small", "input": "Hi"}),
    }

    event = ended(call=call, sent_bytes=40, seen_bytes=9_000_000, answer_status=200)

    assert (10, 0) == (event.usage.input_tokens, event.usage.output_tokens)


IN_BACKGROUND = {
    "endpoint": Endpoint.RESPONSES,
    "content": orjson.dumps({"model": "small", "input": "Hi", "background": True}),
}


def test_what_nobody_follows_to_its_end_costs_what_was_held():
    """A response that is being made, whose call the store could not take."""
    event = ended(
        hold(77 * MICRO),
        call=IN_BACKGROUND,
        reading=Reading(upstream_id="resp_1"),
        answer_status=200,
        whole=True,
    )

    assert (Source.ESTIMATED, 77 * MICRO) == (event.source, event.charge_pico)


@pytest.mark.parametrize(
    ("answer_status", "reading", "kind"),
    [
        (500, Reading(), Kind.RELEASE),
        (200, Reading(usage=Usage(input_tokens=1), ended=True), Kind.SETTLE),
    ],
)
def test_a_call_for_the_background_that_has_ended_is_as_any(answer_status, reading, kind):
    event = ended(
        hold(77 * MICRO), call=IN_BACKGROUND, reading=reading, answer_status=answer_status
    )

    assert (kind, event.usage.total * MICRO) == (event.kind, event.charge_pico)


SUBTITLES = Reading(heard_seconds=30)
PIECES = PriceBook((), "b").overlaid(
    [
        {
            "provider": "lab",
            "model": "small",
            "prices": [
                {
                    "id": "lab/small@1",
                    "source": [{"url": "https://lab.example", "seen": "2026-01-01"}],
                    "base": {"input": "1", "audio_in": "2", "output": "4"},
                    "fees": fees,
                }
            ],
        }
        for fees in ({"second": {"rate": "0.001"}},)
    ]
)


@pytest.mark.parametrize(
    ("rating", "reading", "expected"),
    [
        (Rating(PIECES), SUBTITLES, Usage(fees=(("second", 30),))),
        (Rating(PIECES), Reading(), Usage(fees=(("second", 100),))),
        # By tokens, where the model has no price by the second.
        (RATING, Reading(), Usage(input_tokens=25, audio_in_tokens=1_000, output_tokens=5)),
    ],
)
def test_a_transcript_without_usage_is_estimated(rating, reading, expected):
    """By what it tells of its audio, else by the size of the file."""
    form = {"model": "small", "file": Attached(800_000)}
    call = call_of(Endpoint.TRANSCRIPTIONS, form, sent_bytes=800_100, body=b"", found=(), cuts=())
    made = tab(rating=rating)
    made.call, made.answer_status, made.reading = call, 200, reading
    made.sent, made.sent_bytes, made.seen_bytes = Sent(maybe=True), 800_100, 20

    event = made.closing(hold(10**18), SystemClock())

    assert (Source.ESTIMATED, expected) == (event.source, event.usage)


def test_r37_usage_that_nobody_can_read_is_estimated_and_kept():
    reading = Reading(unparsed=b'{"prompt_tokens":"\xffmany"}')

    event = ended(reading=reading, sent_bytes=40, answer_status=200)

    assert Source.ESTIMATED is event.source
    assert '{"prompt_tokens":"\ufffdmany"}' == event.raw_usage
    assert event.charge_pico > 0


def test_what_was_odd_on_the_way_to_a_good_count_is_forgotten():
    event = ended(reading=Reading(usage=USED, unparsed=b"7"), answer_status=200)

    assert (Source.REPORTED, None) == (event.source, event.raw_usage)


FOUND = Reading(
    usage=Usage(input_tokens=10, output_tokens=3, fees=(("web_search", 2),)), model="finder"
)
FEES_PICO = 25_000_000_000
"""A request at 5 and two searches at 10 USD per thousand."""


def test_a_request_that_has_a_price_is_billed():
    event = ended(model="finder", reading=FOUND, answer_status=200)

    assert 22 * MICRO + FEES_PICO == event.cost_pico
    assert (("web_search", 2),) == event.usage.fees
    plain = Reading(usage=Usage(input_tokens=10, output_tokens=3), model="finder")
    searched = ended(model="finder", reading=plain, answer_status=200)
    assert 22 * MICRO + 5_000_000_000 == searched.cost_pico


def test_where_it_was_served_has_its_price():
    event = ended(model="finder", reading=replace(FOUND, scope="us"), answer_status=200)

    assert (11 * (22 * MICRO + FEES_PICO) // 10, "us") == (event.cost_pico, event.scope)


COSTED = Reading(usage=USED, model="small", reported_cost_pico=30 * MICRO)
TRUSTED = {"account": {"trust_reported_cost": True}}


def test_a_reported_cost_is_kept_beside_ours():
    event = ended(reading=COSTED, answer_status=200)

    assert (24 * MICRO, 30 * MICRO) == (event.cost_pico, event.reported_cost_pico)


def test_a_trusted_cost_is_booked_with_the_markup():
    """Under a price id of its own: nobody will look for it in the book."""
    event = ended(hold(markup_ppm=500_000), reading=COSTED, call=TRUSTED, answer_status=200)

    assert (30 * MICRO, 45 * MICRO) == (event.cost_pico, event.charge_pico)
    assert ("reported", False, USED) == (event.price_id, event.unpriced, event.usage)


@pytest.mark.parametrize("cost", [0, 30 * MICRO])
def test_a_trusted_cost_needs_no_price_of_ours(cost):
    reading = replace(COSTED, model="nobody's", reported_cost_pico=cost)

    event = ended(hold(0), model="nobody's", reading=reading, call=TRUSTED, answer_status=200)

    assert (cost, False) == (event.cost_pico, event.unpriced)


def test_where_no_cost_is_stated_ours_counts():
    event = ended(reading=REPORTED, call=TRUSTED, answer_status=200)

    assert (24 * MICRO, None) == (event.cost_pico, event.reported_cost_pico)


def test_the_cost_of_a_part_is_not_trusted():
    """Some state one in each frame, as xAI: cut off, it is not that of the call."""
    reading = replace(COSTED, usage_final=False)

    event = ended(reading=reading, call=TRUSTED, uncounted_bytes=4, left=True)

    assert ((24 + 4) * MICRO, Source.ESTIMATED) == (event.cost_pico, event.source)


readings = st.builds(
    Reading,
    usage=st.none()
    | st.builds(
        Usage,
        input_tokens=st.integers(0, 10**12),
        output_tokens=st.integers(0, 10**12),
        image_out_tokens=st.integers(0, 3),
        fees=st.sampled_from([(), (("web_search", 1),), (("rerank", 10**12),)]),
    ),
    usage_final=st.booleans(),
    reported_cost_pico=st.none() | st.integers(0, 10**18),
    service_tier=st.none() | st.text(max_size=5),
    scope=st.none() | st.text(max_size=5),
    unparsed=st.none() | st.binary(max_size=20),
)


@given(
    readings,
    st.sampled_from(["small", "finder", "gift", "nobody's"]),
    st.integers(0, 10**7),
    st.booleans(),
)
def test_r37_whatever_was_read_there_is_one_event(reading, model, seen, trusted):
    """It can be written; an estimate is within the hold; no estimate is free."""
    held = hold(10**9)

    event = ended(
        held,
        model=model,
        reading=reading,
        call={"account": {"trust_reported_cost": trusted}},
        sent_bytes=40,
        seen_bytes=seen,
        uncounted_bytes=seen,
        answer_status=200,
    )

    assert event.details()
    if event.source is Source.ESTIMATED and not event.unpriced and model != "gift":
        assert 0 < event.charge_pico <= held.amount_pico
