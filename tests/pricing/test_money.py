"""Money is whole numbers, and a conversion is exact or an error."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.money import (
    PPM,
    charge_pico,
    div_half_even,
    femto_per_token,
    pico_usd,
    usd,
    usd_per_million,
)


@pytest.mark.parametrize(
    ("amount", "pico"),
    [
        ("0", 0),
        ("1", 10**12),
        (25, 25 * 10**12),
        ("0.000000000001", 1),
        ("-3.5", -3_500_000_000_000),
        ("9223372.036854775807", 9_223_372_036_854_775_807),
        (Decimal("0.10"), 10**11),
    ],
)
def test_dollars_convert_exactly(amount, pico) -> None:
    assert pico == pico_usd(amount)


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("0.0000000000001", "finer than one pico-dollar"),
        ("three", "not a decimal number"),
        ("", "not a decimal number"),
        ("NaN", "not a finite number"),
        ("-Infinity", "not a finite number"),
        ("1e999999999", "out of range"),
        ("1e-999999999", "out of range"),
    ],
)
def test_what_is_not_exact_is_refused(amount, problem) -> None:
    """An exponent that would fill the memory is refused as fast as a word."""
    with pytest.raises(ValueError, match=problem):
        pico_usd(amount)


@given(st.integers(-(10**20), 10**20))
def test_an_amount_survives_being_written_and_read(pico) -> None:
    assert pico == pico_usd(usd(pico))


@given(st.integers(0, 10**15))
def test_a_rate_survives_being_written_and_read(rate_femto) -> None:
    assert rate_femto == femto_per_token(usd_per_million(rate_femto))


@pytest.mark.parametrize(
    ("pico", "text"),
    [(210_000_000, "0.00021"), (10**13, "10"), (-3_500_000_000_000, "-3.5"), (0, "0")],
)
def test_amounts_are_written_as_the_shortest_exact_decimal(pico, text) -> None:
    assert text == usd(pico)


@pytest.mark.parametrize(
    ("rate", "femto"),
    [("3", 3_000_000_000), ("0.0028", 2_800_000), ("0.000000001", 1), ("0.0625", 62_500_000)],
)
def test_published_rates_become_whole_femto_dollars(rate, femto) -> None:
    assert femto == femto_per_token(rate)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**15))
def test_division_rounds_like_an_exact_fraction(numerator, denominator) -> None:
    """Python rounds fractions half to even: the same rule, from another implementation."""
    assert round(Fraction(numerator, denominator)) == div_half_even(numerator, denominator)


@pytest.mark.parametrize(
    ("numerator", "quotient"), [(5, 0), (15, 2), (25, 2), (35, 4), (-5, 0), (-15, -2), (16, 2)]
)
def test_halves_go_to_the_even_neighbour(numerator, quotient) -> None:
    assert quotient == div_half_even(numerator, 10)


@given(st.integers(0, 10**24), st.integers(0, 10 * PPM), st.integers(1, 10**6))
def test_a_charge_is_rounded_once_from_the_exact_product(cost_femto, markup_ppm, per) -> None:
    exact = Fraction(cost_femto, per) * Fraction(PPM + markup_ppm, PPM) / 1_000

    assert round(exact) == charge_pico(cost_femto, markup_ppm, per=per)


def test_the_charge_does_not_inherit_the_costs_rounding() -> None:
    """1.5 pico rounds to 2; doubled from there it would be 4 rather than 3."""
    assert 3 == charge_pico(1_500, PPM)
