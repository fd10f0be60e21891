"""Groups and apps with a limit: what they let in, what ends in them, over all partitions."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import pytest

from gateway.customers.profile import ANONYMOUS, Limits
from gateway.customers.scopes import Scope, key_name
from gateway.customers.windows import Duration
from gateway.errors import BudgetExceeded, BudgetInFlight, LedgerUnavailable
from gateway.event import Kind, Status, UsageEvent
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold
from gateway.ledger.requests import new_request_id
from tests.gateway.ledger.scopes import SALES, shared
from tests.support import windows
from tests.support.stores import empty

pytestmark = pytest.mark.anyio
REFUSED = (BudgetExceeded, BudgetInFlight)


async def test_a_group_holds_its_customers_to_one_limit(url: str) -> None:
    """Whoever of them calls, and wherever they are stored."""
    async with shared(url) as s:
        holds = [await s.hold(f"c{n}", 30) for n in range(3)]
        assert (0, 90) == await s.account()
        with pytest.raises(BudgetInFlight):
            await s.hold("c3", 30)
        with pytest.raises(BudgetExceeded):
            await s.hold("c3", 101)
        assert 10 == (await s.hold("c4", 10)).amount_pico
        for hold in holds:
            await s.bench.settle(hold, 20)
        await s.flush()
        assert (60, 10) == await s.account()


async def test_r02_parallel_calls_of_many_customers_never_pass_a_group_limit(url: str) -> None:
    """64 calls at once, of 64 customers, over three processes, a budget for seven."""
    async with AsyncExitStack() as stack:
        several = [await stack.enter_async_context(shared(url)) for _ in range(3)]
        calls = (several[n % 3].hold(f"c{n}", 14) for n in range(64))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert 7 == sum(isinstance(o, Hold) for o in outcomes)
        assert 57 == sum(isinstance(o, REFUSED) for o in outcomes)
        await several[0].flush()
        assert (0, 98) == await several[0].account()
        held = [await several[0].bench.held(f"c{n}") for n in range(64)]
        assert 98 == sum(held)


async def test_an_app_has_a_limit_of_its_own(url: str) -> None:
    """It binds after the group's, for customers without a group and without a name too."""
    async with shared(url, apps={"bot": Limits(period_budget_pico=50)}) as s:
        await s.hold("c1", 30, app="bot")
        with pytest.raises(BudgetInFlight) as caught:
            await s.hold(ANONYMOUS, 30, group=None, app="bot")
        assert "bot" == caught.value.details["app"]
        assert "app_period_budget" == caught.value.details["limit"]
        await s.hold("c1", 30)
        await s.flush()
        assert (0, 60) == await s.account()
        assert (0, 30) == await s.account("app:bot")


async def test_a_refusal_names_the_group_and_its_numbers(url: str) -> None:
    """The words are about the group; the customer is named beside."""
    async with shared(url, {"sales": Limits(total_budget_pico=10**12)}) as s:
        with pytest.raises(BudgetExceeded, match=r'^Group "sales" has used 0.00 of its 1.00') as c:
            await s.hold("c1", 2 * 10**12)
        assert {
            "customer_identifier": "c1",
            "group_identifier": "sales",
            "limit": "group_total_budget",
            "limit_usd": "1",
            "spent_usd": "0",
            "held_usd": "0",
            "needed_usd": "2",
            "resets_at": None,
        } == c.value.details


async def test_a_refused_call_ends_in_one_row_and_holds_nothing(url: str) -> None:
    """The row is the end of the customer's hold; what another scope held is taken off by it."""
    async with shared(url, apps={"bot": Limits(period_budget_pico=5)}) as s:
        with pytest.raises(BudgetExceeded) as caught:
            await s.hold("c1", 30, app="bot")
        assert caught.value.recorded
        (row,) = await s.bench.events("c1")
        assert (Kind.REFUSE, Status.REJECTED, 402) == (row.kind, row.status, row.status_code)
        assert ("budget_exceeded", "sales", "bot") == (row.error_code, row.group, row.app)
        assert 0 == await s.bench.held("c1")
        assert (0, 30) == await s.account()
        await s.flush()
        assert (0, 0) == await s.account()


async def test_what_a_call_may_cost_is_the_least_that_all_grant(url: str) -> None:
    """Customer, group and app are asked in this order, each for what the former granted."""
    async with shared(url, apps={"bot": Limits(period_budget_pico=70)}) as s:
        await s.bench.directory.create("c1", {"total_budget": 120})
        hold = await s.hold("c1", Bound(200, 10), app="bot")
        assert 70 == hold.amount_pico
        assert [100, 70] == [held.amount_pico for held in hold.scopes]
        assert 120 == await s.bench.held("c1")
        assert 60 == hold.remaining_pico(10)
        await s.bench.settle(hold, 70)
        await s.flush()
        assert (70, 0) == await s.account() == await s.account("app:bot")
        assert 15 == (await s.hold("c2", Bound(90, 5, share=2), app="app")).amount_pico


async def test_soft_counts_and_holds_nothing(url: str) -> None:
    """Where limits are only counted, a group's is too."""
    async with shared(url, binding=False) as s:
        hold = await s.hold("c1", 500)
        assert (0, 0) == await s.account()
        await s.bench.settle(hold, 300)
        await s.flush()
        assert (300, 0) == await s.account()


async def test_a_free_call_passes_an_exhausted_group(url: str) -> None:
    async with shared(url) as s:
        await s.bench.settle(await s.hold("c1", 100), 100)
        await s.flush()
        assert 0 == (await s.hold("c2", 0)).amount_pico
        with pytest.raises(BudgetExceeded):
            await s.hold("c2", 1)


async def test_a_group_without_a_limit_is_counted_from_its_first_call(url: str) -> None:
    """So that a limit which it is given later knows what was spent."""
    async with shared(url, {}) as s:
        await s.bench.settle(await s.hold("c1", 50), 50)
    async with shared(url) as s:
        await s.flush()
        assert (50, 0) == await s.account()
        with pytest.raises(BudgetExceeded):
            await s.hold("c2", 51)


async def test_reported_usage_counts_on_the_group(url: str) -> None:
    """Of the customer's group as it stands, and of the app that reports it."""
    async with shared(url, apps={"bot": Limits(period_budget_pico=50)}) as s:
        await s.bench.directory.create("c1", {"group_identifier": "sales"})
        event = UsageEvent(
            request_id=new_request_id(s.bench.clock.now_ms()),
            kind=Kind.EVENT,
            at_ms=s.bench.clock.now_ms(),
            charge_pico=40,
            cost_pico=30,
            app="bot",
        )
        await s.ledger.record("c1", lambda _: event, idempotency_key=None, fingerprint="f")
        await s.flush()
        balance = await s.ledger.scope_balance("group:sales")
        assert (40, 30) == (balance.spent.charge_pico, balance.spent.cost_pico)
        assert 40 == balance.by_kind["month"].charge_pico
        assert (40, 0) == await s.account("app:bot")


async def test_a_call_stays_with_the_group_of_its_hold(url: str) -> None:
    """A customer that is moved meanwhile takes its next calls along, not this one."""
    async with shared(url, {"sales": SALES, "ops": SALES}) as s:
        hold = await s.hold("c1", 40)
        await s.bench.directory.change("c1", {"group_identifier": "ops"})
        await s.bench.settle(hold, 30)
        await s.flush()
        assert (30, 0) == await s.account("group:sales")
        assert (0, 0) == await s.account("group:ops")


async def test_an_orphan_counts_on_its_group_and_its_truth_corrects_it(url: str) -> None:
    """As on its customer: the hold until it is known, then what it was."""
    async with shared(url) as s:
        hold = await s.hold("c1", 40)
        assert 1 == await s.bench.lapse(hold)
        await s.flush()
        assert (40, 0) == await s.account()
        await s.bench.settle(hold, 25)
        await s.flush()
        assert (25, 0) == await s.account()


async def test_an_ended_call_gets_no_hold_any_more(url: str) -> None:
    """A gateway that wakes up after its call was ended by others is not let through."""
    async with shared(url) as s:
        hold = await s.hold("c1", 40)
        await s.bench.lapse(hold)
        await s.flush()
        with pytest.raises(LedgerUnavailable, match="ended already"):
            await s.late(hold)
        assert (40, 0) == await s.account()


async def test_what_a_store_lost_is_put_back_over_the_limit(url: str) -> None:
    """Holds of running calls, in their scopes too; ended ones stay ended."""
    async with shared(url) as s:
        hold, ended = await s.hold("c1", 60), await s.hold("c2", 40)
        await s.bench.release(ended)
        await s.flush()
        home = s.bench.store.keyspace.partition_of("group:sales")
        account = home.scope_account("group:sales")
        await s.bench.command("DEL", home.scope_holds)
        await s.bench.command("HSET", account, "held", 0, "spent", 90)
        assert await s.ledger.restore(hold)
        await s.ledger.restore(ended)
        assert (90, 60) == await s.account()


async def test_no_group_holds_what_its_customer_does_not(url: str) -> None:
    """The gateway dies amid putting a call back: nothing would ever end the group's part."""
    async with shared(url) as s:
        hold = await s.hold("c0", 30)
        await asyncio.to_thread(empty, url)
        s.bench.store.script = partial(without, "restore", s.bench.store.script)
        with pytest.raises(LedgerUnavailable):
            await s.ledger.restore(hold)
        assert (0, 0) == await s.account()


def without(lost: str, sending, name: str, keys, args, **options):
    """As `Store.script`, but one verb reaches nobody."""
    if name == lost:
        raise LedgerUnavailable("no reply")
    return sending(name, keys, args, **options)


async def test_nothing_names_a_group_in_a_store_that_may_have_lost_it(url: str) -> None:
    """It came back as another between the announcement and what names the group."""
    async with shared(url) as s:
        store, ledger = s.bench.store, s.ledger
        hold = await s.hold("c1", 10)
        announce = ledger.scopes.announce

        async def lost_again(*named) -> None:
            await announce(*named)
            store._changes.note()

        ledger.endings._announce = partial(lost_again, "sales", "app", None)
        await s.bench.settle(hold, 7)
        assert (1, []) == (ledger.endings.waiting, await s.bench.events("c1"))

        ledger.scopes.announce = lost_again
        event = UsageEvent(request_id=new_request_id(0), kind=Kind.EVENT, at_ms=0)
        with pytest.raises(LedgerUnavailable):
            await ledger.record("c1", lambda _: event, idempotency_key="k", fingerprint="f")
        assert [] == await s.bench.events("c1")

        ledger.endings._announce = ledger.scopes.announce_again
        await s.bench.told()
        assert [7] == [e.charge_pico for e in await s.bench.events("c1")]


async def test_a_store_that_is_away_in_between_leaves_nothing_held(url: str) -> None:
    """The customer was held, its group was not heard of: the call ends, as a release."""
    async with shared(url) as s:
        await s.hold("c0", 1)
        sending = s.bench.store.script

        def script(name, keys, args, **options):
            if name == "scope_hold":
                lost = asyncio.get_running_loop().create_future()
                sending(name, keys, args, **options).add_done_callback(
                    lambda _: lost.set_exception(LedgerUnavailable("no reply"))
                )
                return lost
            return sending(name, keys, args, **options)

        s.bench.store.script = script
        with pytest.raises(LedgerUnavailable):
            await s.hold("c1", 30)
        assert (0, 31) == await s.account()
        (event,) = await s.bench.events("c1")
        assert (Kind.RELEASE, "sales") == (event.kind, event.group)
        await s.flush()
        assert (0, 1) == await s.account()


@pytest.mark.parametrize("duration", list(Duration))
async def test_a_group_has_windows_that_roll(url: str, duration: Duration) -> None:
    """What was spent in an earlier window does not count in this one; the total does."""
    limits = Limits(period_budget_pico=100, total_budget_pico=150, budget_duration=duration)
    async with shared(url, {"sales": limits}) as s:
        await s.bench.settle(await s.hold("c1", 100), 100)
        await s.flush()
        kind = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}[duration]
        home = s.bench.store.keyspace.partition_of("group:sales")
        await windows.move(s.bench, home.scope_account("group:sales"), **{kind: 1})
        hold = await s.hold("c1", 50)
        await s.bench.settle(hold, 40)
        await s.flush()
        balance = await s.ledger.scope_balance("group:sales")
        assert (140, 40) == (balance.spent.charge_pico, balance.by_kind[kind].charge_pico)
        with pytest.raises(BudgetExceeded) as caught:
            await s.hold("c1", 11)
        assert "group_total_budget" == caught.value.details["limit"]


TRIAL = Scope(key_name("k1"), Limits(total_budget_pico=50))


async def test_a_temporary_key_binds_last_whoever_it_calls_for(url: str) -> None:
    """What it holds is in its own account until the flusher has seen the end of the call."""
    async with shared(url) as s:
        first = await s.bench.hold("c1", Bound(90, 10), key=TRIAL, group_identifier="sales")
        assert 50 == first.amount_pico
        assert [90, 50] == [held.amount_pico for held in first.scopes]
        with pytest.raises(BudgetInFlight) as caught:
            await s.bench.hold("c2", 10, key=TRIAL)
        assert ("k1", "key_total_budget") == (
            caught.value.details["key"],
            caught.value.details["limit"],
        )
        await s.bench.settle(first, 20)
        await s.flush()
        assert (20, 0) == await s.account("key:k1") == await s.account()
        assert 30 == (await s.bench.hold("c2", Bound(90, 10), key=TRIAL)).amount_pico


async def test_what_a_temporary_key_held_ends_with_its_call_however_that_ended(url: str) -> None:
    """Released, refused by nobody's limit but its own, or never ended at all."""
    async with shared(url) as s:
        await s.bench.release(await s.bench.hold("c1", 40, key=TRIAL))
        await s.flush()
        with pytest.raises(BudgetExceeded):
            await s.bench.hold("c2", 60, key=TRIAL)
        await s.flush()
        await s.bench.lapse(await s.bench.hold("c3", 15, key=TRIAL))
        await s.flush()
        assert (15, 0) == await s.account("key:k1")
        assert 0 == await s.bench.held("c2")


async def test_a_store_that_came_back_without_it_is_told_what_a_key_holds(url: str) -> None:
    """And what it has spent, from the ends that are told again."""
    async with shared(url) as s:
        hold = await s.bench.hold("c1", 40, key=TRIAL)
        empty(url)
        s.bench.store._changes.note()
        await s.bench.directory.restore("c1", hold.profile.number, hold.profile.stored)
        assert await s.ledger.restore(hold)
        assert (0, 40) == await s.account("key:k1")
        await s.bench.settle(hold, 7)
        await s.flush()
        assert (7, 0) == await s.account("key:k1")
