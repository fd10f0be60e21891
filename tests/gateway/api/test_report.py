"""The reading of one event: what is said is what is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.report import AHEAD_MS_MAX, PAST_MS_MAX, TOKENS_MAX, Report, read_report
from gateway.clock import rfc3339
from gateway.customers.apps import App
from gateway.errors import CallerError

from .conftest import usage

APP = App(id="my-app", token_sha256="", model="small")
NOW_MS = 1_800_000_000_000
COUNTS = st.integers(0, TOKENS_MAX)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(-(2**63), 2**64 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def read(content: object) -> Report:
    return read_report(content, APP, event_id=None, now_ms=NOW_MS)


@given(COUNTS, COUNTS, COUNTS)
def test_every_token_is_counted_once(input_tokens: int, cached: int, output_tokens: int) -> None:
    """Cached tokens are part of the input: the totals are what was reported."""
    cached = min(cached, input_tokens)
    counts = {"inputTokens": input_tokens, "inputTokensCached": cached}

    found = read(usage(**counts, outputTokens=output_tokens)).usage

    assert (input_tokens, cached, output_tokens) == (
        found.input_total,
        found.cached_total,
        found.output_total,
    )


@given(st.sampled_from([*sorted(usage()), "model", "timestamp", "metadata", "eventId"]), JSON)
def test_any_value_in_any_field_is_read_or_refused(field: str, value: object) -> None:
    """Nothing a caller sends is an unforeseen exception, and a refusal names a field."""
    try:
        counted = read(usage(**{field: value})).usage
    except CallerError as exc:
        named = exc.param
    else:
        named = field
        assert type(counted.input_tokens) is int

    assert named is not None


@pytest.mark.parametrize(
    ("offset_ms", "expected"),
    [
        (0, NOW_MS),
        (AHEAD_MS_MAX, NOW_MS),
        (AHEAD_MS_MAX + 1, None),
        (-PAST_MS_MAX, NOW_MS - PAST_MS_MAX),
        (-PAST_MS_MAX - 1, None),
    ],
)
def test_clocks_may_differ_a_little(offset_ms: int, expected: int | None) -> None:
    """Up to five minutes ahead is now; 35 days back is the end of what is kept."""
    content = usage(timestamp=rfc3339(NOW_MS + offset_ms))
    if expected is None:
        with pytest.raises(CallerError):
            read(content)
    else:
        assert expected == read(content).at_ms


@pytest.mark.parametrize(
    ("changes", "equal"),
    [
        ({}, True),
        ({"eventId": "x"}, True),
        ({"consumerId": "e\u0301"}, True),
        ({"metadata": {"b": 2, "a": 1}}, True),
        ({"timestamp": "2027-01-15T09:00:00+01:00"}, True),
        ({"inputTokensCached": 0}, False),
        ({"outputTokens": 101}, False),
        ({"model": "small"}, False),
        ({"metadata": {"a": 1, "b": 3}}, False),
        ({"timestamp": "2027-01-15T08:00:00.001Z"}, False),
        ({"timestamp": ...}, False),
    ],
)
def test_the_fingerprint_tells_a_repetition_from_another_usage(changes, equal) -> None:
    """Spelling, order and the id itself make no difference; what was used does."""
    first = {
        "consumerId": "é",
        "metadata": {"a": 1, "b": 2},
        "timestamp": "2027-01-15T08:00:00Z",
    }

    same = read(usage(**first)).fingerprint == read(usage(**first | changes)).fingerprint

    assert equal is same
