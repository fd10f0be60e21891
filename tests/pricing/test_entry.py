"""A wrong entry is refused with the entry, the field and the remedy."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pricing.entry import parse_card
from pricing.hours import instant_ms, spans, week_minutes, weekdays


def entry(**fields):
    return {"provider": "p", "model": "m", "prices": [{"base": {"input": "1"}}], **fields}


def priced(**fields):
    return entry(prices=[{"base": {"input": "1"}, **fields}])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "m"}, "prices[0].provider: is missing"),
        ({"provider": 7, "model": "m"}, "prices[0].provider: must be a text, not 7"),
        ([], "prices[0]: must be a mapping, not []"),
        (entry(color="red"), "prices[0] (p/m).color: unknown field"),
        (entry(prices=[]), "prices[0] (p/m).prices: is missing: give one price at least"),
        (entry(free=True), "prices[0] (p/m).free: stands for a whole price"),
        (entry(base={"input": "1"}), "prices[0] (p/m).base: stands for a whole price"),
        (
            {"provider": "p", "model": "m", "base": {"input": 1.5}},
            "prices[0] (p/m).base.input: write the amount as a string",
        ),
        (
            {"provider": "p", "model": "m", "free": True, "base": {"input": "1"}},
            "prices[0] (p/m).base: a free price has none",
        ),
        (
            {"provider": "p", "model": "m", "free": "yes"},
            "prices[0] (p/m).free: must be true or false, not 'yes'",
        ),
        (entry(match="m-1"), "prices[0] (p/m).match: must be a list, not 'm-1'"),
        (entry(limits={"context": "8k"}), ".limits.context: must be a whole number, not '8k'"),
        (entry(limits={"max_output": True}), ".limits.max_output: must be a whole number"),
        (entry(limits={"context": -1}), ".limits.context: must be a whole number"),
        (entry(output_cap_field="n"), ".output_cap_field: must be one of max_completion_tokens"),
        (priced(base={"input": 0.15}), ".prices[0].base.input: write the amount as a string, such"),
        (priced(base={"input": "free"}), ".base.input: 'free' is not a decimal number"),
        (priced(base={"input": "-1"}), ".base.input: -1 is negative"),
        (priced(base={"input": "1e-12"}), ".base.input: 1e-12 USD is finer than"),
        (priced(base={"input": None}), ".base.input: is missing"),
        (priced(base={"inputs": "1"}), ".base.inputs: unknown field; there are audio_cached"),
        (priced(base={"input": "0", "output": "0"}), ".base: a price of zero needs `free: true`"),
        (priced(base={}), ".base: is missing: give rates"),
        (priced(free=True), ".prices[0].base: a free price has none"),
        (priced(status="maybe"), ".status: must be one of confirmed, announced, not 'maybe'"),
        (priced(**{"from": "soon"}), ".from: must be an instant such as"),
        (priced(**{"from": 7}), ".from: must be an instant such as"),
        (priced(**{"from": "2025-02-01", "to": "2025-02-01"}), ".to: must be later than `from`"),
        (priced(corrects="gone"), ".prices[0].corrects: no price 'gone' stands before it"),
        (priced(tiers=[{"over": 5}]), ".tiers[0].rates: has no rate"),
        (priced(tiers=[{"rates": {"input": "1"}}]), ".tiers[0].over: is missing"),
        (
            priced(tiers=[{"over": n, "rates": {"input": "1"}} for n in (9, 9)]),
            ".tiers: must rise by `over`, each once",
        ),
        (
            priced(tiers=[{"over": 1, "measure": "output", "rates": {"input": "1"}}]),
            ".tiers[0].measure: must be one of input_total",
        ),
        (
            priced(tiers=[{"over": 1, "rates": {"input": "2"}}], service={"flex": {"input": "1"}}),
            ".service.flex.tiers: the base has tiers: state them here too",
        ),
        (priced(service={"flex": "half"}), ".service.flex: must be a mapping, not 'half'"),
        (priced(schedule=[{"rates": {"input": "1"}}]), ".schedule[0].utc: is missing"),
        (
            priced(schedule=[{"utc": ["1-4"], "rates": {"input": "1"}}]),
            ".schedule[0].utc: must be spans such as 01:00-04:00, not '1-4'",
        ),
        (
            priced(schedule=[{"days": "monday", "utc": ["01:00-04:00"], "rates": {"input": "1"}}]),
            ".schedule[0].days: must be days such as mon-fri",
        ),
        (priced(multipliers=[{"num": 1, "den": 2}]), ".multipliers[0].when.scope: is missing"),
        (
            priced(scopes=[]),
            ".scopes: names no place: leave it out where the price is the same everywhere",
        ),
        (priced(scopes="global"), ".scopes: must be a list"),
        (priced(scopes=["us", 1]), ".scopes"),
        (
            priced(multipliers=[{"when": {"scope": "us"}, "num": 1, "den": 0}]),
            ".multipliers[0].num: numerator and denominator must be positive",
        ),
        (priced(fees={"dance": {"rate": "1"}}), ".fees.dance: unknown unit; there are request"),
        (priced(fees={"dance:slow": {"rate": "1"}}), ".fees.dance:slow: unknown unit"),
        (priced(fees={"page": {"rate": "1", "per": 0}}), ".fees.page.per: must be positive"),
        (priced(fees={"page": {"rate": "-1"}}), ".fees.page.rate: -1 is negative"),
        (priced(source=[{"url": "x"}]), ".source[0].seen: is missing"),
        (priced(source=[{"url": "x", "seen": "May"}]), ".source[0].seen: must be a day such as"),
        (priced(allow={"zero": ""}), ".allow.zero: must be a text"),
        (priced(note=7), ".note: must be a text, not 7"),
        (
            priced(source=[{"url": "x", "seen": "2026-01-01", "lineage": "litellm"}]),
            ".source[0].lineage: must be a list, not 'litellm'",
        ),
    ],
)
def test_what_is_wrong_is_named(wrong, message) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        parse_card(wrong, "prices[0]")

    assert message in str(caught.value)


def test_one_price_for_ever_needs_no_list() -> None:
    short = parse_card({"provider": "p", "model": "m", "base": {"input": "1"}})

    assert parse_card(entry()).prices == short.prices
    assert short.price_at(0) == short.prices[0]


def test_a_price_keeps_where_it_was_seen_and_what_to_know_of_it() -> None:
    source = {"url": "https://p.example", "seen": "2026-11-28", "lineage": ["litellm 1", "other 2"]}
    (price,) = parse_card(priced(source=[source], note="the higher of two")).prices

    assert ("https://p.example", "2026-11-28", ("litellm 1", "other 2")) == price.sources[0]
    assert "the higher of two" == price.note


def test_the_entry_in_the_docs_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "price-book.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    (card,) = (parse_card(each) for each in YAML(typ="safe", pure=True).load(example))

    assert "deepseek-flash" == card.model
    assert 1 == len(card.prices[0].schedule)


def test_two_prices_cannot_share_an_id() -> None:
    with pytest.raises(ValueError, match=r"prices\[1\]\.id: 'x' stands twice"):
        parse_card(entry(prices=[{"id": "x", "base": {"input": "1"}}] * 2))


def test_a_long_wrong_value_is_cut_short() -> None:
    with pytest.raises(ValueError, match=r"must be a list") as caught:
        parse_card(entry(match="x" * 10_000))

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "value",
    [
        "2025-09-29T00:00:00Z",
        "2025-09-29",
        "2025-09-29T02:00:00+02:00",
        date(2025, 9, 29),
        datetime(2025, 9, 29, tzinfo=UTC),
        datetime(2025, 9, 29),  # noqa: DTZ001 - as a YAML parser gives it
    ],
)
def test_an_instant_may_be_written_in_many_ways(value) -> None:
    assert 1_759_104_000_000 == instant_ms(value)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("mon-fri", [0, 1, 2, 3, 4]), ("sat,sun", [5, 6]), ("sat-mon", [5, 6, 0]), ("wed", [2])],
)
def test_days_are_counted_from_monday(text, numbers) -> None:
    assert numbers == weekdays(text)


@pytest.mark.parametrize("text", ["25:00-26:00", "01:60-02:00", "10:00-24:01", "1:00-2:00", ""])
def test_hours_that_do_not_exist_are_refused(text) -> None:
    with pytest.raises(ValueError, match=r"spans|text"):
        spans([text])


@pytest.mark.parametrize(
    ("span", "minutes"),
    [
        ((0, 60, 240), [(60, 240)]),
        ((6, 0, 1440), [(8640, 10080)]),
        ((0, 1380, 60), [(1380, 1500)]),
        ((6, 1380, 60), [(10020, 10080), (0, 60)]),
    ],
)
def test_a_span_over_midnight_runs_into_the_next_day(span, minutes) -> None:
    assert minutes == week_minutes(*span)


def test_a_tier_without_rates_says_that_it_is_not_served_there() -> None:
    """Not as its absence, which would bill the rates below."""
    tiers = [{"over": 5, "rates": {"input": "2"}}]
    service = {"priority": {"input": "3", "tiers": [{"over": 5, "rates": {}}]}}
    (price,) = parse_card(priced(base={"input": "1"}, tiers=tiers, service=service)).prices

    ((over_tokens, none),) = price.service["priority"].tiers
    assert (5, {}) == (over_tokens, none.published())
