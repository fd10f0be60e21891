"""Refusals: which limit, how much of it is used, and when it opens again."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.customers.profile import Limits, Profile, terms
from gateway.customers.windows import Calendar
from gateway.errors import BudgetExceeded, BudgetInFlight, GatewayError
from gateway.ledger.refusals import Refusal, rate_limited, refused
from gateway.openai.errors import wire_form
from pricing.money import pico_usd

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)


def refusal(
    *, spent="0", total_spent="0", held="0", needed="0.05", in_flight=False, **stored: str
) -> GatewayError:
    fields = {
        name: str(pico_usd(value)) if name.endswith("_budget") else value
        for name, value in stored.items()
    }
    found = terms(
        Profile("customer_1", 1, 1, fields), Limits(), Calendar(ZoneInfo("UTC")), NOW
    )
    return refused(
        Refusal(
            customer="customer_1",
            terms=found,
            spent_period_pico=pico_usd(spent),
            spent_total_pico=pico_usd(total_spent),
            held_pico=pico_usd(held),
            needed_pico=pico_usd(needed),
        ),
        in_flight=in_flight,
    )


def test_r34_the_refusal_of_the_specification_to_the_letter() -> None:
    """The example of the HTTP specification, its status, and the header that stops retries."""
    status, headers, body = wire_form(refusal(spent="9.98", period_budget="10"))
    assert 402 == status
    assert (b"x-should-retry", b"false") in headers
    assert b"retry-after" not in dict(headers)
    expected = {
        "error": {
            "message": 'Customer "customer_1" has used 9.98 of its 10.00 USD monthly budget; '
            "this call could cost 0.05. It resets at 2026-12-01T00:00:00Z.",
            "type": "insufficient_quota",
            "param": None,
            "code": "budget_exceeded",
            "customer_identifier": "customer_1",
            "limit": "period_budget",
            "limit_usd": "10",
            "spent_usd": "9.98",
            "held_usd": "0",
            "needed_usd": "0.05",
            "resets_at": "2026-12-01T00:00:00Z",
        }
    }
    assert json.dumps(expected) == json.dumps(json.loads(body))


@pytest.mark.parametrize(
    ("given", "limit", "words", "resets"),
    [
        ({"period_budget": "0"}, "period_budget", "0.00 USD monthly", "2026-12-01T00:00:00Z"),
        (
            {"period_budget": "0", "budget_duration": "daily"},
            "period_budget",
            "0.00 USD daily",
            "2026-11-22T00:00:00Z",
        ),
        (
            {"period_budget": "0", "budget_duration": "weekly"},
            "period_budget",
            "0.00 USD weekly",
            "2026-11-23T00:00:00Z",
        ),
        (
            {"period_budget": "0", "budget_duration": "yearly"},
            "period_budget",
            "0.00 USD yearly",
            "2027-01-01T00:00:00Z",
        ),
        (
            {"period_budget": "0.001", "period_start": "2026-11-20", "spent": "0.001"},
            "period_budget",
            "0.001 of its 0.001 USD period",
            "2026-12-20T00:00:00Z",
        ),
        ({"total_budget": "5", "total_spent": "4.999"}, "total_budget", "4.999 of its 5.00", None),
        # Both lack room: the tighter one is told.
        (
            {"period_budget": "1", "total_budget": "9", "spent": "1", "total_spent": "8.99"},
            "period_budget",
            "1.00 of its 1.00",
            "2026-12-01T00:00:00Z",
        ),
        (
            {"period_budget": "1", "total_budget": "9", "spent": "0.96", "total_spent": "9.5"},
            "total_budget",
            "9.50 of its 9.00",
            None,
        ),
    ],
)
def test_it_names_the_limit_that_binds(given, limit: str, words: str, resets) -> None:
    """Its amounts exactly, with at least two decimals in the sentence."""
    error = refusal(**given)
    assert isinstance(error, BudgetExceeded)
    assert limit == error.details["limit"]
    assert words in str(error)
    assert resets == error.details["resets_at"]
    assert ("resets at" in str(error)) == (resets is not None)


def test_what_may_fit_soon_is_to_be_tried_again() -> None:
    """429 and a second to wait, instead of a stop."""
    error = refusal(period_budget="1", held="0.98", in_flight=True)
    assert isinstance(error, BudgetInFlight)
    assert "calls in flight" in str(error)
    status, headers, body = wire_form(error)
    assert (429, b"true", b"1") == (
        status,
        dict(headers)[b"x-should-retry"],
        dict(headers)[b"retry-after"],
    )
    assert "0.98" == json.loads(body)["error"]["held_usd"]


@pytest.mark.parametrize(
    ("wait_ms", "seconds"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60), (10**9, 60)]
)
def test_a_rate_limit_says_how_long_to_wait(wait_ms: int, seconds: int) -> None:
    """Whole seconds, 1 to 60: SDKs sleep for as long as they are told."""
    error = rate_limited("acme", 60, wait_ms)
    assert seconds == error.details["retry_after_seconds"]
    assert f"Try again in {seconds} s." in str(error)
    assert str(seconds).encode() == dict(wire_form(error)[1])[b"retry-after"]
