"""Bounds: what can be asked of a ledger, and how much of it is granted."""

import asyncio
from contextlib import AsyncExitStack
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import BudgetExceeded, BudgetInFlight
from gateway.ledger.bounds import AMOUNT_PICO_MAX, SHARE_MAX, Bound
from pricing.money import usd
from tests.support.ledgers import Bench, bench

pytestmark = pytest.mark.anyio
BIG = 2**60


@pytest.mark.parametrize(
    "bound",
    [
        (1, 2),
        (-1, -1),
        (5, 0),
        (AMOUNT_PICO_MAX + 1, 1),
        (5, 5, 0),
        (5, 5, SHARE_MAX + 1),
        (5, 2, 1, 3),
        (5, 2, 1, -1),
    ],
)
async def test_a_bound_that_cannot_be_is_an_error(bound: tuple[int, ...]) -> None:
    """The least is part of what is wanted, the input of the least; a free call wants nothing."""
    with pytest.raises(ValueError, match="cannot be"):
        Bound(*bound)


@pytest.mark.parametrize(
    "case",
    [
        (100, 0, Bound(60, 10), 60),
        (100, 0, Bound(100, 10), 100),
        (100, 0, Bound(101, 10), 100),
        (100, 41, Bound(60, 10), 59),
        (100, 90, Bound(60, 10), 10),
        (100, 91, Bound(60, 10), BudgetInFlight),
        (100, 0, Bound(200, 101), BudgetExceeded),
        (100, 0, Bound(60, 10, 2), 50),
        (100, 0, Bound(50, 10, 2), 50),
        (101, 0, Bound(60, 10, 2), 50),
        (100, 70, Bound(60, 20, 2), 20),
        (100, 70, Bound(60, 10, 2), 15),
        (100, 100, Bound(0, 0), 0),
        (0, 0, Bound(0, 0), 0),
        (None, 7, Bound(60, 10, 2), 60),
        (BIG + 1, 0, Bound(BIG + 2, 1), BIG + 1),
        (BIG + 1, 0, Bound(BIG, 1, 2), BIG // 2),
        (BIG + 1, BIG, Bound(BIG, 1, 64), 1),
    ],
)
@pytest.mark.parametrize("field", ["period_budget", "total_budget"])
async def test_a_call_gets_what_fits(url: str, field: str, case) -> None:
    """All it wants, or its share of what remains, or the least that serves it, or nothing."""
    limit, held, bound, granted = case
    async with bench(url) as b:
        await b.directory.create("acme", {"period_budget": None, "total_budget": None})
        await b.hold("acme", held)
        await b.directory.change("acme", {field: limit})
        if isinstance(granted, int):
            hold = await b.hold("acme", bound)
            assert (granted, bound.wanted_pico) == (hold.amount_pico, hold.wanted_pico)
            assert held + granted == await b.held("acme")
        else:
            with pytest.raises(granted) as refusal:
                await b.hold("acme", bound)
            assert usd(bound.least_pico) == refusal.value.details["needed_usd"]
            assert held == await b.held("acme")


async def test_soft_grants_all_that_is_wanted(url: str) -> None:
    """A limit that is only reported caps no answer."""
    async with bench(url, binding=False) as b:
        hold = await b.hold("acme", Bound(60, 10, 2), total_budget=5)
        assert 60 == hold.amount_pico


async def test_the_last_half_of_a_budget_can_be_used(url: str) -> None:
    """Each call takes half of what remains, down to the least; then the rest is too little."""
    async with bench(url) as b:
        await b.directory.create("acme", {"total_budget": 100})
        granted = []
        for _ in range(4):
            hold = await b.hold("acme", Bound(1000, 10, 2))
            granted.append(hold.amount_pico)
            await b.settle(hold, hold.amount_pico)
        assert [50, 25, 12, 10] == granted
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", Bound(1000, 10, 2))
        assert 3 == (await b.hold("acme", Bound(1000, 1))).amount_pico


def bounds_below(most: int) -> st.SearchStrategy[Bound]:
    return st.builds(
        lambda a, b, share: Bound(max(a, b), min(a, b), share),
        st.integers(1, most),
        st.integers(1, most),
        st.integers(1, 3),
    )


def test_r02_granted_holds_never_pass_a_limit(url: str) -> None:
    """Over several processes, all at once, whatever each wants: their sum stays within."""
    numbers = count()

    async def check(benches: list[Bench], limit: int, bounds: list[Bound]) -> None:
        customer = f"customer-{next(numbers)}"
        await benches[0].directory.create(customer, {"period_budget": limit})
        outcomes = await asyncio.gather(
            *(benches[n % 3].hold(customer, bound) for n, bound in enumerate(bounds)),
            return_exceptions=True,
        )
        refused = [o for o in outcomes if isinstance(o, BaseException)]
        assert all(isinstance(o, BudgetExceeded | BudgetInFlight) for o in refused)
        granted = sum(o.amount_pico for o in outcomes if not isinstance(o, BaseException))
        assert granted == await benches[0].held(customer)
        assert granted <= limit

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        benches = [runner.run(stack.enter_async_context(bench(url))) for _ in range(3)]

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            limit=st.integers(0, 300) | st.integers(BIG, BIG + 99),
            bounds=st.lists(bounds_below(300) | bounds_below(BIG), min_size=1, max_size=30),
        )
        def prove(limit: int, bounds: list[Bound]) -> None:
            runner.run(check(benches, limit, bounds))

        prove()
        runner.run(stack.aclose())
