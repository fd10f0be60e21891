"""Numbers as people read them: never zero for what is not, never wrong by rounding."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dashboard import formats
from gateway.dashboard.charts import Series, ceiling, path, spark, stacked, y_ticks
from pricing.money import pico_usd


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        ("0", "$0"),
        ("1234.565", "$1,234.56"),
        ("1", "$1.00"),
        ("0.999999", "$1.00"),
        ("0.5", "$0.50"),
        ("0.9109", "$0.9109"),
        ("0.00039", "$0.000390"),
        ("0.0000001", "<$0.000001"),
        ("-2.5", f"{formats.MINUS}$2.50"),
    ],
)
def test_money(usd, shown) -> None:
    assert shown == formats.money(pico_usd(usd))


@given(st.integers(1, 10**19))
def test_what_costs_something_is_never_shown_as_nothing(pico) -> None:
    shown = formats.money(pico)

    assert any(digit in shown for digit in "123456789")
    if not shown.startswith("<"):
        amount = Decimal(pico) / 10**12
        assert abs(Decimal(shown.lstrip("$").replace(",", "")) - amount) <= Decimal("0.005")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (12_345, "12.3k"),
        (999_960, "1M"),
        (1_250_000, "1.2M"),
        (None, formats.NOTHING),
    ],
)
def test_counts(number, shown) -> None:
    assert shown == formats.compact(number)


@pytest.mark.parametrize(
    ("ms", "shown"), [(0, "0 ms"), (950, "950 ms"), (1_500, "1.5 s"), (75_000, "1 min 15 s")]
)
def test_durations(ms, shown) -> None:
    assert shown == formats.duration(ms)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0%"), (0.01, "<0.1%"), (1.66, "1.7%"), (99.95, ">99.9%"), (134, "134%")],
)
def test_percents(value, shown) -> None:
    assert shown == formats.percent(value)


@pytest.mark.parametrize(
    ("name", "shown"), [("Ada Lovelace", "AL"), ("customer_12", "C1"), ("🦊", "?"), ("a/b", "AB")]
)
def test_initials(name, shown) -> None:
    assert shown == formats.initials(name)


@pytest.mark.parametrize(
    ("then", "shown"),
    [(0, "100 s ago"), (99_000, "just now"), (220_000, "in 2 min"), (None, "never")],
)
def test_ago(then, shown) -> None:
    assert shown.replace("100 s", "1 min") == formats.ago(then, 100_000)


@given(st.integers(1, 10**16))
def test_an_axis_ends_a_little_above_and_its_steps_are_even(most) -> None:
    top = ceiling(most)
    ticks = y_ticks(top, formats.compact)

    assert most <= top <= 2.5 * most + 1
    assert 100.0 == ticks[0].at
    assert 0.0 == ticks[-1].at
    assert 2 <= len(ticks) <= 6


@given(st.lists(st.lists(st.integers(0, 10**13), min_size=3, max_size=3), min_size=1, max_size=9))
def test_the_pieces_of_a_bar_stand_on_each_other(values) -> None:
    """They fill it from the bottom, in order, and end within the chart."""
    series = [Series(str(i), str(i), of) for i, of in enumerate(values)]

    chart = stacked(["a", "b", "c"], series, short=formats.compact, exact=formats.count)

    for bar in chart.bars:
        below = 100.0
        for piece in bar.pieces:
            assert piece.y + piece.height == pytest.approx(below, abs=0.03)
            below = piece.y
        assert below >= -0.01
    assert 3 == len(chart.rows)


def test_a_line_breaks_where_there_is_nothing() -> None:
    assert 2 == path([1, 2, None, 3], 4).count("M")
    assert "" == path([None, None], 4)
    assert spark([0, 0, 0]) is None
