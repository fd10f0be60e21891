"""Groups and apps with a period of their own: where it lies, how it rolls, what moves it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock import rfc3339
from gateway.customers.profile import Limits
from gateway.customers.windows import CUSTOM, Anchor, Duration
from gateway.errors import BudgetExceeded, BudgetInFlight
from gateway.event import Kind, UsageEvent
from gateway.ledger.requests import new_request_id
from tests.gateway.ledger.scopes import SALES, Shared, shared
from tests.support import windows

pytestmark = pytest.mark.anyio

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = (TODAY - timedelta(days=1)).date().isoformat()
TEN_DAYS = Anchor(YESTERDAY, (TODAY + timedelta(days=9)).date().isoformat(), Duration.MONTHLY)
WEEKS = Anchor(YESTERDAY, None, Duration.WEEKLY)
SALES_SCOPE = "group:sales"


@asynccontextmanager
async def sales(url: str, anchor: Anchor | None, **options) -> AsyncIterator[Shared]:
    """The group's hundred a period; None: its calendar month."""
    anchors = {SALES_SCOPE: anchor} if anchor else {}
    async with shared(url, {"sales": SALES}, anchors=anchors, **options) as s:
        yield s


async def report(s: Shared, charge: int, *, ago: timedelta = timedelta(), app: str = "app") -> None:
    """Usage that an application reports of a customer of the group."""
    await s.bench.directory.change("c1", {"group_identifier": "sales"})
    now_ms = s.bench.clock.now_ms()
    event = UsageEvent(
        request_id=new_request_id(now_ms),
        kind=Kind.EVENT,
        at_ms=now_ms - ago // timedelta(milliseconds=1),
        charge_pico=charge,
        cost_pico=charge // 2,
        app=app,
    )
    await s.ledger.record("c1", lambda _: event, idempotency_key=None, fingerprint="f")
    await s.flush()


async def call(s: Shared, charge: int) -> None:
    await s.bench.settle(await s.hold("c1", charge), charge)
    await s.flush()


async def in_period(s: Shared, scope: str = SALES_SCOPE) -> int | None:
    """What was spent in the period of now; None where it has not begun."""
    spent = (await s.ledger.scope_balance(scope)).by_kind.get(CUSTOM)
    return spent.charge_pico if spent else None


@pytest.mark.parametrize(("anchor", "days"), [(TEN_DAYS, 9), (WEEKS, 6)])
async def test_a_period_of_its_own_binds_and_says_when_it_ends(url: str, anchor, days) -> None:
    """Both ends are its length; a start alone repeats the duration."""
    async with sales(url, anchor) as s:
        await call(s, 60)
        with pytest.raises(BudgetExceeded, match=r'^Group "sales" has used .* USD period') as c:
            await s.hold("c2", 50)
        ends = TODAY + timedelta(days=days)
        assert "group_period_budget" == c.value.details["limit"]
        assert rfc3339(int(ends.timestamp()) * 1000) == c.value.details["resets_at"]
        assert 60 == await in_period(s)


async def test_a_period_rolls_over_by_itself(url: str) -> None:
    """What was spent in one that is over does not count in this one; the total does."""
    async with sales(url, TEN_DAYS) as s:
        await call(s, 100)
        account = s.bench.store.keyspace.partition_of(SALES_SCOPE).scope_account(SALES_SCOPE)
        await windows.move(s.bench, account, custom=1, until=2)
        await call(s, 40)
        assert (140, 0) == await s.account()
        assert 40 == await in_period(s)
        with pytest.raises(BudgetExceeded):
            await s.hold("c1", 61)


async def test_reported_usage_counts_in_the_period(url: str) -> None:
    """Also before the first call; what lies before its start counts in the total only."""
    async with sales(url, TEN_DAYS) as s:
        await s.bench.directory.create("c1", {"group_identifier": "sales"})
        await report(s, 30, ago=timedelta(days=3))
        assert None is await in_period(s)
        await report(s, 30)
        await report(s, 5, ago=timedelta(days=3))
        assert (65, 30) == ((await s.account())[0], await in_period(s))
        with pytest.raises(BudgetExceeded):
            await s.hold("c1", 71)
        await s.hold("c1", 70)


async def test_another_period_begins_afresh(url: str) -> None:
    """The operator moved it: nothing is spent in it yet; so when it is taken away and put back."""
    for anchor in (WEEKS, TEN_DAYS, None, TEN_DAYS):
        async with sales(url, anchor) as s:
            if anchor:
                await call(s, 80)
                assert 80 == await in_period(s)
                with pytest.raises(BudgetExceeded):
                    await s.hold("c1", 21)
            else:
                await report(s, 1)
            await grown_old(s)


async def test_who_still_has_the_old_period_counts_in_the_new_one(url: str) -> None:
    """While gateways are started anew one after the other, nobody's call renews a budget."""
    async with sales(url, WEEKS) as old, sales(url, TEN_DAYS) as new, sales(url, None) as older:
        await call(old, 50)
        await call(new, 60)
        for _ in range(2):
            assert 60 == await in_period(new)
            with pytest.raises(BudgetExceeded):
                await old.hold("c1", 41)
            with pytest.raises(BudgetExceeded):
                await new.hold("c1", 41)
            await report(old, 0)
        await call(old, 10)
        assert 70 == await in_period(new)
        held = await old.hold("c1", 20)
        with pytest.raises(BudgetInFlight):
            await new.hold("c1", 11)
        await old.bench.settle(held, 15)
        await new.flush()
        assert 85 == await in_period(new)
        assert (135, 0) == await older.account()


async def grown_old(s: Shared) -> None:
    """The last change of the period is more than an hour ago."""
    account = s.bench.store.keyspace.partition_of(SALES_SCOPE).scope_account(SALES_SCOPE)
    await s.bench.command("HSET", account, "custom.anchor.since", 0)


async def test_a_refused_call_moves_nothing(url: str) -> None:
    """The new period begins with the first call that is let through, or with usage."""
    async with sales(url, WEEKS) as s:
        await call(s, 50)
        await grown_old(s)
    async with sales(url, TEN_DAYS) as s:
        with pytest.raises(BudgetExceeded):
            await s.hold("c1", 101)
    async with sales(url, WEEKS) as s:
        assert 50 == await in_period(s)


async def test_what_is_put_back_is_put_back_in_its_period(url: str) -> None:
    """A hold that the store had lost ends in the window that it was made in."""
    async with sales(url, TEN_DAYS) as s:
        hold = await s.hold("c1", 60)
        home = s.bench.store.keyspace.partition_of(SALES_SCOPE)
        await s.bench.command("DEL", home.scope_holds, home.scope_account(SALES_SCOPE))
        assert await s.ledger.restore(hold)
        await s.bench.settle(hold, 60)
        await s.flush()
        assert (60, 0) == await s.account()
        assert 60 == await in_period(s)


async def test_an_app_has_a_period_too(url: str) -> None:
    anchors = {"app:bot": WEEKS}
    apps = {"bot": Limits(period_budget_pico=50)}
    async with shared(url, {}, apps=apps, anchors=anchors) as s:
        await s.bench.settle(await s.hold("c1", 30, app="bot"), 30)
        await s.flush()
        with pytest.raises(BudgetExceeded) as caught:
            await s.hold("c1", 21, app="bot")
        assert "app_period_budget" == caught.value.details["limit"]
        assert 30 == await in_period(s, "app:bot")


async def test_what_lies_beyond_a_limit_is_counted_by_its_cause(url: str) -> None:
    """Reports beyond what is left, held money included; charges above their hold."""
    limits = {"sales": Limits(period_budget_pico=100, total_budget_pico=130)}
    async with shared(url, limits) as s:
        await s.bench.directory.create("c1", {"group_identifier": "sales"})
        hold = await s.hold("c1", 30)
        await report(s, 60)
        assert (0, 0) == await beyond(s)
        await report(s, 25)
        assert (0, 15) == await beyond(s)
        await s.bench.settle(hold, 37)
        await s.flush()
        assert (7, 15) == await beyond(s)
        await report(s, 10, ago=timedelta(days=34))
        assert (7, 17) == await beyond(s)
        assert (132, 0) == await s.account()


async def test_an_orphan_that_cost_more_is_beyond_its_hold(url: str) -> None:
    async with sales(url, None) as s:
        hold = await s.hold("c1", 40)
        assert 1 == await s.bench.lapse(hold)
        await s.flush()
        await s.bench.settle(hold, 52)
        await s.flush()
        assert (12, 0) == await beyond(s)


async def test_beyond_is_counted_in_what_limits_are_about(url: str) -> None:
    """`count: cost`: half of each report here."""
    async with sales(url, TEN_DAYS, count="cost") as s:
        await s.bench.directory.create("c1", {"group_identifier": "sales"})
        await report(s, 150)
        assert (0, 0) == await beyond(s)
        await report(s, 90)
        assert (0, 20) == await beyond(s)


async def beyond(s: Shared) -> tuple[int, int]:
    """By settling and by reports."""
    balance = await s.ledger.scope_balance(SALES_SCOPE)
    return balance.over_settle_pico, balance.over_event_pico
