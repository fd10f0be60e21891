"""Usage: buckets that never overlap and never go below zero."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.usage import TOKEN_BUCKETS, Usage, token_counts


def used(**counts: Any) -> Usage:
    return Usage(**counts)


@pytest.mark.parametrize("bucket", TOKEN_BUCKETS)
def test_a_negative_count_is_refused(bucket) -> None:
    with pytest.raises(ValueError, match="negative token count"):
        used(**{bucket: -1})


def test_a_negative_number_of_calls_is_refused() -> None:
    with pytest.raises(ValueError, match="negative number of calls"):
        Usage(fees=(("web_search", 2), ("page", -1)))


@given(st.tuples(*[st.integers(0, 10**9)] * len(TOKEN_BUCKETS)))
def test_each_token_is_counted_once(counts) -> None:
    usage = Usage(**dict(zip(TOKEN_BUCKETS, counts, strict=True)))

    assert counts == token_counts(usage)
    assert sum(counts) == usage.total
    assert usage.input_total + usage.output_total == usage.total
    assert usage.cached_total <= usage.input_total


def test_usage_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Usage().input_tokens = 1  # type: ignore[misc]


@given(st.lists(st.integers(0, 10**12), min_size=len(TOKEN_BUCKETS), max_size=len(TOKEN_BUCKETS)))
def test_totals_are_the_totals(counts) -> None:
    """All four at once are what each says alone, whatever bucket they come from."""
    usage = Usage(**dict(zip(TOKEN_BUCKETS, counts, strict=True)))

    expected = (usage.input_total, usage.cached_total, usage.output_total, usage.reasoning_tokens)
    assert expected == usage.totals


fees = st.dictionaries(st.sampled_from(["web_search", "page"]), st.integers(0, 9))
usages = st.builds(
    lambda counts, pieces: Usage(
        **dict(zip(TOKEN_BUCKETS, counts, strict=True)), fees=tuple(pieces.items())
    ),
    st.tuples(*[st.integers(0, 10**9)] * len(TOKEN_BUCKETS)),
    fees,
)


@given(usages, usages)
def test_a_sum_has_all_of_both(one, other) -> None:
    """Bucket by bucket, and each piece under its unit, once."""
    both = one + other

    pairs = zip(token_counts(one), token_counts(other), strict=True)
    assert tuple(a + b for a, b in pairs) == token_counts(both)
    for unit in ("web_search", "page"):
        each = [dict(usage.fees).get(unit, 0) for usage in (one, other)]
        assert sum(each) == dict(both.fees).get(unit, 0)
    assert len(both.fees) == len(dict(both.fees))


@given(usages)
def test_nothing_added_is_nothing_changed(usage) -> None:
    assert usage == usage + Usage()
    assert usage == Usage() + usage
