"""The package's data, read as a tree: nothing of it runs."""

from decimal import Decimal

import pytest

from pricing.tools.genai import read
from pricing.tools.seen import Fee

SOURCE = """
import datetime
from decimal import Decimal

from .types import *

providers: list[Provider] = [
    Provider(
        id='mistral',
        models=[
            ModelInfo(
                id='medium-latest',
                match=ClauseOr(or_=[
                    ClauseEquals(equals='medium-latest'),
                    ClauseAnd(and_=[
                        ClauseStartsWith(starts_with='Medium-'),
                        ClauseContains(contains='26'),
                        ClauseEndsWith(ends_with='04'),
                    ]),
                    ClauseRegex(regex='^med-\\\\d{2}$'),
                ]),
                context_window=1000,
                prices=[
                    ConditionalPrice(
                        prices=ModelPrice(input_mtok=Decimal('0.4'), output_mtok=Decimal('2'))
                    ),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 6, 16)),
                        prices=ModelPrice(
                            input_mtok=TieredPrices(
                                base=Decimal('1.5'), tiers=[Tier(start=200, price=Decimal('3'))]
                            ),
                            output_mtok=Decimal('7.5'),
                            output_reasoning_mtok=Decimal('7.5'),
                            web_searches_kcount=Decimal('10'),
                            audio_hours=Decimal('0.1'),
                        ),
                    ),
                ],
                price_variants=[
                    PriceVariant(
                        when={'processing': 'batch'},
                        prices=ModelPrice(input_mtok=Decimal('0.75')),
                    ),
                    PriceVariant(when={'service_tier': 'default'}, prices=ModelPrice()),
                ],
            ),
            ModelInfo(
                id='night-owl',
                match=ClauseEquals(equals='night-owl'),
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1'))),
                    ConditionalPrice(
                        constraint=TimeOfDateConstraint(start_time=datetime.time(1, 0)),
                        prices=ModelPrice(input_mtok=Decimal('2')),
                    ),
                ],
            ),
            ModelInfo(
                id='whisper',
                match=ClauseEquals(equals='whisper'),
                prices=ModelPrice(audio_hours=Decimal('0.36')),
            ),
        ],
    ),
    Provider(id='nobody', models=[ModelInfo(id='x', match=ClauseEquals(equals='x'), prices=[])]),
]
"""
MEDIUM, OWL, WHISPER = read(SOURCE)


def test_dated_prices_are_in_order_and_the_last_has_the_services() -> None:
    old, new = MEDIUM.prices

    assert (None, "2026-06-16") == (old.from_day, new.from_day)
    assert {"input": Decimal("0.4"), "output": Decimal(2)} == old.base
    assert {"input": Decimal("1.5"), "output": Decimal("7.5")} == new.base
    assert {200: {"input": Decimal(3), "output": Decimal("7.5")}} == dict(new.tiers)
    assert {"batch": {"input": Decimal("0.75")}} == {n: m.base for n, m in new.service.items()}
    assert {} == dict(old.service)


def test_units_beside_tokens() -> None:
    assert {"web_search": Fee(Decimal(10), 1_000)} == dict(MEDIUM.prices[1].fees)
    assert {"second": Fee(Decimal("0.36"), 3_600)} == dict(WHISPER.prices[0].fees)


@pytest.mark.parametrize("name", ["medium-latest", "medium-2604", "MEDIUM-2604", "med-35"])
def test_a_model_knows_its_names(name) -> None:
    assert MEDIUM.matches(name)


@pytest.mark.parametrize("name", ["medium", "medium-2504", "medium-2605", "med-355", ""])
def test_and_no_others(name) -> None:
    assert not MEDIUM.matches(name)


def test_only_names_stated_whole_are_names() -> None:
    assert ("medium-latest",) == MEDIUM.names
    assert ("mistral",) == MEDIUM.providers


def test_a_price_by_the_hour_is_marked() -> None:
    assert (False, True, False) == (MEDIUM.by_hour, OWL.by_hour, WHISPER.by_hour)
