"""What is worth an alert, and what makes it the same alert when it is seen again."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from gateway.alerts.alert import FOR_EVER_MS, Subject, Topic, crossed, exceeded, reset, unpriced
from gateway.customers.profile import Limits, terms_of
from gateway.customers.windows import Calendar
from gateway.ledger.results import Balance, Spent
from pricing.money import pico_usd

CALENDAR = Calendar(ZoneInfo("UTC"))
NOVEMBER_MS = 1_793_491_200_000
DECEMBER_MS = 1_796_083_200_000
NOW_MS = NOVEMBER_MS + 5 * 86_400_000


def subject(period=None, total=None, *, month="0", ever="0", now_ms=NOW_MS):
    limits = Limits(
        period_budget_pico=None if period is None else pico_usd(period),
        total_budget_pico=None if total is None else pico_usd(total),
    )
    return Subject(
        kind="customer",
        identifier="a b:c",
        terms=terms_of(limits, None, CALENDAR, now_ms),
        balance=Balance(
            spent=Spent(pico_usd(ever), 0), held_pico=0, by_kind={"month": Spent(pico_usd(month))}
        ),
        count="charge",
        told={"customer_identifier": "a b:c"},
    )


@pytest.mark.parametrize(
    ("month", "percents"),
    [
        ("4.999999999999", []),
        ("5", [50]),
        ("7.999999999999", [50]),
        ("8", [50, 80]),
        ("9.999999999999", [50, 80]),
        ("10", [50, 80, 100]),
        ("25", [50, 80, 100]),
    ],
)
def test_a_threshold_counts_from_the_very_pico_dollar(month, percents):
    found = list(crossed(subject("10", month=month), NOW_MS))
    assert percents == [alert.data["threshold_percent"] for alert in found]


def test_each_limit_has_its_own_and_says_its_window():
    found = list(crossed(subject("10", "20", month="5", ever="20"), NOW_MS))
    assert [("period_budget", 50, DECEMBER_MS)] + [
        ("total_budget", percent, FOR_EVER_MS) for percent in (50, 80, 100)
    ] == [(a.limit, a.data["threshold_percent"], a.until_ms) for a in found]
    assert {
        "customer_identifier": "a b:c",
        "limit": "period_budget",
        "limit_usd": "10",
        "spent_usd": "5",
        "held_usd": "0",
        "window_start": "2026-11-01T00:00:00Z",
        "resets_at": "2026-12-01T00:00:00Z",
        "threshold_percent": 50,
    } == found[0].data


def test_no_limit_and_a_limit_of_nothing_cross_nothing():
    """Who may spend nothing has reached no share of it; the refusal says it."""
    assert [] == list(crossed(subject(month="5", ever="5"), NOW_MS))
    assert [] == list(crossed(subject("0"), NOW_MS))
    assert [Topic.EXCEEDED] == [a.topic for a in exceeded(subject("0"), NOW_MS)]


def test_the_same_thing_in_the_same_window_is_the_same_alert():
    """Whatever was spent since, and whatever the limit has become."""
    first, later = subject("10", month="5"), subject("12", month="6.5")
    assert [a.once for a in crossed(first, NOW_MS)] == [a.once for a in crossed(later, NOW_MS + 9)]


def test_another_window_customer_threshold_or_limit_is_another_alert():
    one = subject("10", "10", month="10", ever="10")
    alerts = [
        *crossed(one, NOW_MS),
        *exceeded(one, NOW_MS),
        *crossed(replace(one, identifier="other"), NOW_MS),
        *crossed(subject("10", month="10", now_ms=DECEMBER_MS), DECEMBER_MS),
    ]
    assert len(alerts) == len({a.once for a in alerts}) == 16


def test_a_refusal_is_told_of_the_limit_that_has_least_left():
    (alert,) = exceeded(subject("10", "20", month="9", ever="19.5"), NOW_MS)
    assert "total_budget" == alert.limit
    (alert,) = exceeded(subject("10", "20", month="10", ever="12"), NOW_MS)
    assert "period_budget" == alert.limit


def test_a_reset_says_what_is_open_again_and_nothing_of_what_was_spent():
    (told, *_) = crossed(subject("10", month="5"), NOW_MS)
    alert = reset(told.subject, told.limit, told.until_ms, told.data)
    assert {
        "customer_identifier": "a b:c",
        "limit": "period_budget",
        "limit_usd": "10",
        "window_start": "2026-12-01T00:00:00Z",
    } == alert.data
    assert DECEMBER_MS == alert.at_ms


def test_an_unpriced_model_is_told_once_a_day():
    once = {unpriced("lab", "new-1", NOW_MS + hour * 3_600_000).once for hour in range(25)}
    assert 2 == len(once)
