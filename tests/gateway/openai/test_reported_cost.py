"""A provider's own figure: to the last digit it states, or not at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.reported_cost import COST_USD_MAX, reported_cost_pico
from pricing.money import usd


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"cost": 0.01873025}, "0.01873025"),
        ({"cost": 0.1}, "0.1"),
        ({"cost": 7.35e-06}, "0.00000735"),
        ({"cost": 0}, "0"),
        ({"cost": 3}, "3"),
        ({"cost": {"total_cost": 0.816, "request_cost": 0.006}}, "0.816"),
        ({"cost": {"request_cost": 0.006}}, None),
        ({"cost_in_usd_ticks": 648004500}, "0.06480045"),
        ({"cost_in_usd_ticks": 1}, "0.0000000001"),
        ({"cost_in_usd_ticks": 0}, "0"),
        # Ticks are exact; what stands beside them is rounded.
        ({"cost_in_usd_ticks": 158500, "cost": 0.02}, "0.00001585"),
        ({}, None),
        ({"cost": None}, None),
    ],
)
def test_where_it_is_stated(block, expected) -> None:
    found = reported_cost_pico(block)

    assert expected == (None if found is None else usd(found))


def openrouter(cost, upstream, **byok):
    return {"cost": cost, "cost_details": {"upstream_inference_cost": upstream}, **byok}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param(openrouter(0.05, 1, is_byok=True), "1.05", id="own key: fee and price"),
        pytest.param(openrouter(0, 0.0068204, is_byok=True), "0.0068204", id="own key, no fee"),
        pytest.param(openrouter(0, 0.00197, is_byok=True), "0.00197", id="own key, never 0"),
        pytest.param(openrouter(0.5, 0.5, is_byok=False), "0.5", id="no own key: said twice"),
        pytest.param(openrouter(0.5, 0.5), "0.5", id="not said, the same: said twice"),
        pytest.param(openrouter(0.95, 19), "19.95", id="not said, another: both"),
        pytest.param(openrouter(0.95, None, is_byok=True), "0.95", id="own key, price unknown"),
        pytest.param(openrouter(0.95, None), "0.95", id="not said, nothing beside"),
        pytest.param(openrouter(None, 19), None, id="no cost of its own"),
        pytest.param({"cost": 1, "cost_details": "x"}, "1", id="odd details"),
    ],
)
def test_r44_a_key_of_ones_own_at_the_provider(block, expected) -> None:
    """Then the router's cost is its fee, and the provider's price comes on top."""
    found = reported_cost_pico(block)

    assert expected == (None if found is None else usd(found))


NO_COSTS = [True, -1, -0.5, "1", "", [1], math.nan, math.inf, 1e30, 10**400, COST_USD_MAX * 2]


@pytest.mark.parametrize("value", NO_COSTS, ids=repr)
def test_what_is_no_cost(value) -> None:
    assert reported_cost_pico({"cost": value}) is None
    assert reported_cost_pico({"cost": {"total_cost": value}}) is None


@pytest.mark.parametrize("value", [True, -1, "1", [1], {}, math.nan, 1e30, 10**400], ids=repr)
def test_what_are_no_ticks(value) -> None:
    assert reported_cost_pico({"cost_in_usd_ticks": value}) is None


@given(st.integers(0, 10**12), st.integers(0, 6))
def test_decimal_figures_are_exact(digits, places) -> None:
    """A figure is taken as it is written, not as the binary fraction beside it."""
    written = float(f"{digits}e-{places}")
    if written > COST_USD_MAX:
        return
    expected = digits * 10 ** (12 - places)

    assert expected == reported_cost_pico({"cost": written})
