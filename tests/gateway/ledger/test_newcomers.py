"""Newcomers: rotating identifiers meets an end, over any number of gateways."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.customers.profile import ANONYMOUS
from gateway.errors import BudgetExceeded, PermissionRefused
from gateway.store.keys import DAY_MS
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio


class Clock:
    """Another day when a test says so; the time that passes is real."""

    def __init__(self, clock):
        self.ahead_ms = 0
        self._clock = clock

    def now_ms(self):
        return self._clock.now_ms() + self.ahead_ms

    def monotonic(self):
        return self._clock.monotonic()


async def test_r62_rotating_identifiers_hits_the_cap_exactly(url):
    """Three gateways, 60 fresh identifiers at once, 7 places: 7 customers, and no eighth."""
    async with AsyncExitStack() as stack:
        places = {"app": 7}
        benches = [
            await stack.enter_async_context(bench(url, new_customers_per_day=places))
            for _ in range(3)
        ]
        outcomes = await asyncio.gather(
            *(benches[n % 3].hold(f"fresh-{n}", 1) for n in range(60)), return_exceptions=True
        )

        refused = [o for o in outcomes if isinstance(o, PermissionRefused)]
        assert {"customer_not_registered"} == {o.code for o in refused}
        assert (7, 53) == (len(outcomes) - len(refused), len(refused))
        known = [await benches[0].directory.load(f"fresh-{n}") for n in range(60)]
        assert 7 == sum(profile.version > 0 for profile in known)


async def test_one_customer_takes_one_place_however_often_it_comes_at_once(url):
    async with AsyncExitStack() as stack:
        places = {"app": 1}
        benches = [
            await stack.enter_async_context(bench(url, new_customers_per_day=places))
            for _ in range(3)
        ]

        await asyncio.gather(*(benches[n % 3].hold("acme", 1) for n in range(12)))

        with pytest.raises(PermissionRefused):
            await benches[0].hold("other", 1)
        await benches[0].hold("acme", 1)


async def test_who_is_known_needs_no_place(url):
    """Made by management, brought by another app, or nobody in particular."""
    async with bench(url, new_customers_per_day={"app": 0}) as b:
        await b.directory.create("made", {})
        await b.hold("brought", 1, app="another")

        for customer in ("made", "brought", ANONYMOUS):
            await b.hold(customer, 1)
        with pytest.raises(PermissionRefused, match="0 new customers of today"):
            await b.hold("stranger", 1)


async def test_who_was_refused_and_is_then_made_may_call(url):
    """What this process remembers of a stranger is not believed."""
    async with bench(url, new_customers_per_day={"app": 0}) as b, bench(url) as management:
        with pytest.raises(PermissionRefused):
            await b.hold("acme", 1)
        await management.directory.create("acme", {})
        await b.hold("acme", 1)


async def test_tomorrow_there_are_places_again(url):
    async with bench(url, new_customers_per_day={"app": 1}) as b:
        clock = Clock(b.clock)
        b.ledger._holding._admission._newcomers._clock = clock
        await b.hold("first", 1)
        with pytest.raises(PermissionRefused):
            await b.hold("second", 1)
        clock.ahead_ms = DAY_MS
        await b.hold("second", 1)


async def test_a_call_that_is_refused_for_money_keeps_its_place(url):
    """Its customer is there from then on."""
    async with bench(url, new_customers_per_day={"app": 1}) as b:
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 5, total_budget=1)
        with pytest.raises(PermissionRefused):
            await b.hold("other", 1)
        await b.hold("acme", 1)
