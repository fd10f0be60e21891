"""A bill agrees with the provider's to the last digit, or says what it has no rate for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.card import COMPONENTS, FALLBACKS
from pricing.cost import LineItem, UnpricedComponent, cost
from pricing.entry import parse_card
from pricing.money import pico_usd, usd
from pricing.usage import TOKEN_BUCKETS, Usage

FLAT = {"input": "1.25", "cache_read": "0.625", "output": "10"}
CLAUDE = {
    "input": "3",
    "cache_read": "0.30",
    "cache_write_5m": "3.75",
    "cache_write_1h": "6",
    "output": "15",
}
TIERED = {
    "base": {"input": "3", "output": "15"},
    "tiers": [
        {"over": 200_000, "measure": "input_total", "rates": {"input": "6", "output": "22.50"}},
        {"over": 500_000, "measure": "input_total", "rates": {"input": "9", "output": "30"}},
    ],
    "service": {
        "flex": {
            "input": "1.5",
            "output": "7.5",
            "tiers": [{"over": 200_000, "rates": {"input": "3", "output": "11.25"}}],
        },
        "priority": {"input": "6", "output": "30", "tiers": []},
    },
}


def used(**counts: Any) -> Usage:
    return Usage(**counts)


def price_of(base=None, **fields):
    entry = {"base": base, **fields} if base else fields
    return parse_card({"provider": "p", "model": "m", "prices": [entry]}).prices[0]


@pytest.mark.parametrize(
    ("base", "usage", "dollars"),
    [
        pytest.param(
            FLAT,
            Usage(input_tokens=262_960 - 257_955, cache_read_tokens=257_955, output_tokens=1_744),
            "0.184918125",
            id="cached tokens are not billed twice",
        ),
        pytest.param(
            CLAUDE,
            Usage(input_tokens=3, cache_write_5m_tokens=12_304, output_tokens=550),
            "0.054399",
            id="cache writes beside the input",
        ),
        pytest.param(CLAUDE, Usage(cache_write_1h_tokens=1_000_000), "6", id="a write for an hour"),
        pytest.param(
            {"input": "2.50", "output": "10", "audio_in": "40", "audio_out": "80"},
            Usage(output_tokens=110, audio_out_tokens=482),
            "0.03966",
            id="audio at its own rate",
        ),
        pytest.param(
            {"input": "1", "output": "4", "reasoning": "8"},
            Usage(output_tokens=10, reasoning_tokens=100),
            "0.00084",
            id="reasoning priced apart",
        ),
        pytest.param({"input": "0.02"}, Usage(input_tokens=8_191), "0.00016382", id="embedding"),
        pytest.param(FLAT, Usage(), "0", id="explicit zeros stay zero"),
    ],
)
def test_bills_known_to_the_digit(base, usage, dollars) -> None:
    assert dollars == usd(cost(usage, price_of(base)).cost_pico)


@pytest.mark.parametrize(
    ("total", "service_tier", "dollars"),
    [
        (200_000, None, "0.6"),
        (200_001, None, "1.200006"),
        (500_000, None, "3"),
        (500_001, None, "4.500009"),
        (200_000, "flex", "0.3"),
        (200_001, "flex", "0.600003"),
        (300_000, "flex", "0.9"),
        (200_001, "priority", "1.200006"),
        (200_001, "default", "1.200006"),
    ],
)
def test_a_tier_begins_strictly_above_its_threshold(total, service_tier, dollars) -> None:
    """… and reprices the whole request, within the service that was served."""
    bill = cost(Usage(input_tokens=total), price_of(**TIERED), service_tier=service_tier)

    assert dollars == usd(bill.cost_pico)


def test_every_input_bucket_counts_towards_the_threshold() -> None:
    price = price_of(
        base=dict.fromkeys(COMPONENTS, "1"),
        tiers=[{"over": 7, "rates": dict.fromkeys(COMPONENTS, "2")}],
    )
    inputs = dict.fromkeys(TOKEN_BUCKETS[: TOKEN_BUCKETS.index("output_tokens")], 1)

    assert "0.000016" == usd(cost(used(**inputs), price).cost_pico)
    assert "0.000007" == usd(cost(used(**inputs | {"input_tokens": 0}), price).cost_pico)


def test_output_does_not_count_towards_the_threshold() -> None:
    bill = cost(Usage(input_tokens=200_000, output_tokens=900_000), price_of(**TIERED))

    assert "14.1" == usd(bill.cost_pico)


@pytest.mark.parametrize("name", ["", "auto", "default", "standard", "on_demand", None])
def test_the_standard_service_has_many_names(name) -> None:
    bill = cost(Usage(input_tokens=1_000), price_of(**TIERED), service_tier=name)

    assert "0.003" == usd(bill.cost_pico)


def test_a_service_tier_without_a_rate_is_not_billed_as_standard() -> None:
    with pytest.raises(UnpricedComponent) as caught:
        cost(Usage(input_tokens=1), price_of(FLAT), service_tier="flex")

    assert "service_tier:flex" == caught.value.component


@pytest.mark.parametrize("component", sorted(FALLBACKS))
def test_a_missing_text_rate_falls_back_and_says_so(component) -> None:
    bill = cost(used(**{f"{component}_tokens": 7}), price_of({"input": "2", "output": "5"}))
    borrowed = FALLBACKS[component]
    rate = {"input": 2, "output": 5}[borrowed] * 10**9

    assert (LineItem(component, 7, rate, 1, 7 * rate, borrowed),) == bill.items


@pytest.mark.parametrize(
    "component", sorted(set(COMPONENTS) - set(FALLBACKS) - {"input", "output"})
)
def test_a_missing_media_rate_is_an_error(component) -> None:
    """The text rate would bill audio ten times too low."""
    with pytest.raises(UnpricedComponent) as caught:
        cost(used(**{f"{component}_tokens": 1}), price_of(FLAT))

    assert component == caught.value.component


def test_a_missing_output_rate_is_an_error_only_where_there_is_output() -> None:
    embedding = price_of({"input": "0.02"})

    assert "0.00000002" == usd(cost(Usage(input_tokens=1), embedding).cost_pico)
    with pytest.raises(UnpricedComponent, match="output"):
        cost(Usage(output_tokens=1), embedding)


def test_absurd_counts_are_priced_and_not_mistaken_for_missing_rates() -> None:
    bill = cost(Usage(input_tokens=10**60), price_of(FLAT))

    assert 1_250_000 * 10**60 == bill.cost_pico


@pytest.mark.parametrize(
    ("fees", "dollars"),
    [
        ((("web_search", 3),), "0.03"),
        ((("second", 1),), "0.0001"),
        ((("web_search", 1), ("second", 7)), "0.0107"),
        ((("page", 1),), "0.333333333333"),
        ((("page", 3),), "1"),
        ((("page", 1), ("page", 2)), "1"),
        ((("web_search", 0),), "0"),
    ],
)
def test_pieces_are_billed_pro_rata_and_rounded_once(fees, dollars) -> None:
    price = price_of(
        fees={
            "web_search": {"rate": "10", "per": 1000},
            "second": {"rate": "0.36", "per": 3600},
            "page": {"rate": "1", "per": 3},
        }
    )

    assert dollars == usd(cost(Usage(fees=fees), price).cost_pico)


def test_a_piece_without_a_fee_is_an_error() -> None:
    with pytest.raises(UnpricedComponent) as caught:
        cost(Usage(fees=(("web_search", 1),)), price_of(FLAT))

    assert "web_search" == caught.value.component


PICTURES = {
    "image": {"rate": "0.12"},
    "image:standard-1024x1024": {"rate": "0.04"},
    "image:hd-1024x1792": {"rate": "0.12"},
}


@pytest.mark.parametrize(
    ("unit", "dollars", "borrowed"),
    [
        ("image:standard-1024x1024", "0.08", None),
        ("image:hd-1024x1792", "0.24", None),
        ("image", "0.24", None),
        ("image:vivid-512x512", "0.24", "image"),
    ],
)
def test_a_kind_of_piece_has_its_own_fee_or_the_one_of_all_others(unit, dollars, borrowed) -> None:
    bill = cost(Usage(fees=((unit, 2),)), price_of(fees=PICTURES))

    assert dollars == usd(bill.cost_pico)
    assert [(unit, borrowed)] == [(item.component, item.fallback_from) for item in bill.items]


def test_a_kind_is_not_billed_as_another_kind() -> None:
    """Where no fee holds for all others, a picture of an unpriced size is an error."""
    price = price_of(fees={"image:1024x1024": {"rate": "0.04"}})

    for unit in ("image", "image:512x512", "page:1024x1024"):
        with pytest.raises(UnpricedComponent) as caught:
            cost(Usage(fees=((unit, 1),)), price)
        assert unit == caught.value.component


SEARCHER = {
    "base": {"input": "1", "output": "1"},
    "fees": {"request": {"rate": "12", "per": 1000}, "request:low": {"rate": "5", "per": 1000}},
}


@pytest.mark.parametrize(
    ("fees", "dollars"),
    [
        ((), "0.0121"),
        ((("request:low", 1),), "0.0051"),
        ((("request", 1),), "0.0121"),
        ((("request:high", 1),), "0.0121"),
        ((("request", 0),), "0.0001"),
    ],
)
def test_a_price_by_the_request_bills_one_that_nobody_counted(fees, dollars) -> None:
    bill = cost(Usage(input_tokens=100, fees=fees), price_of(**SEARCHER))

    assert dollars == usd(bill.cost_pico)
    assert dollars == usd(sum(item.amount_femto for item in bill.items) // 1_000)


def test_r46_a_million_events_are_a_million_times_one() -> None:
    """123.4 pico-USD each: rounded once, in the event; what is added up are whole ones."""
    bill = cost(Usage(input_tokens=1), price_of({"input": "123.4"}), markup_ppm=100_000)

    tiny = cost(Usage(input_tokens=1), price_of({"input": "0.0001234"}), markup_ppm=100_000)

    assert (123_400_000, 135_740_000) == (bill.cost_pico, bill.charge_pico)
    assert (123, 136) == (tiny.cost_pico, tiny.charge_pico)  # 123.4, and 135.74 of it unrounded
    assert {int} == {type(amount) for amount in (*tiny[:2], *bill[:2])}
    assert "0.000123" == usd(sum([tiny.cost_pico] * 1_000_000))


def test_a_request_is_in_the_tokens_where_it_has_no_price_of_its_own() -> None:
    """Perplexity tells the size of each request, and bills it for some models only."""
    bill = cost(Usage(input_tokens=100, fees=(("request:low", 1),)), price_of({"input": "1"}))

    assert "0.0001" == usd(bill.cost_pico)
    assert ["input"] == [item.component for item in bill.items]


def test_a_request_that_used_nothing_is_not_billed() -> None:
    assert 0 == cost(Usage(), price_of(**SEARCHER)).cost_pico


@pytest.mark.parametrize(("scope", "dollars"), [("global", "2"), ("regional", "2.2"), ("us", "3")])
def test_a_scope_multiplies_the_whole_bill(scope, dollars) -> None:
    price = price_of(
        {"input": "1"},
        fees={"web_search": {"rate": "1"}},
        multipliers=[
            {"when": {"scope": "regional"}, "num": 11, "den": 10},
            {"when": {"scope": "us"}, "num": 3, "den": 2},
        ],
    )
    bill = cost(Usage(input_tokens=10**6, fees=(("web_search", 1),)), price, scope=scope)

    assert dollars == usd(bill.cost_pico)
    assert dollars == usd(sum(item.amount_femto for item in bill.items) // 1_000)


@pytest.mark.parametrize(
    ("fees", "dollars"),
    [
        ((), "1.1"),
        ((("web_search", 3),), "1.4"),  # 1 more a tenth, and three at a tenth as they are
        ((("page", 3),), "4.4"),  # a piece that costs more there too
        ((("web_search", 3), ("page", 3)), "4.7"),
        ((("web_search:wide", 1),), "1.2"),  # a kind that its unit prices
        ((("second", 7),), "1.233333333333"),  # everywhere, and with a rest
        ((("second", 7), ("page", 1)), "2.333333333333"),
    ],
)
def test_a_fee_that_is_the_same_everywhere_is_not_multiplied(fees, dollars) -> None:
    """Anthropic's tenth in the US is "across all token pricing categories": no search is one."""
    price = price_of(
        {"input": "1"},
        fees={
            "web_search": {"rate": "100", "per": 1000, "everywhere": True},
            "second": {"rate": "2", "per": 105, "everywhere": True},
            "page": {"rate": "1"},
        },
        multipliers=[{"when": {"scope": "us"}, "num": 11, "den": 10}],
    )
    usage = Usage(input_tokens=10**6, fees=fees)

    bill = cost(usage, price, scope="us")

    assert dollars == usd(bill.cost_pico)
    assert abs(sum(line.amount_femto for line in bill.items) - 1_000 * bill.cost_pico) <= 1_000
    at_home = cost(usage, price)
    assert at_home.cost_pico < bill.cost_pico
    assert at_home.items[1:] == tuple(
        line if line.component == "page" else again
        for line, again in zip(at_home.items[1:], bill.items[1:], strict=True)
    )


MONDAY = 1_795_392_000_000  # 2026-11-23T00:00:00Z
HOUR, DAY = 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("completed_ms", "dollars"),
    [
        (MONDAY + 1 * HOUR - 1, "2"),
        (MONDAY + 1 * HOUR, "1"),
        (MONDAY + 4 * HOUR - 1, "1"),
        (MONDAY + 4 * HOUR, "2"),
        (MONDAY + 4 * DAY + 2 * HOUR, "1"),  # Friday
        (MONDAY + 5 * DAY + 2 * HOUR, "2"),  # Saturday
        (MONDAY + 6 * DAY + 23 * HOUR, "0.5"),  # Sunday night
        (MONDAY + 30 * 60_000 - 1, "0.5"),  # … which runs into Monday
        (MONDAY + 30 * 60_000, "2"),
    ],
)
def test_a_schedule_goes_by_weekday_and_hour_of_completion(completed_ms, dollars) -> None:
    price = price_of(
        {"input": "2"},
        schedule=[
            {"days": "mon-fri", "utc": ["01:00-04:00"], "rates": {"input": "1"}},
            {"days": "sun", "utc": ["22:30-00:30"], "rates": {"input": "0.5"}},
        ],
    )

    assert dollars == usd(
        cost(Usage(input_tokens=10**6), price, completed_ms=completed_ms).cost_pico
    )


def test_of_two_windows_that_overlap_the_first_holds() -> None:
    price = price_of(
        {"input": "9"},
        schedule=[
            {"days": "mon", "utc": ["02:00-03:00"], "rates": {"input": "1"}},
            {"utc": ["01:00-04:00"], "rates": {"input": "2"}},
        ],
    )

    def dollars(instant_ms):
        return usd(cost(Usage(input_tokens=10**6), price, completed_ms=instant_ms).cost_pico)

    assert ["9", "2", "1", "2", "9"] == [dollars(MONDAY + hour * HOUR) for hour in range(5)]
    assert ["9", "2", "2", "2", "9"] == [dollars(MONDAY + DAY + hour * HOUR) for hour in range(5)]
    assert dollars(MONDAY + 2 * HOUR) == dollars(MONDAY + 2 * HOUR - 1000 * 7 * DAY)  # before 1970


def test_a_service_that_was_served_has_no_hours() -> None:
    """Its rates are absolute: a schedule is for standard service."""
    price = price_of(
        {"input": "2"},
        schedule=[{"utc": ["00:00-24:00"], "rates": {"input": "1"}}],
        service={"batch": {"input": "0.7"}},
    )
    usage = Usage(input_tokens=10**6)

    assert "0.7" == usd(cost(usage, price, service_tier="batch").cost_pico)
    assert "1" == usd(cost(usage, price, service_tier="default", completed_ms=MONDAY).cost_pico)


def test_a_schedule_has_tiers_of_its_own() -> None:
    price = price_of(
        {"input": "2"},
        tiers=[{"over": 10, "rates": {"input": "4"}}],
        schedule=[
            {
                "utc": ["00:00-12:00"],
                "rates": {"input": "1"},
                "tiers": [{"over": 10, "rates": {"input": "3"}}],
            }
        ],
    )

    def micro(tokens, hour):
        done_ms = MONDAY + hour * HOUR
        return cost(Usage(input_tokens=tokens), price, completed_ms=done_ms).cost_pico // 10**6

    assert (10, 33) == (micro(10, 11), micro(11, 11))
    assert (20, 44) == (micro(10, 12), micro(11, 12))


def test_a_schedule_without_the_hour_is_a_mistake_of_the_caller() -> None:
    price = price_of({"input": "2"}, schedule=[{"utc": ["00:00-12:00"], "rates": {"input": "1"}}])

    with pytest.raises(ValueError, match="completed_ms"):
        cost(Usage(input_tokens=1), price)


def test_a_free_price_costs_nothing_whatever_is_used() -> None:
    card = parse_card({"provider": "local", "model": "llama3", "free": True})
    usage = used(**dict.fromkeys(TOKEN_BUCKETS, 5), fees=(("web_search", 2),))

    bill = cost(usage, card.prices[0], service_tier="flex", markup_ppm=500_000)

    assert (0, 0) == (bill.cost_pico, bill.charge_pico)
    assert {0} == {item.amount_femto for item in bill.items}


def test_the_charge_comes_from_the_unrounded_sum() -> None:
    price = price_of({"input": "0.0000015"})  # one and a half pico a token

    bill = cost(Usage(input_tokens=1), price, markup_ppm=1_000_000)

    assert (2, 3) == (bill.cost_pico, bill.charge_pico)


BY_THE_SECOND = {"fees": {"second": {"rate": "0.36", "per": 3600}, "page": {"rate": "1"}}}


def test_tokens_beside_pieces_that_are_sold_instead_cost_nothing() -> None:
    """Mistral's transcriptions: so many seconds, and the words of the text beside them."""
    usage = Usage(input_tokens=4, output_tokens=635, audio_in_tokens=9, fees=(("second", 203),))

    bill = cost(usage, price_of(**BY_THE_SECOND), markup_ppm=1_000_000)

    assert ("0.0203", "0.0406") == (usd(bill.cost_pico), usd(bill.charge_pico))
    lines = [(item.component, item.quantity, item.amount_femto) for item in bill.items]
    assert [("input", 4, 0), ("audio_in", 9, 0), ("output", 635, 0)] == lines[:3]
    assert [("second", 203, 203 * 10**11)] == lines[3:]


@pytest.mark.parametrize(
    ("fees", "price"),
    [
        ((), BY_THE_SECOND),  # nothing that is sold was counted: the call is not free
        ((("second", 0),), BY_THE_SECOND),
        ((("request", 1),), BY_THE_SECOND),  # which this price does not sell
        ((("second", 9),), BY_THE_SECOND | {"base": {"output": "1"}}),  # it sells tokens as well
        ((("second", 9),), {"base": {"output": "1"}}),
    ],
)
def test_tokens_without_a_rate_are_an_error_anywhere_else(fees, price) -> None:
    with pytest.raises(UnpricedComponent, match="no rate for input"):
        cost(Usage(input_tokens=4, fees=fees), price_of(**price))


def test_a_million_small_events_sum_exactly() -> None:
    """123.4 pico a call: each is rounded once to 123, and nothing drifts from there."""
    price = price_of({"input": "0.0001234"})
    usage = Usage(input_tokens=1)

    assert 123_000_000 == cost(usage, price).cost_pico * 10**6
    assert 123_000_000 == sum(cost(usage, price).cost_pico for _ in range(10**4)) * 100
    assert 123_400_000 == cost(Usage(input_tokens=10**6), price).cost_pico


def test_a_bill_explains_itself() -> None:
    usage = Usage(input_tokens=100, cache_read_tokens=50, output_tokens=7, fees=(("page", 2),))
    price = price_of(FLAT, id="p/m@2026-01-01", fees={"page": {"rate": "1", "per": 3}})

    bill = cost(usage, price)

    assert "p/m@2026-01-01" == bill.price_id
    assert (
        LineItem("input", 100, 1_250_000_000, 1, 125_000_000_000),
        LineItem("cache_read", 50, 625_000_000, 1, 31_250_000_000),
        LineItem("output", 7, 10_000_000_000, 1, 70_000_000_000),
        LineItem("page", 2, 10**15, 3, 666_666_666_666_667),
    ) == bill.items


counts = st.integers(0, 10**7)
usages = st.builds(Usage, **dict.fromkeys(TOKEN_BUCKETS, counts))
rates = st.integers(1, 10**12).map(lambda femto: usd(femto * 1_000))
bases = st.fixed_dictionaries(dict.fromkeys(COMPONENTS, rates))


def both(one, other):
    return used(**{name: getattr(one, name) + getattr(other, name) for name in TOKEN_BUCKETS})


@given(bases, usages, usages)
def test_a_flat_price_is_additive(base, one, other) -> None:
    """Two calls cost what one with all their tokens costs, but for one rounding each."""
    price = price_of(base)
    together = cost(both(one, other), price)
    apart = (cost(one, price), cost(other, price))

    def lines(*bills):
        return sum(item.amount_femto for bill in bills for item in bill.items)

    assert lines(together) == lines(*apart)
    assert abs(together.cost_pico - sum(bill.cost_pico for bill in apart)) <= 1


@given(bases, usages)
def test_the_lines_add_up_to_the_bill(base, usage) -> None:
    bill = cost(usage, price_of(base))

    assert abs(sum(item.amount_femto for item in bill.items) - bill.cost_pico * 1_000) <= 500


@given(usages, st.integers(0, 3_000_000))
def test_a_markup_never_lowers_a_bill(usage, markup_ppm) -> None:
    bill = cost(usage, price_of(dict.fromkeys(COMPONENTS, "1.1")), markup_ppm=markup_ppm)

    assert bill.cost_pico <= bill.charge_pico
    assert abs(bill.charge_pico * 10**6 - bill.cost_pico * (10**6 + markup_ppm)) <= 2 * 10**6


def test_half_price_of_a_tenth_more_stays_exact() -> None:
    price = price_of(
        {"input": "0.075"}, multipliers=[{"when": {"scope": "regional"}, "num": 11, "den": 10}]
    )

    bill = cost(Usage(input_tokens=1), price, scope="regional")

    assert bill.cost_pico == pico_usd("0.000000082500")
