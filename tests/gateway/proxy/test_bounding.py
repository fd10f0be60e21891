"""What a call is held for: never less than it can cost, and no cap that does not fit."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidCall
from gateway.openai.call import Call, Endpoint, parse_call
from gateway.openai.hosted_tools import QUERIES_AT_WILL
from gateway.openai.output_cap import CHAT_CAP_FIELDS
from gateway.proxy.bounding import Budgeting, Extent, extent_of
from pricing.book import PriceBook
from pricing.card import COMPONENTS, INPUT_COMPONENTS, UNPRICED, Card
from pricing.cost import cost
from pricing.entry import parse_card
from pricing.usage import Usage

NEWER, OLDER = CHAT_CAP_FIELDS
FIT, REJECT = Budgeting(), Budgeting(fit=False)


def a_card(**entry: Any) -> Card:
    return parse_card(
        {
            "provider": "local",
            "model": "m",
            "limits": {"context": 100_000, "max_output": 8_000},
            "output_cap_field": OLDER,
            "prices": [
                {
                    "base": {"input": "1", "output": "4"},
                    "fees": {"web_search": {"rate": "10", "per": 1_000}},
                }
            ],
        }
        | entry
    )


def chat(content: object = "Hi", **fields: object) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return parse_call(Endpoint.CHAT, orjson.dumps(body))


def embeddings(items: object) -> Call:
    return parse_call(Endpoint.EMBEDDINGS, orjson.dumps({"model": "m", "input": items}))


def extent(call: Call, card: Card, budgeting: Budgeting = FIT, *, limited: bool = True) -> Extent:
    return extent_of(call, card, card.prices[0], limited=limited, budgeting=budgeting)


CARD = a_card()


@pytest.mark.parametrize(
    ("fields", "output_tokens", "answers"),
    [
        ({}, 8_000, 1),
        ({OLDER: 7}, 7, 1),
        ({OLDER: 9_000_000}, 9_000_000, 1),  # the card may be out of date
        ({NEWER: 7}, 8_000, 1),  # a local model may ignore it
        ({OLDER: 7, "n": 3}, 7, 3),
        ({OLDER: 7, "n": 3, "best_of": 5}, 7, 5),
    ],
)
def test_the_output(fields, output_tokens, answers) -> None:
    made = extent(chat(**fields), CARD)

    assert (output_tokens, answers) == (made.output_tokens, made.answers)


@pytest.mark.parametrize(
    ("prediction", "least"),
    [({"type": "content", "content": "x" * 500}, 500), (None, 0), ("é" * 50, 100)],
)
def test_rejected_predictions_are_billed_as_output(prediction, least) -> None:
    """Beside the cap (completion_tokens_details.rejected_prediction_tokens), in every choice."""
    call = chat(prediction=prediction, max_tokens=10, n=2)
    plain = chat(max_tokens=10, n=2)

    held, without = (
        extent(one, a_card(limits={"context": 1})).bound(CARD.prices[0], 0).wanted_pico
        for one in (call, plain)
    )

    assert least <= call.predicted_tokens <= least + 40 * bool(prediction)
    assert 2 * 4_000_000 * call.predicted_tokens == held - without


def test_hosted_tools_read_a_context_each_turn_and_have_a_fee() -> None:
    """With `max_tool_calls` 3 there are four turns of the model at most."""
    made = extent(chat(tools=[{"type": "web_search"}], max_tool_calls=3, max_tokens=10), CARD)

    assert (400_000, 4, (("web_search", 3),)) == (made.input_tokens, made.answers, made.fees)
    fee_pico, input_pico, output_pico = 3 * 10**10, 400_000 * 10**6, 40 * 4 * 10**6
    assert fee_pico + input_pico + output_pico == made.bound(CARD.prices[0], 0).wanted_pico


@pytest.mark.parametrize(
    ("memory", "fee_pico"), [(None, 3 * 10**10), ("4g", 12 * 10**10), ("2g", None)]
)
def test_a_container_is_held_at_the_price_of_its_memory(memory, fee_pico) -> None:
    """Not at that of the largest there is, sixteen times as much; one of no known price is none."""
    fees = {"container:1g": {"rate": "0.03"}, "container:4g": {"rate": "0.12"}}
    card = a_card(prices=[{"base": {"input": "1", "output": "4"}, "fees": fees}])
    tool = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": memory}}
    call = chat(tools=[tool], max_tool_calls=2, max_tokens=10)

    if fee_pico is None:
        with pytest.raises(InvalidCall, match="no bound"):
            extent(call, card)
        return
    made = extent(call, card)
    tokens_pico = 3 * 100_000 * 10**6 + 30 * 4 * 10**6
    assert 2 * fee_pico + tokens_pico == made.bound(card.prices[0], 0).wanted_pico


@pytest.mark.parametrize("provider", ["google", "vertex"])
def test_no_field_bounds_how_often_google_searches(provider) -> None:
    """It bills each query, and knows no ``max_tool_calls``."""
    fees = {"web_search": {"rate": "14", "per": 1000}}
    card = a_card(provider=provider, prices=[{"base": {"input": "1", "output": "4"}, "fees": fees}])

    fields: list[dict[str, Any]] = [
        {"web_search_options": {}},
        {"tools": [{"type": "web_search"}]},
    ]
    for asked in fields:
        with pytest.raises(InvalidCall) as refused:
            extent(chat(**asked, max_tool_calls=1), card)
        assert "call_not_boundable" == refused.value.code
        assert "max_tool_calls" not in str(refused.value)


@pytest.mark.parametrize(
    ("call", "card", "param"),
    [
        (chat(web_search_options={}), CARD, "web_search_options"),
        (chat(tools=[{"type": "web_search"}]), CARD, "tools"),
        (chat(tools=[{"type": "code_interpreter"}], max_tool_calls=1), CARD, "tools"),
        (chat(tools=[{"type": "file_search"}], max_tool_calls=1), CARD, "tools"),  # no fee
        (chat(tools=[{"type": "web_search"}], max_tool_calls=1), a_card(limits={}), "tools"),
        (chat(), a_card(limits={}), OLDER),
        (chat(), a_card(limits={}, output_cap_field=NEWER), NEWER),
        (chat(max_completion_tokens=5), a_card(limits={}, output_cap_field=None), OLDER),
        (chat([{"type": "file"}], max_tokens=5), a_card(limits={}), "messages"),
        (embeddings([{"image": "u"}]), a_card(limits={}), "input"),
    ],
)
def test_what_has_no_bound_names_the_field(call, card, param) -> None:
    """Where a limit must be kept; who has none passes, held for what is known."""
    with pytest.raises(InvalidCall) as refused:
        extent(call, card)

    assert ("call_not_boundable", param) == (refused.value.code, refused.value.param)
    free = extent(call, card, limited=False)
    assert not free.bounded
    assert free.bound(card.prices[0], 0).wanted_pico >= 0


def test_an_embedding_has_no_output_and_a_context_for_each_opaque_input() -> None:
    text, media = extent(embeddings(["a", "b"]), CARD), extent(embeddings([{}, "b", {}]), CARD)

    assert (0, 0, True) == (text.output_tokens, text.least_tokens, text.bounded)
    assert 200_000 < media.input_tokens < 200_000 + 200


REASONS = a_card(reasoning=True)


@pytest.mark.parametrize(
    ("card", "fields", "budgeting", "least", "share"),
    [
        (CARD, {}, FIT, 1_024, 2),
        (CARD, {OLDER: 5_000}, FIT, 1_024, 1),
        (CARD, {OLDER: 300}, FIT, 300, 1),  # the caller's own smaller maximum
        (CARD, {OLDER: 3}, FIT, 3, 1),
        (CARD, {NEWER: 5_000}, FIT, 1_024, 2),  # may be ignored: as good as none
        (REASONS, {}, FIT, 4_096, 2),
        (REASONS, {OLDER: 300}, FIT, 300, 1),
        (CARD, {}, Budgeting(output_tokens_min=5_000), 5_000, 2),
        (REASONS, {}, Budgeting(output_tokens_min=5_000), 5_000, 2),
        (CARD, {}, Budgeting(output_tokens_min=1), 16, 2),  # OpenAI takes no less
        (CARD, {}, Budgeting(output_tokens_min=10**6), 8_000, 2),
        # Anthropic: max_tokens must be larger than the thinking budget.
        (CARD, {"thinking": {"type": "enabled", "budget_tokens": 2_000}}, FIT, 2_001, 2),
        (CARD, {"thinking": {"type": "disabled"}}, FIT, 1_024, 2),
        # What cannot be capped gets all or nothing.
        (a_card(output_cap_field=None), {}, FIT, 8_000, 1),
        (a_card(output_cap_field="max_output_tokens"), {}, FIT, 8_000, 1),
        (CARD, {}, REJECT, 8_000, 1),
    ],
)
def test_the_least_that_is_of_use(card, fields, budgeting, least, share) -> None:
    made = extent(chat(**fields), card, budgeting)

    assert (least, share) == (made.least_tokens, made.share)


def test_a_cap_that_we_invent_stays_within_the_context() -> None:
    """vLLM, Anthropic and OpenAI's older models refuse input and cap beyond it together."""
    card = a_card(limits={"context": 8_000, "max_output": 8_000})
    price = card.prices[0]
    call = chat("x" * 4_000)
    made = extent(call, card)

    cap = made.cap_within(made.bound(price, 0).wanted_pico - 1, price, 0)

    assert 8_000 - call.input_bound_tokens == cap
    tight = extent(chat("x" * 7_900), card)
    assert 1_024 == tight.cap_within(tight.bound(price, 0).wanted_pico - 1, price, 0)


SHIPPED = [card for card in PriceBook.load().cards() if card.output_max_tokens]
ALL = {"web_search": {"rate": "10", "per": 1_000}, "request": {"rate": "7", "per": 900}}
RICH = a_card(
    limits={"context": 3_000_000, "max_output": 64_000},
    prices=[
        {
            "base": dict.fromkeys(COMPONENTS, "1.1"),
            "tiers": [{"over": 200_000, "rates": dict.fromkeys(COMPONENTS, "3.3")}],
            "service": {"flex": {**dict.fromkeys(COMPONENTS, "0.7"), "tiers": []}},
            "schedule": [
                {"utc": ["00:00-12:00"], "rates": dict.fromkeys(COMPONENTS, "4"), "tiers": []}
            ],
            "multipliers": [{"when": {"scope": "regional"}, "num": 11, "den": 10}],
            "fees": ALL,
        }
    ],
)


@st.composite
def promises(draw):
    """A card, a call, a markup, and what of the room between least and wanted is granted."""
    card = draw(st.sampled_from([*SHIPPED, RICH]))
    price = draw(st.sampled_from([price for price in card.prices if not price.free]))
    field = card.output_cap_field or OLDER
    fields: dict[str, Any] = {"n": draw(st.integers(1, 4))}
    if draw(st.booleans()):
        fields[field] = draw(st.integers(1, 200_000))
    if draw(st.booleans()):
        fields["prediction"] = {"type": "content", "content": "x" * draw(st.integers(0, 5_000))}
    bounded = card.provider not in QUERIES_AT_WILL and "web_search" in price.fees
    if bounded and draw(st.booleans()):
        fields |= {"tools": [{"type": "web_search"}], "max_tool_calls": draw(st.integers(0, 5))}
    call = chat("x" * draw(st.integers(0, 20_000)), **fields)
    markup_ppm = draw(st.sampled_from([0, 1, 125_000, 2_000_000]))
    return card, price, call, markup_ppm, draw(st.fractions(0, 1))


@st.composite
def usages(draw, card, price, made: Extent, cap: int):
    """What a provider that keeps to the caps can report: any mix of what it has rates for."""
    service = draw(st.sampled_from([None, *price.service]))
    mode = price.service[service] if service else price.standard
    bands = [mode.rates, *(tier.rates for tier in mode.tiers)]
    bands += [window.mode.rates for window in price.schedule]
    priced = [
        name
        for number, name in enumerate(COMPONENTS)
        if all(band.billed[number] != UNPRICED for band in bands)
    ]
    left = {True: made.input_tokens, False: made.answers * (cap + made.predicted_tokens)}
    counts: dict[str, Any] = {}
    for name in draw(st.permutations(priced)):
        side = name in INPUT_COMPONENTS
        taken = draw(st.one_of(st.just(left[side]), st.integers(0, left[side])))
        counts[f"{name}_tokens"] = taken
        left[side] -= taken
    fees = [(unit, draw(st.integers(0, most))) for unit, most in made.fees]
    if "request" in price.fees:
        fees.append(("request", 1))
    return Usage(**counts, fees=tuple(fees)), {
        "service_tier": service,
        "scope": draw(st.sampled_from(["global", *(m.scope for m in price.multipliers)])),
        "completed_ms": draw(st.integers(0, 2 * 10**12)),
    }


EXAMPLES = pytest.mark.parametrize("examples", [60, pytest.param(300, marks=pytest.mark.slow)])


@EXAMPLES
def test_no_call_that_keeps_its_cap_costs_more_than_was_granted(examples) -> None:
    """Any component, tier, service, hour, scope and markup; the cap as ``fit`` writes it."""
    settings(max_examples=examples)(given(promises(), st.data())(costs_no_more_than_granted))()


def costs_no_more_than_granted(promise, data) -> None:
    card, price, call, markup_ppm, part = promise
    made = extent_of(call, card, price, limited=True, budgeting=FIT)
    bound = made.bound(price, markup_ppm)
    granted = bound.least_pico + int(part * (bound.wanted_pico - bound.least_pico))
    cap = made.output_tokens
    if granted < bound.wanted_pico:
        cap = made.cap_within(granted, price, markup_ppm) or 0
        assert made.least_tokens <= cap < made.output_tokens
    usage, how = data.draw(usages(card, price, made, cap))

    charge = cost(usage, price, markup_ppm=markup_ppm, **how).charge_pico

    assert charge <= granted


@EXAMPLES
def test_the_cap_is_the_largest_that_fits(examples) -> None:
    settings(max_examples=examples)(given(promises())(has_the_largest_cap))()


def has_the_largest_cap(promise) -> None:
    card, price, call, markup_ppm, part = promise
    made = extent_of(call, card, price, limited=True, budgeting=FIT)
    bound = made.bound(price, markup_ppm)
    granted = bound.least_pico + int(part * (bound.wanted_pico - bound.least_pico))
    if granted == bound.wanted_pico:
        return

    cap = made.cap_within(granted, price, markup_ppm)
    assert cap is not None

    def held(tokens: int) -> int:
        larger = Extent(
            input_tokens=made.input_tokens,
            output_tokens=tokens,
            least_tokens=tokens,
            answers=made.answers,
            predicted_tokens=made.predicted_tokens,
            fees=made.fees,
        )
        return larger.bound(price, markup_ppm).wanted_pico

    assert bound.input_pico <= bound.least_pico <= held(cap) <= granted
    beyond_the_context = made.share > 1 and made.room_tokens is not None and cap >= made.room_tokens
    assert granted < held(cap + 1) or beyond_the_context
