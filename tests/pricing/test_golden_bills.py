"""Every bill of the tables in `golden/`, and that no rule of the book is without one.

What a provider has (a component with a rate, a service, a threshold, a place, a fee, an hour, a
day on which a price changed) has a row that uses it; where it begins or ends, one on either side.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module

import pytest

from pricing.book import PriceBook
from pricing.card import Card, Price
from pricing.cost import Cost, UnpricedComponent, cost
from pricing.money import usd
from pricing.usage import Usage, token_counts
from tests.pricing.golden.row import TODAY, Bill, Change, Refusal, worked_out

BOOK = PriceBook.load()
PROVIDERS = (
    *("anthropic", "azure", "bedrock", "cohere", "deepseek", "fireworks", "google", "groq"),
    *("mistral", "openai", "perplexity", "together", "vertex", "voyage", "xai"),
)
TABLES = [import_module(f"tests.pricing.golden.{provider}") for provider in PROVIDERS]
BILLS: list[Bill] = [row for table in TABLES for row in table.BILLS]
CHANGES: list[Change] = [row for table in TABLES for row in getattr(table, "CHANGES", ())]
REFUSALS: list[Refusal] = [row for table in TABLES for row in getattr(table, "REFUSALS", ())]


def ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)


def place(row: Bill | Refusal) -> str:
    provider, _, model = row.model.partition("/")
    return row.scope or BOOK.find(provider, model).scope or "global"


def price_of(model: str, at_ms: int) -> tuple[Card, Price]:
    provider, _, name = model.partition("/")
    found = BOOK.find(provider, name)
    assert found.card is not None, found.steps
    price = found.card.price_at(at_ms)
    assert price is not None, at_ms
    return found.card, price


def named(row: Bill | Change | Refusal) -> str:
    how = (row.what,) if isinstance(row, Bill | Change) else (row.component, row.tier, row.scope)
    return " ".join((row.model, *(each for each in how if each)))


def billed(row: Bill) -> Cost:
    _, price = price_of(row.model, ms(row.at))
    done_ms = ms(row.completed or row.at)
    return cost(row.usage, price, service_tier=row.tier, scope=place(row), completed_ms=done_ms)


@pytest.mark.parametrize("row", BILLS, ids=named)
def test_a_bill_is_what_it_is_on_paper(row: Bill) -> None:
    bill = billed(row)

    assert row.usd == usd(bill.cost_pico)
    assert abs(worked_out(row.worked) * 10**12 - bill.cost_pico) * 2 <= 1  # rounded, at the end


@pytest.mark.parametrize("row", BILLS, ids=named)
def test_its_lines_add_up_to_it(row: Bill) -> None:
    """To the femto-dollar, but for a rest that no decimal has: then each line is rounded."""
    bill = billed(row)

    exact = worked_out(row.worked) * 10**15
    assert abs(exact - sum(line.amount_femto for line in bill.items)) * 2 <= len(bill.items)
    assert {line.component for line in bill.items} == used_in(bill.usage)


def used_in(usage: Usage) -> set[str]:
    return components(usage) | {unit for unit, quantity in usage.fees if quantity}


def components(usage: Usage) -> set[str]:
    names = [name for name in Usage.__struct_fields__ if name.endswith("_tokens")]
    counts = zip(names, token_counts(usage), strict=True)
    return {name.removesuffix("_tokens") for name, count in counts if count}


@pytest.mark.parametrize("row", CHANGES, ids=named)
def test_a_change_is_at_its_instant(row: Change) -> None:
    """A millisecond apart: by the price of the one and of the other, and for good."""
    instant_ms = ms(row.instant)
    for at_ms, worked in ((instant_ms - 1, row.before), (instant_ms, row.after)):
        _, price = price_of(row.model, at_ms)
        bill = cost(row.usage, price, completed_ms=at_ms)
        assert worked_out(worked) * 10**12 == bill.cost_pico


@pytest.mark.parametrize("row", REFUSALS, ids=named)
def test_what_no_page_prices_is_not_guessed(row: Refusal) -> None:
    _, price = price_of(row.model, ms(TODAY))

    with pytest.raises(UnpricedComponent) as caught:
        cost(row.usage, price, service_tier=row.tier, scope=place(row), completed_ms=ms(TODAY))

    assert row.component == caught.value.component


def test_each_row_names_a_page_and_is_there_once() -> None:
    rows: list[Bill | Change | Refusal] = [*BILLS, *CHANGES, *REFUSALS]

    assert all(row.page.startswith("https://") for row in rows)
    assert len(rows) == len(set(map(named, rows)))


# --- Nothing without a row


Rule = tuple[str, str, str]
"""Something that a provider's prices have: ("openai", "service", "flex")."""


def live(card: Card) -> Iterator[Price]:
    """The prices that bill at some instant."""
    corrected = {price.corrects for price in card.prices}
    yield from (each for each in card.prices if each.confirmed and each.id not in corrected)


def rules(card: Card, price: Price) -> set[Rule]:
    long = {
        name for name, mode in price.service.items() if any(t.rates.published() for t in mode.tiers)
    }
    found: dict[str, set[str]] = {
        "rate": set() if price.free else set(price.base.published()),
        "service": set(price.service),
        "long": long,
        "up to": {str(tier.over_tokens) for tier in price.tiers},
        "over": {str(tier.over_tokens) for tier in price.tiers},
        "dearer in": {multiplier.scope for multiplier in price.multipliers},
        "the same in": set(price.scopes or ()),
        "once": {unit for unit, fee in price.fees.items() if fee.once},
        "each": {unit for unit, fee in price.fees.items() if not fee.once},
        "is": {"free"} if price.free else set(),
        "of": {"a fine-tune"} if any(name.startswith("ft:") for name in card.match) else set(),
        "hours": {"in", "beside"} if price.schedule else set(),
    }
    return {(card.provider, kind, name) for kind, names in found.items() for name in names}


def shown_by(row: Bill) -> set[Rule]:
    """The rules without which the bill would be another."""
    card, price = price_of(row.model, ms(row.at))
    bill = billed(row)
    total, where, tier = row.usage.input_total, place(row), row.tier or ""
    served = {tier} & price.service.keys()
    thresholds = [long.over_tokens for long in price.service.get(tier, price.standard).tiers]
    dearer = price.factors.get(where, (1, 1)) != (1, 1)
    fees = {unit: price.fee(unit) for unit, quantity in bill.usage.fees if quantity}
    found: dict[str, set[str]] = {
        "rate": components(row.usage),
        "service": served,
        "long": {name for name in served if total > min(thresholds, default=total)},
        "up to": {str(over) for over in thresholds if total == over},
        "over": {str(over) for over in thresholds if total == over + 1},
        "dearer in": {where} if dearer else set(),
        "the same in": set() if dearer else {where},
        "once": {own(unit, price) for unit, fee in fees.items() if fee and fee.once},
        "each": {own(unit, price) for unit, fee in fees.items() if fee and not fee.once},
        "is": {"free"} if price.free else set(),
        "of": {"a fine-tune"} if "/ft:" in row.model else set(),
        "hours": {"beside" if bill.rates is price.base else "in"} if price.schedule else set(),
    }
    return {(card.provider, kind, name) for kind, names in found.items() for name in names}


def own(unit: str, price: Price) -> str:
    """The fee by which a piece is billed: its kind's, else its unit's."""
    return unit if unit in price.fees else unit.partition(":")[0]


def test_no_rule_of_the_book_is_without_a_bill() -> None:
    """A provider's first rate of a kind, a new fee, place or threshold, needs a row as well."""
    needed = {
        rule
        for provider in PROVIDERS
        for card in BOOK.models(provider)
        for price in live(card)
        for rule in rules(card, price)
    }
    shown = {rule for row in BILLS for rule in shown_by(row)}

    assert [] == sorted(needed - shown)


def test_no_day_of_change_is_without_a_bill_on_either_side() -> None:
    """Of each provider, each instant at which some price ended and another began."""
    needed = {
        (provider, datetime.fromtimestamp(price.to_ms / 1_000, UTC))
        for provider in PROVIDERS
        for card in BOOK.models(provider)
        for price in live(card)
        if price.to_ms is not None
    }
    shown = {(row.model.partition("/")[0], datetime.fromisoformat(row.instant)) for row in CHANGES}

    assert [] == sorted(needed - shown)


def test_no_provider_is_without_something_that_it_has_no_price_for() -> None:
    """A rate, a service or a place: what is left out is as much a promise."""
    assert set(PROVIDERS) == {row.model.partition("/")[0] for row in REFUSALS}


def test_every_provider_with_cards_has_a_table() -> None:
    """But the demo's, which nobody sells."""
    assert set(PROVIDERS) == {card.provider for card in BOOK.cards()} - {"demo"}
