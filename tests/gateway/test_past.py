"""The demo's past keeps to its budgets, as its present does."""

from dataclasses import replace

import pytest

from gateway.demo.cast import STARS
from gateway.event import Kind, UsageEvent
from gateway.past import Purses

USD = 10**12
MARCH, APRIL = 1_773_000_000_000, 1_776_000_000_000
RICH = replace(STARS[0], identifier="rich", period_budget=None)
POOR = replace(STARS[0], identifier="poor", period_budget="2.50")


def call(charge_pico: int, at_ms: int = MARCH) -> UsageEvent:
    return UsageEvent(request_id="", kind=Kind.EVENT, at_ms=at_ms, charge_pico=charge_pico)


@pytest.mark.parametrize("last", [(USD // 2, True), (USD // 2 + 1, False)])
def test_a_month_pays_to_the_last_unit_and_not_beyond(last) -> None:
    charge_pico, fits = last
    purses = Purses([RICH, POOR])

    assert purses.pay("poor", call(2 * USD))
    assert fits == purses.pay("poor", call(charge_pico))
    assert purses.pay("poor", call(USD // 2)) is not fits


def test_another_month_has_a_budget_of_its_own() -> None:
    purses = Purses([POOR])

    assert purses.pay("poor", call(2 * USD))
    assert not purses.pay("poor", call(USD))
    assert purses.pay("poor", call(USD, APRIL))


def test_who_has_no_budget_is_never_refused() -> None:
    purses = Purses([RICH, POOR])

    assert all(purses.pay("rich", call(900 * USD)) for _ in range(3))
