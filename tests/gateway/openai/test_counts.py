"""What is a count, and what is not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.counts import TOKENS_MAX, UsageUnreadable, count, inner, part, whole

NO_COUNTS = [
    *(None, True, False, -1, -0.5, 1.5, 1e30, math.nan, math.inf, -math.inf, TOKENS_MAX + 1),
    *(10**400, "1", "", [], [1], {}, {"a": 1}, b"1"),
]


@pytest.mark.parametrize("value", [0, 1, 2.0, TOKENS_MAX, float(TOKENS_MAX)])
def test_counts(value) -> None:
    found = count(value)

    assert value == found
    assert type(found) is int


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_no_counts(value) -> None:
    assert count(value) is None


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_a_count_is_in_range_or_none(value) -> None:
    found = count(value)

    assert found is None or (type(found) is int and 0 <= found <= TOKENS_MAX and found == value)


def test_the_first_name_that_is_stated_counts() -> None:
    """A null states nothing; a zero does."""
    assert 0 == whole({"a": None, "b": 0, "c": 5}, ("a", "b", "c"))
    assert whole({"a": None}, ("a", "b")) is None


@pytest.mark.parametrize("value", [v for v in NO_COUNTS if v is not None], ids=repr)
def test_what_is_stated_and_no_count_spoils_the_block(value) -> None:
    with pytest.raises(UsageUnreadable, match="a is not a count"):
        whole({"a": value, "b": 3}, ("a", "b"))


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_a_part_that_is_no_count_is_none(value) -> None:
    """The next name may still have it."""
    assert 3 == part({"a": value, "b": 0, "c": 3}, ("a", "b", "c"))
    assert 0 == part({"a": value}, ("a", "b"))
    assert 0 == part({}, ("a",))


@pytest.mark.parametrize("value", [None, {}, [], "x", 7, True])
def test_an_inner_object_with_something_in_it(value) -> None:
    assert {"x": 1} == inner({"a": value, "b": {"x": 1}}, ("a", "b"))
    assert {} == inner({"a": value}, ("a",))
