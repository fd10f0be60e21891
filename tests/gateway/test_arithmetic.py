"""The arithmetic of an event: the same lines at any later time, and what they add up to."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.arithmetic import CLOCK_MS, Band, Why, arithmetic, arithmetic_json
from gateway.event import Kind, Source, UsageEvent
from gateway.rating import Rating, bill
from pricing.book import PriceBook
from pricing.money import FEMTO_PER_PICO
from pricing.usage import Usage

RATES = {"input": "3", "cache_read": "0.3", "output": "15"}
DEARER = {"input": "6", "cache_read": "0.6", "output": "22.5"}
BOOK = PriceBook((), "book-1").overlaid(
    [
        {
            "provider": "lab",
            "model": "tiered",
            "prices": [
                {
                    "id": "lab/tiered@1",
                    "base": RATES,
                    "tiers": [{"over": 200_000, "rates": DEARER}],
                    "service": {"flex": {"input": "1.5", "output": "7.5", "tiers": []}},
                    "fees": {"web_search": {"rate": "10", "per": 1000}},
                }
            ],
        },
        {
            "provider": "lab",
            "model": "nightly",
            "prices": [
                {
                    "id": "lab/nightly@1",
                    "base": RATES,
                    "schedule": [{"utc": ["01:00-04:00"], "rates": {"input": "1", "output": "2"}}],
                }
            ],
        },
        {
            "provider": "lab",
            "model": "hourly",
            "prices": [{"id": "lab/hourly@1", "fees": {"second": {"rate": "0.1", "per": 3600}}}],
        },
    ]
)
RATING = Rating(BOOK)


def at(hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 11, 21, hour, minute, tzinfo=UTC).timestamp()) * 1000


def booked(model: str, usage: Usage, *, rating: Rating = RATING, **facts) -> UsageEvent:
    """As the gateway books it, by the same `bill`."""
    at_ms = facts.pop("at_ms", at(12))
    latency_ms = facts.pop("latency_ms", 1_000)
    amounts = bill(
        rating.rate("lab", model, at_ms),
        usage,
        markup_ppm=facts.get("markup_ppm", 0),
        service_tier=facts.get("service_tier"),
        completed_ms=facts.pop("completed_ms", at_ms + latency_ms),
    )
    return UsageEvent(
        request_id="x",
        kind=Kind.SETTLE,
        at_ms=at_ms,
        latency_ms=latency_ms,
        provider="lab",
        model=model,
        usage=usage,
        source=Source.REPORTED,
        cost_pico=amounts.cost_pico,
        charge_pico=amounts.charge_pico,
        price_id=amounts.price_id,
        unpriced=amounts.unpriced,
        **facts,
    )


@pytest.mark.parametrize(("tokens", "over"), [(200_000, None), (200_001, 200_000)])
def test_r42_the_tier_is_named_and_holds_for_the_whole_request(tokens, over) -> None:
    """Strictly over, by all input; each line has the rate of that tier."""
    event = booked("tiered", Usage(input_tokens=tokens - 50_000, cache_read_tokens=50_000))

    found = arithmetic(event, RATING)

    rates = DEARER if over else RATES
    assert Band("base", over) == found.band
    assert [rates["input"], rates["cache_read"]] == [
        f"{item.rate_femto / 10**9:g}" for item in found.items
    ]
    assert over == arithmetic_json(found)["tier_over_input_tokens"]


def test_r41_the_service_tier_that_was_served_is_named() -> None:
    """The event has the one of the answer; its rates are absolute, and its own."""
    event = booked("tiered", Usage(input_tokens=300_000, output_tokens=1), service_tier="flex")

    found = arithmetic(event, RATING)

    assert Band("service.flex", None) == found.band
    assert [1_500_000_000, 7_500_000_000] == [item.rate_femto for item in found.items]
    assert 300_000 * 1_500_000 + 7_500_000 == event.cost_pico


def test_the_hours_are_those_of_the_end() -> None:
    """A call that begins before one o'clock and ends after it is billed by the night."""
    event = booked("nightly", Usage(input_tokens=10), at_ms=at(0, 59), latency_ms=120_000)

    found = arithmetic(event, RATING)

    assert found.band is not None
    assert ("schedule[0]", 10 * 1_000_000) == (found.band.mode, event.cost_pico)
    assert found.band.window is not None


@pytest.mark.parametrize(
    ("told_before_ms", "why"),
    [(1, None), (CLOCK_MS, None), (CLOCK_MS + 1, Why.OTHER_PRICE)],
)
def test_an_end_beside_the_hour_is_found_within_the_clocks_tolerance(told_before_ms, why) -> None:
    """Start and latency tell the end only nearly; farther off, the amount is not explained."""
    event = booked(
        "nightly",
        Usage(input_tokens=10),
        at_ms=at(1) - told_before_ms - 999,
        latency_ms=999,
        completed_ms=at(1),
    )

    assert why == arithmetic(event, RATING).why


def test_r46_a_unit_that_does_not_divide_is_rounded_once() -> None:
    """What the rounding added is told: lines and rounding are the cost, exactly."""
    event = booked("hourly", Usage(fees=(("second", 7),)))

    found = arithmetic(event, RATING)

    assert 194_444_444 == event.cost_pico  # 0.1 * 7 / 3600 USD = 194,444,444.4 pico
    assert found.sum_femto + found.rounding_femto == event.cost_pico * FEMTO_PER_PICO
    assert found.rounding_femto != 0


@given(
    st.integers(0, 400_000),
    st.integers(0, 400_000),
    st.integers(0, 100_000),
    st.integers(0, 1_000),
    st.integers(0, 2_000_000),
)
def test_r46_lines_and_rounding_are_the_booked_cost(
    read, cached, written, searches, markup
) -> None:
    """Whatever was used, under any markup; and the charge is cost and markup."""
    usage = Usage(
        input_tokens=read,
        cache_read_tokens=cached,
        output_tokens=written,
        fees=(("web_search", searches),),
    )
    event = booked("tiered", usage, markup_ppm=markup)

    found = arithmetic(event, RATING)

    assert found.why is None
    total = sum(item.amount_femto for item in found.items) + found.rounding_femto
    assert event.cost_pico * FEMTO_PER_PICO == total


def test_r45_a_later_book_explains_an_earlier_event() -> None:
    """The price is closed and another holds now: the id leads to the one that billed."""
    usage = Usage(input_tokens=10)
    event = booked("tiered", usage)
    later = BOOK.overlaid(
        [
            {
                "provider": "lab",
                "model": "tiered",
                "prices": [
                    {"id": "lab/tiered@1", "base": RATES, "to": "2026-01-01T00:00:00Z"},
                    {"id": "lab/tiered@2", "base": DEARER, "from": "2026-01-01T00:00:00Z"},
                ],
            }
        ]
    )

    found = arithmetic(event, Rating(later))

    assert ("lab/tiered@1", event.cost_pico) == (
        found.price and found.price.id,
        found.cost and found.cost.cost_pico,
    )


def test_r45_a_price_that_was_edited_explains_nothing() -> None:
    """A config's price under the same id with other rates: said, not passed off as the bill."""
    event = booked("tiered", Usage(input_tokens=10))
    edited = BOOK.overlaid(
        [
            {
                "provider": "lab",
                "model": "tiered",
                "prices": [{"id": "lab/tiered@1", "base": DEARER}],
            }
        ]
    )

    found = arithmetic(event, Rating(edited))

    assert (None, (), Why.OTHER_PRICE) == (found.cost, found.items, found.why)
    assert Why.OTHER_PRICE.value == arithmetic_json(found)["explanation"]
