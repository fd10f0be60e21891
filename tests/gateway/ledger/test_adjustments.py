"""Adjustments: what was charged is corrected once, in its own window, by an event of its own."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from gateway.customers.profile import Limits
from gateway.errors import BudgetExceeded, NotFound
from gateway.event import Kind, UsageEvent, rerating_id
from gateway.ledger.ledger import Recorded
from gateway.ledger.requests import new_request_id
from tests.support.ledgers import Bench, bench

pytestmark = pytest.mark.anyio


async def a_call(b: Bench, customer: str = "acme", charge: int = 10, **change) -> str:
    hold = await b.hold(customer, 100, **change)
    await b.settle(hold, charge, charge - 1)
    return hold.request_id


def adjustment(b: Bench, call: str, charge: int, **facts) -> UsageEvent:
    return UsageEvent(
        **{
            "request_id": rerating_id(call, 1),
            "adjusts": call,
            "kind": Kind.ADJUST,
            "at_ms": b.clock.now_ms(),
            "charge_pico": charge,
            "cost_pico": charge,
            "price_id": "lab/small@2",
            "book_version": "book-2",
            **facts,
        }
    )


async def record(b: Bench, event: UsageEvent, customer: str = "acme") -> Recorded:
    return await b.ledger.adjustments.record(customer, event)


@pytest.mark.parametrize("charge", [7, -7, 0])
async def test_r45_the_difference_is_booked_and_posted_in_one_step(url: str, charge) -> None:
    """Up or down; the call's own event is as it was."""
    async with bench(url) as b:
        call = await a_call(b)
        assert Recorded.ACCEPTED == await record(b, adjustment(b, call, charge))

        settled, adjusted = await b.events("acme")
        assert (Kind.SETTLE, 10, 9) == (settled.kind, settled.charge_pico, settled.cost_pico)
        assert (Kind.ADJUST, charge, call) == (
            adjusted.kind,
            adjusted.charge_pico,
            adjusted.adjusts,
        )
        assert 10 + charge == await b.spent("acme")


async def test_r45_the_same_adjustment_again_changes_nothing(url: str) -> None:
    """Twice in a row, and five times at once from two processes."""
    async with bench(url) as one, bench(url) as other:
        call = await a_call(one)
        event = adjustment(one, call, 7)
        outcomes = await asyncio.gather(*(record(b, event) for b in (one, other, one, other, one)))
        assert Recorded.DUPLICATE == await record(one, event)

        assert [Recorded.ACCEPTED, *[Recorded.DUPLICATE] * 4] == sorted(outcomes)
        assert (17, 2) == (await one.spent("acme"), len(await one.events("acme")))


@pytest.mark.parametrize(
    "change", [{"charge_pico": 8}, {"cost_pico": 8}, {"book_version": "b3"}, {"price_id": "p3"}]
)
async def test_r45_two_who_know_the_same_and_mean_something_else_conflict(url: str, change) -> None:
    """Both worked from the same state of the call: only the first may book."""
    async with bench(url) as b:
        call = await a_call(b)
        event = adjustment(b, call, 7)
        await record(b, event)

        assert Recorded.CONFLICT == await record(b, replace(event, **change))
        assert 17 == await b.spent("acme")
        assert Recorded.ACCEPTED == await record(
            b, replace(event, request_id=rerating_id(call, 2), charge_pico=-1)
        )
        assert 16 == await b.spent("acme")


async def test_it_counts_in_the_window_of_its_call(url: str) -> None:
    """One of an earlier month counts in the total, and not in this month's limit."""
    async with bench(url) as b:
        call = await a_call(b)
        last_month = datetime.now(UTC).replace(day=1) - timedelta(days=3)
        then_ms = int(last_month.timestamp() * 1000)
        await record(b, adjustment(b, call, 5))
        old = new_request_id(then_ms)
        await record(b, adjustment(b, old, 1_000, at_ms=then_ms))

        balance = await b.ledger.balance(await b.directory.load("acme"))
        assert (1_015, 15) == (balance.spent.charge_pico, balance.by_kind["month"].charge_pico)


async def test_it_is_booked_beyond_a_limit_and_binds_the_next_call(url: str) -> None:
    """Never refused: the provider has been paid. What lies beyond is counted as such."""
    async with bench(url, defaults=Limits(period_budget_pico=100)) as b:
        call = await a_call(b)
        await record(b, adjustment(b, call, 95))

        balance = await b.ledger.balance(await b.directory.load("acme"))
        assert (105, 5) == (balance.spent.charge_pico, balance.over_event_pico)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)
        await record(b, adjustment(b, call, -50, request_id=rerating_id(call, 2)))
        await b.hold("acme", 1)


async def test_a_customer_that_is_nobody_is_not_made_up(url: str) -> None:
    async with bench(url) as b:
        with pytest.raises(NotFound):
            await record(b, adjustment(b, new_request_id(1), 5), "nobody")
        assert 0 == (await b.directory.load("nobody")).version


async def test_a_stale_profile_is_read_again(url: str) -> None:
    """Another process has changed the customer: its windows may be others."""
    async with bench(url) as b, bench(url) as other:
        call = await a_call(b)
        await b.directory.load("acme")
        await other.directory.change("acme", {"rate_limit": 5})

        assert Recorded.ACCEPTED == await record(b, adjustment(b, call, 1))
