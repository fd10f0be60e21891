"""Settling: every call ends once, with what it cost, in the window of its hold."""

import asyncio
import random
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from gateway.customers.profile import ANONYMOUS
from gateway.customers.windows import KIND_OF, Duration
from gateway.errors import BudgetExceeded, LedgerUnavailable
from gateway.event import Kind, Status, UsageEvent
from gateway.ledger.bounds import AMOUNT_PICO_MAX
from gateway.ledger.ledger import Ledger
from gateway.ledger.requests import new_request_id
from gateway.ledger.results import NO_WINDOWS
from gateway.store.client import Store
from tests.support import windows
from tests.support.ledgers import Bench, bench
from tests.support.proxies import lossy

pytestmark = pytest.mark.anyio
TERMINAL = {Kind.SETTLE, Kind.RELEASE, Kind.ORPHAN, Kind.REFUSE}


async def account(b: Bench, customer: str = "acme") -> str:
    profile = await b.directory.load(customer)
    return b.directory.partition_of(customer).account(profile.number)


async def in_window(b: Bench, kind: str, customer: str = "acme") -> int:
    balance = await b.ledger.balance(await b.directory.load(customer))
    return balance.by_kind[kind].charge_pico if kind in balance.by_kind else 0


async def check_books(b: Bench, customer: str = "acme") -> list[UsageEvent]:
    """The balance is the sum of the events, what is held that of the holds; one end a call."""
    number = (await b.directory.load(customer)).number
    events = [e for e in await b.events(customer) if e.customer_number == number]
    assert sum(e.charge_pico for e in events) == await b.spent(customer)
    ends = [e.request_id for e in events if e.kind in TERMINAL]
    assert len(ends) == len(set(ends))
    partition = b.directory.partition_of(customer)
    records = [r.split(b"|") for r in await b.command("HVALS", partition.holds)]
    held = sum(int(amount) for of, amount, *_ in records if int(of) == number)
    assert held == await b.held(customer)
    return events


async def test_r33_what_a_call_cost_above_its_hold_is_booked_in_full(url: str) -> None:
    """The provider has been paid; the next call is refused."""
    async with bench(url) as b:
        hold = await b.hold("acme", 100, total_budget=100)
        await b.settle(hold, 160, 150)
        assert (160, 0) == (await b.spent("acme"), await b.held("acme"))
        with pytest.raises(BudgetExceeded) as refusal:
            await b.hold("acme", 1)
        assert "0.00000000016" == refusal.value.details["spent_usd"]
        await check_books(b)


async def test_a_call_ends_once(url: str) -> None:
    """Whatever comes after the first end changes nothing: a settle, a release, a refusal."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10)
        await b.settle(hold, 7)
        await b.settle(hold, 9)
        await b.release(hold)
        await b.ledger.refuse("acme", b.event(hold, 0))
        assert [Kind.SETTLE] == [e.kind for e in await check_books(b)]
        assert 7 == await b.spent("acme")


async def test_an_orphans_charge_is_replaced_by_the_truth(url: str) -> None:
    """A lease ran out, the hold was posted; the settle that comes late posts the difference."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10)
        assert 1 == await b.lapse(hold)
        assert (10, 0) == (await b.spent("acme"), await b.held("acme"))
        await b.settle(hold, 7, 6)
        await b.settle(hold, 7, 6)
        events = await check_books(b)
        assert [(Kind.ORPHAN, 10, 10), (Kind.ADJUST, -3, -4)] == [
            (e.kind, e.charge_pico, e.cost_pico) for e in events
        ]
        assert 0 == sum(e.unresolved_pico for e in events)
        assert 7 == await in_window(b, "month")


async def test_an_orphan_that_cost_nothing_is_taken_back(url: str) -> None:
    """The upstream refused in the end: what the expired hold had posted goes back, whole."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10)
        await b.lapse(hold)
        await b.release(hold)
        await b.release(hold)
        events = await check_books(b)
        assert [(Kind.ORPHAN, 10), (Kind.ADJUST, -10)] == [(e.kind, e.charge_pico) for e in events]
        assert (0, 0) == (await b.spent("acme"), await in_window(b, "month"))


@pytest.mark.parametrize("cost", [0, 7])
async def test_a_late_truth_counts_where_its_orphan_did(url: str, cost: int) -> None:
    """Whatever windows the caller believes in: it may never have heard of its hold."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10)
        await b.lapse(hold)
        b.ledger._leases.end(hold.request_id)
        unaware = structs.replace(hold, window_ids=NO_WINDOWS)
        await (b.settle(unaware, cost) if cost else b.release(unaware))
        assert (cost, cost) == (await b.spent("acme"), await in_window(b, "month"))


async def test_a_hold_of_nothing_can_end(url: str) -> None:
    """Zero amounts: settle, release and expire do not trip over minus zero."""
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 0), 3)
        await b.release(await b.hold("acme", 0))
        orphan = await b.hold("acme", 0)
        await b.lapse(orphan)
        await b.release(orphan)
        assert (3, 0) == (await b.spent("acme"), await b.held("acme"))
        await check_books(b)


async def test_a_hold_that_the_store_lost_is_settled_all_the_same(url: str) -> None:
    """A store that came back without its last second: the charge is booked, in its windows."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10)
        await b.command("HDEL", hold.partition.holds, hold.request_id)
        await b.command("ZREM", hold.partition.expiries, hold.request_id)
        await b.command("HSET", await account(b), "held", 0)
        await b.settle(hold, 7)
        assert (7, 0, 7) == (await b.spent("acme"), await b.held("acme"), await in_window(b, "day"))


async def test_a_renewed_lease_keeps_a_call_from_the_sweeper(url: str) -> None:
    """A call may run for hours; only without its gateway does it end."""
    async with bench(url) as b:
        live, dead = await b.hold("acme", 5), await b.hold("acme", 6)
        b.ledger._leases.end(dead.request_id)
        for hold in (live, dead):
            await b.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        await b.ledger.renew()
        assert 1 == await b.sweeper.step()
        assert (6, 5) == (await b.spent("acme"), await b.held("acme"))
        await b.settle(live, 5)
        await b.ledger.renew()
        assert 0 == await b.held("acme")


async def test_a_lease_renewed_while_it_is_swept_is_not_over(url: str, monkeypatch) -> None:
    """The sweeper has read it as over; its gateway was faster than what follows from that."""
    async with bench(url) as b:
        hold = await b.hold("acme", 5)
        await b.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        read = b.sweeper._due

        async def then_renewed(partition, now_ms):
            due = await read(partition, now_ms)
            if due:
                await b.ledger.renew()
            return due

        monkeypatch.setattr(b.sweeper, "_due", then_renewed)
        assert 0 == await b.sweeper.step()
        assert 5 == await b.held("acme")


async def test_a_settle_that_fails_for_good_lets_its_lease_go(url: str) -> None:
    """Otherwise the hold would be renewed, and held, for as long as the process lives."""
    async with bench(url) as b:
        hold = await b.hold("acme", 5)
        settling = asyncio.create_task(b.settle(hold, 5))
        await asyncio.sleep(0)
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
        assert {} == b.ledger._leases._live


async def test_a_hold_that_cannot_be_ended_keeps_nobody_else_held(url: str) -> None:
    """An account that somebody has broken by hand; the sweeper goes on with the others."""
    async with bench(url) as b:
        broken, other = await b.hold("broken", 5), await b.hold("acme", 6)
        await b.command("SET", await account(b, "broken"), "?")
        for hold in (broken, other):
            await b.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)

        assert 1 == await b.sweeper.step()

        assert (6, 0) == (await b.spent("acme"), await b.held("acme"))
        assert await b.command("HEXISTS", broken.partition.holds, broken.request_id)


async def test_the_sweeper_takes_bounded_steps(url: str) -> None:
    """Thousands of dead calls do not make one step endless; each is ended once."""
    async with bench(url) as one, bench(url) as other:
        holds = await asyncio.gather(*(one.hold("acme", 1) for _ in range(250)))
        for hold in holds:
            await one.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        swept = await asyncio.gather(one.sweeper.step(), other.sweeper.step())
        assert 100 <= sum(swept) <= 200
        while await one.sweeper.step():
            pass
        assert (250, 0) == (await one.spent("acme"), await one.held("acme"))
        await check_books(one)


@pytest.mark.parametrize("seed", range(3))
async def test_r03_a_call_cancelled_anywhere_leaves_nothing_held(url: str, seed: int) -> None:
    """At every await: the hold on its way, held, settling; then the leases run out."""
    chance = random.Random(seed)
    async with lossy(url, delay_seconds=0.002) as (slow, _), bench(slow) as b:
        await b.directory.create("acme", {})

        async def call() -> None:
            hold = await b.hold("acme", 10, name=chance.choice("ab"))
            await asyncio.sleep(chance.random() * 0.01)
            if chance.random() < 0.3:
                await b.release(hold)
            else:
                await b.settle(hold, chance.randrange(15))

        calls = [asyncio.create_task(call()) for _ in range(150)]
        for task in calls:
            asyncio.get_running_loop().call_later(chance.random() * 0.06, task.cancel)
        await asyncio.gather(*calls, return_exceptions=True)
        await b.command("PING")

        partition = b.directory.partition_of("acme")
        for request_id in await b.command("HKEYS", partition.holds):
            await b.command("ZADD", partition.expiries, "XX", 0, request_id)
        while await b.sweeper.step():
            pass
        assert 0 == await b.held("acme")
        await check_books(b)


async def test_r03_a_call_cancelled_while_it_is_held_costs_nothing(url: str) -> None:
    """Nothing was sent: the hold that lands after its call has gone is withdrawn at once."""
    async with bench(url) as b:
        await b.directory.create("acme", {})
        calling = asyncio.create_task(b.hold("acme", 10))
        await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await b.command("PING")
        events = await check_books(b)
        assert [(Kind.RELEASE, Status.ABORTED)] == [(e.kind, e.status) for e in events]
        assert (0, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_r03_a_hold_whose_reply_was_lost_is_withdrawn(url: str) -> None:
    """The caller was told 503; when the store is back, its hold goes, and costs nothing."""
    async with lossy(url) as (torn, wire), bench(torn) as b:
        await b.directory.create("acme", {})
        wire.loss = 1.0
        with pytest.raises(LedgerUnavailable):
            await b.hold("acme", 10)
        await asyncio.sleep(0.05)
        wire.loss = 0.0
        await b.told()
        assert (0, 0) == (await b.spent("acme"), await b.held("acme"))
        assert [Kind.RELEASE] == [e.kind for e in await check_books(b)]


async def test_r26_lost_replies_change_no_number(url: str) -> None:
    """A wire that executes and drops one reply in ten: afterwards every counter is exact."""
    async with lossy(url) as (torn, wire), bench(torn) as b:
        for customer in ("a", "b"):
            await b.directory.create(customer, {})
        wire.loss = 0.1
        truth = {"a": 0, "b": 0}
        reports: list[str] = []

        async def call(n: int) -> None:
            customer = "ab"[n % 2]
            try:
                hold = await b.hold(customer, 10)
            except LedgerUnavailable:
                return
            if n % 5 == 0:
                await b.release(hold)
            else:
                await b.settle(hold, n)
                truth[customer] += n

        async def report(n: int) -> None:
            event = reported(b, n)
            try:
                receipt = await b.ledger.record(
                    "a",
                    lambda _: event,
                    idempotency_key=f"key-{n}" if n % 2 else None,
                    fingerprint="f",
                )
            except LedgerUnavailable:
                # Unknown: ask the stream below.
                reports.append(event.request_id)
                return
            assert "accepted" == receipt.outcome
            truth["a"] += n

        for turn in range(0, 300, 6):
            await asyncio.gather(
                *(call(turn + i) for i in range(6)), report(turn), report(turn + 1), refuse(b)
            )
        wire.loss = 0.0
        await b.ledger._leases.step()
        await b.command("PING")
        assert wire.lost > 10
        unsure = sum(e.charge_pico for e in await b.events("a") if e.request_id in reports)
        for customer in ("a", "b"):
            await check_books(b, customer)
            assert 0 == await b.held(customer)
        assert truth == {"a": await b.spent("a") - unsure, "b": await b.spent("b")}


async def refuse(b: Bench) -> None:
    request_id = new_request_id(b.clock.now_ms())
    event = UsageEvent(request_id=request_id, kind=Kind.REFUSE, at_ms=1)
    with suppress(LedgerUnavailable):
        await b.ledger.refuse("b", event)


def reported(b: Bench, charge: int, at_ms: int | None = None) -> UsageEvent:
    return UsageEvent(
        request_id=new_request_id(b.clock.now_ms()),
        kind=Kind.EVENT,
        at_ms=b.clock.now_ms() if at_ms is None else at_ms,
        charge_pico=charge,
        cost_pico=charge,
    )


async def test_the_store_may_be_away_for_long_while_calls_end(url: str) -> None:
    """Their ends wait for it, however long, and keep no call waiting."""
    async with lossy(url) as (torn, wire), bench(torn) as b:
        first, second = await b.hold("acme", 10), await b.hold("acme", 10)
        wire.loss = 1.0
        await b.settle(first, 7)
        await asyncio.sleep(0.2)
        assert 1 == b.ledger.endings.waiting
        wire.loss = 0.0
        await b.told()
        wire.loss = 1.0
        await b.settle(second, 7)
        wire.loss = 0.0
        await b.told()
        events = await check_books(b)
        assert {first.request_id, second.request_id} == {e.request_id for e in events}


async def test_r32_a_new_window_admits_again_and_the_total_is_kept(url: str) -> None:
    """Blocked at the end of one, admitted at the start of the next; nothing is reset to zero."""
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 10, period_budget=10), 10)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)
        month = (await windows.opened(b, await account(b)))["month"]
        await windows.move(b, await account(b), month=month - 28 * 86_400)
        await b.settle(await b.hold("acme", 10), 10)
        assert (20, 10) == (await b.spent("acme"), await in_window(b, "month"))
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)


async def test_r32_a_late_charge_stays_in_the_window_of_its_hold(url: str) -> None:
    """It ends after the window has changed: in the totals, not against the new limit."""
    async with bench(url) as b:
        late = await b.hold("acme", 10, period_budget=10)
        day, _, month, *_ = late.window_ids.split()
        # The next month has begun, and something was spent in it.
        later = int(month) + 40 * 86_400
        await windows.move(b, await account(b), month=later)
        await b.command("HSET", await account(b), "spent", 3)
        assert 3 == await in_window(b, "month")
        await b.settle(late, 9)
        assert (12, 3) == (await b.spent("acme"), await in_window(b, "month"))
        assert int(day) == (await windows.opened(b, await account(b)))["day"]


async def test_r32_a_fast_clock_begins_no_window(url: str) -> None:
    """Nobody holds the call any more; its gateway believes in windows that have not begun."""
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 4, period_budget=10), 4)
        hold = await b.hold("acme", 6)
        opened = await windows.opened(b, await account(b))
        await b.command("HDEL", hold.partition.holds, hold.request_id)
        await b.command("HSET", await account(b), "held", 0)
        b.ledger._leases.end(hold.request_id)
        *calendar, no_custom, no_end = hold.window_ids.split()
        fast = [str(int(begins) + 40 * 86_400) for begins in calendar]
        await b.settle(structs.replace(hold, window_ids=" ".join([*fast, no_custom, no_end])), 6)
        assert opened == await windows.opened(b, await account(b))
        assert (10, 10) == (await b.spent("acme"), await in_window(b, "month"))
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)


def _six_hours_apart(utc_hour: int) -> tuple[ZoneInfo, ZoneInfo]:
    """Two zones where it is the same day at that hour: afternoon in one, morning in the other."""
    west = max(8 - utc_hour, -12)
    first, second = (ZoneInfo(f"Etc/GMT{-offset:+d}") for offset in (west + 6, west))
    return first, second


@pytest.mark.parametrize("duration", list(Duration))
async def test_r31_who_changes_the_zone_renews_no_budget(url: str, duration: Duration) -> None:
    """West of the old one, each window of now begins later: it is the open one all the same.

    Gateways of both zones may run at once: what calls hold counts in one window.
    """
    own: dict[str, Any] = {"period_budget": 10, "budget_duration": duration}
    east_zone, west_zone = _six_hours_apart(datetime.now(UTC).hour)
    async with bench(url, zone=east_zone) as b, bench(url, zone=west_zone) as west:
        held = [await each.hold("acme", 3, **own) for each in (b, west)]
        for each, hold in zip((b, west), held, strict=True):
            await each.settle(hold, 3)
        assert (6, 6) == (await in_window(b, KIND_OF[duration]), await b.spent("acme"))
        await west.settle(await west.hold("acme", 4), 4)
        for each in (west, b):
            assert 10 == await in_window(each, KIND_OF[duration])
            with pytest.raises(BudgetExceeded):
                await each.hold("acme", 1)


@pytest.mark.parametrize("kind", ["month", "custom"])
async def test_windows_only_move_forward(url: str, kind: str) -> None:
    """After a clock that stepped back a customer is neither stopped nor freed.

    The window that is open already counts on: what is spent now is spent in it.
    """
    async with bench(url) as b:
        own = {"period_start": "2026-01-01"} if kind == "custom" else {}
        await b.settle(await b.hold("acme", 5, period_budget=10, **own), 5)
        ahead = (await windows.opened(b, await account(b)))[kind] + 86_400
        await windows.move(b, await account(b), **{kind: ahead})
        hold = await b.hold("acme", 5)
        assert str(ahead) in hold.window_ids.split()
        await b.settle(hold, 5)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)
        await b.ledger.record(
            "acme", lambda _: reported(b, 2), idempotency_key=None, fingerprint="f"
        )
        assert (12, 12) == (await b.spent("acme"), await in_window(b, kind))
        assert ahead == (await windows.opened(b, await account(b)))[kind]


async def test_another_zone_neither_stops_nor_frees_a_customer(url: str) -> None:
    """`budgets.timezone` is changed, or differs for the minutes of a rolling deploy."""
    async with (
        bench(url) as west,
        bench(url, zone=ZoneInfo("Pacific/Kiritimati")) as east,
    ):
        await west.settle(await west.hold("acme", 5, total_budget=None, period_budget=10), 5)
        await east.settle(await east.hold("acme", 5), 5)
        await west.settle(await west.hold("acme", 0), 0)
        assert 10 == await west.spent("acme")


async def test_a_budget_changed_in_the_middle_binds_at_once(url: str) -> None:
    """Lowered, raised, another duration: all windows were counted all along."""
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 10, period_budget=100), 10)
        await b.directory.change("acme", {"period_budget": 9})
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)
        await b.directory.change("acme", {"period_budget": 11, "budget_duration": "yearly"})
        assert 1 == (await b.hold("acme", 1)).amount_pico
        for duration in ("daily", "weekly"):
            await b.directory.change("acme", {"period_budget": 10, "budget_duration": duration})
            with pytest.raises(BudgetExceeded):
                await b.hold("acme", 1)


async def test_management_starts_the_own_window_afresh_by_another_anchor(url: str) -> None:
    """Its ids are no longer comparable; the totals and the calendar's windows stay."""
    async with bench(url) as b:
        year = datetime.now(UTC).year
        first = {"period_start": f"{year}-01-01", "budget_duration": "yearly"}
        await b.settle(await b.hold("acme", 10, period_budget=10, **first), 10)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1, **first)
        await b.directory.change("acme", {"period_start": f"{year - 1}-12-31"})
        await b.settle(await b.hold("acme", 4), 4)
        assert (14, 4, 14) == (
            await b.spent("acme"),
            await in_window(b, "custom"),
            await in_window(b, "year"),
        )


async def test_a_call_renews_no_budget_by_another_anchor(url: str) -> None:
    """Whoever writes `period_start: now()` is held to one window all the same."""
    async with bench(url) as b:
        start = datetime.now(UTC) - timedelta(days=20)
        anchors = [(start + timedelta(days=n)).isoformat() for n in range(0, 20, 4)]
        in_flight = [
            await b.hold("acme", 4, period_budget=10, period_start=anchors[0]),
            await b.hold("acme", 4, period_start=anchors[1]),
        ]
        for hold in in_flight:
            await b.settle(hold, 4)
        assert 8 == await in_window(b, "custom")
        for anchor in [*anchors[2:], *anchors]:
            with pytest.raises(BudgetExceeded):
                await b.hold("acme", 3, period_start=anchor)
        await b.settle(await b.hold("acme", 2, period_start=anchors[3]), 2)
        assert (10, 10) == (await b.spent("acme"), await in_window(b, "custom"))


async def test_a_window_that_has_ended_gives_way(url: str) -> None:
    """After the end of the open one, wherever the anchor was moved to meanwhile."""
    async with bench(url) as b:
        now = datetime.now(UTC)
        span = {
            "period_start": (now - timedelta(days=1)).isoformat(),
            "period_end": (now + timedelta(days=1)).isoformat(),
        }
        hold = await b.hold("acme", 10, period_budget=10, **span)
        await b.settle(hold, 10)
        account = hold.partition.account(hold.profile.number)
        ended = int((now - timedelta(hours=2)).timestamp())
        await windows.move(b, account, custom=ended - 60, until=ended)

        later = {
            "period_start": (now - timedelta(hours=1)).isoformat(),
            "period_end": (now + timedelta(hours=1)).isoformat(),
        }
        await b.settle(await b.hold("acme", 7, **later), 7)

        assert (17, 7) == (await b.spent("acme"), await in_window(b, "custom"))


async def test_a_call_in_flight_over_a_change_of_anchor_stops_nobody(url: str) -> None:
    """Its charge, in a window of the old anchor, does not make the new one unusable."""
    async with bench(url) as b:
        year = datetime.now(UTC).year
        later = {"period_start": f"{year}-01-01", "budget_duration": "yearly"}
        running = await b.hold("acme", 10, period_budget=20, **later)
        await b.directory.change("acme", {"period_start": f"{year - 1}-12-31"})
        await b.settle(running, 10)
        assert 10 == (await b.hold("acme", 10)).amount_pico


async def test_remaining_is_of_the_tightest_limit(url: str) -> None:
    """After this call, with all that is held."""
    async with bench(url) as b:
        first = await b.hold("acme", 10, period_budget=100, total_budget=50)
        second = await b.hold("acme", 5)
        assert (40, 35) == (first.remaining_pico(10), second.remaining_pico(5))
        none = await b.hold("other", 5)
        assert none.remaining_pico(5) is None


async def test_a_limit_beyond_2_to_the_53_is_exact(url: str) -> None:
    """Nine million dollars to the last pico, through holds, settles and a refusal."""
    limit = 9_000_000 * 10**12
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 7 * 10**18, total_budget=limit), limit - 3)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 4)
        await b.settle(await b.hold("acme", 3), 3)
        assert limit == await b.spent("acme")


async def test_r46_sums_are_whole_picodollars_however_many_at_once(url: str) -> None:
    """Amounts that no double holds, settled at once: exact, and no float is stored."""
    odd = 2**53 + 123
    async with bench(url) as b:
        holds = [await b.hold("acme", odd, total_budget=200 * odd) for _ in range(100)]
        await asyncio.gather(*(b.settle(hold, odd - n) for n, hold in enumerate(holds)))

        assert 100 * odd - sum(range(100)) == await b.spent("acme")
        await check_books(b)
        stored = [value.decode() for value in await b.command("HVALS", await account(b))]
        assert stored
        assert [] == [value for value in stored if re.search(r"\d[.e][+-]?\d", value)]


@pytest.mark.parametrize("customer", ["acme", ANONYMOUS])
async def test_a_balance_has_no_end(url: str, customer: str) -> None:
    """All the anonymous together pass 9.2 million USD: every verb goes on, to the last pico."""
    most = AMOUNT_PICO_MAX
    async with bench(url) as b:
        holds = [await b.hold(customer, most) for _ in range(5)]
        assert 5 * most == await b.held(customer)
        spent = 0
        for hold in holds[:2]:
            await b.settle(hold, most - 1, most - 2)
            spent += most - 1
        await b.release(holds[2])
        for hold in holds[3:]:
            await b.lapse(hold)
            spent += most
        await b.settle(holds[3], 3, 2)
        await b.release(holds[4])
        spent += 3 - 2 * most
        receipt = await b.ledger.record(
            customer, lambda _: reported(b, most), idempotency_key=None, fingerprint="f"
        )
        spent += most
        assert "accepted" == receipt.outcome
        assert spent > 2**63
        assert (spent, 0) == (await b.spent(customer), await b.held(customer))
        assert {spent} == {await in_window(b, k, customer) for k in ("day", "month", "year")}
        balance = await b.ledger.balance(await b.directory.load(customer))
        assert spent - 3 == balance.spent.cost_pico
        await check_books(b, customer)


def test_making_a_ledger_opens_nothing() -> None:
    store = Store("unix:///nowhere")
    assert not Ledger(store, None, None).continuity.restored  # type: ignore[arg-type]
