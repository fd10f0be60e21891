"""The demo's past has the shapes of real traffic, and the same ones each time."""

from collections import Counter
from itertools import islice, pairwise
from statistics import mean

import pytest

from gateway.demo.cast import DELAY_S_MAX, DELAY_S_MIN, STARS, cast_members, trickle
from gateway.demo.history import DAY_MS, HOUR_MS, history
from pricing.money import pico_usd

NOW_MS = 1_795_286_400_123
MONTH = list(history(days=30, customers=40, seed=7, now_ms=NOW_MS))


def test_the_same_seed_gives_the_same_past() -> None:
    """And another seed another one."""
    assert list(history(days=30, customers=40, seed=7, now_ms=NOW_MS)) == MONTH
    assert list(history(days=30, customers=40, seed=8, now_ms=NOW_MS)) != MONTH


def test_it_is_in_order_and_in_range() -> None:
    """Oldest first, nothing in the future, nothing before the first day."""
    assert all(a.at_ms <= b.at_ms for a, b in pairwise(MONTH))
    assert NOW_MS - 30 * DAY_MS <= MONTH[0].at_ms
    assert MONTH[-1].at_ms < NOW_MS


def test_the_volume_is_that_of_a_demo() -> None:
    """Five to ten calls a customer a day, and somebody every day."""
    assert 5 <= len(MONTH) / 40 / 30 <= 10
    assert 30 == len({(call.at_ms - NOW_MS) // DAY_MS for call in MONTH})


def test_parts_never_exceed_their_totals() -> None:
    """OpenAI's nesting: cached inside input, reasoning inside output."""
    for call in MONTH:
        assert 0 <= call.cached_tokens <= call.input_tokens
        assert 0 <= call.reasoning_tokens <= call.output_tokens
        assert 0 < (call.first_token_ms or 1) <= call.latency_ms
        assert call.stream or call.first_token_ms is None


def test_every_outcome_occurs() -> None:
    """Mostly fine, some errors (which cost nothing), some left early."""
    statuses = Counter(call.status for call in MONTH)

    assert statuses["ok"] > 0.9 * len(MONTH)
    assert {"ok", "error", "aborted"} == set(statuses)
    for call in MONTH:
        assert (call.status == "error") is (call.status_code >= 400)
        assert (call.status == "error") is (call.input_tokens == 0)
        assert call.status != "aborted" or call.stream


def test_there_is_a_rhythm() -> None:
    """Offices are busier by day than by night, and on workdays than at weekends."""
    hours = Counter(call.at_ms // HOUR_MS % 24 for call in MONTH)
    assert hours[10] > 3 * hours[3]
    days = Counter((call.at_ms // DAY_MS + 3) % 7 for call in MONTH)  # 0 is Monday
    assert mean(days[d] for d in range(5)) > 1.3 * mean(days[d] for d in (5, 6))


def test_the_stories_are_told() -> None:
    """The whale spends most, the blocked one fell silent, one model has no price."""
    tokens: Counter[str] = Counter()
    for call in MONTH:
        tokens[call.customer] += call.output_tokens
    assert "northwind" == tokens.most_common(1)[0][0]

    last = {call.customer: call.at_ms for call in MONTH}
    assert last["mallory"] < NOW_MS - 5 * DAY_MS
    assert {"lab-42"} == {c.customer for c in MONTH if c.model == "demo-unpriced"}
    assert {star.identifier for star in STARS} <= set(last)


def test_the_cast_is_stable() -> None:
    """A smaller cast is the beginning of a larger one; identifiers are unique."""
    many = cast_members(500, seed=1)

    assert many[:5] == cast_members(5, seed=1)
    assert many[:40] == cast_members(40, seed=1)
    assert 500 == len({member.identifier for member in many})
    assert {True, False} == {member.blocked for member in many}


def test_budgets_are_money() -> None:
    """Decimal strings that the ledger takes as they are; some have none."""
    budgets = [member.period_budget for member in cast_members(100, seed=1)]

    assert None in budgets
    assert all(pico_usd(budget) > 0 for budget in budgets if budget is not None)


@pytest.mark.parametrize("customers", [0, -1, 1_000_001])
def test_an_impossible_cast_is_refused(customers: int) -> None:
    """Instead of an empty dashboard."""
    with pytest.raises(ValueError, match="customers must be"):
        history(days=1, customers=customers, seed=0, now_ms=NOW_MS)


@pytest.mark.parametrize("days", [-1, 401])
def test_an_impossible_span_is_refused(days: int) -> None:
    """At the call, not at the first item."""
    with pytest.raises(ValueError, match="days must be"):
        history(days=days, customers=1, seed=0, now_ms=NOW_MS)


def test_no_days_no_past() -> None:
    """``--days 0`` is a demo that starts empty."""
    assert [] == list(history(days=0, customers=3, seed=0, now_ms=NOW_MS))


def test_the_trickle_keeps_its_pace() -> None:
    """Deterministic, bounded delays, streams and not, by members of the cast."""
    calls = list(islice(trickle(3, customers=10), 300))

    assert calls == list(islice(trickle(3, customers=10), 300))
    assert all(DELAY_S_MIN <= call.delay_s <= DELAY_S_MAX for call in calls)
    assert 1 < mean(call.delay_s for call in calls) < 3
    assert {True, False} == {call.stream for call in calls}
    assert {call.member for call in calls} <= set(cast_members(10, 3))
    assert all(call.model == call.member.model for call in calls)
