"""Ends that come late, or never: orphans, restored holds, ids that nobody remembers."""

from functools import partial

import pytest
from msgspec.structs import replace

from gateway.errors import BudgetExceeded, LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold
from gateway.ledger.requests import new_request_id
from gateway.ledger.rules import Count
from gateway.store.lease import Lease
from tests.support.ledgers import Bench, bench

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
ASKED = Bound(100, 40, 1, 30)


async def lose(b: Bench, hold: Hold) -> None:
    """What a store does that comes back without its last second."""
    account = hold.partition.account(hold.profile.number)
    held = await b.held(hold.profile.identifier)
    await b.command("HSET", account, "held", held - hold.amount_pico)
    await b.command("HDEL", hold.partition.holds, hold.request_id)
    await b.command("ZREM", hold.partition.expiries, hold.request_id)


async def facts(b: Bench) -> list[tuple[Kind, int, int]]:
    return [(e.kind, e.charge_pico, e.unresolved_pico) for e in await b.events("acme")]


@pytest.mark.parametrize(
    ("orphans", "so_far", "posted"),
    [
        ("hold", 70, 100),
        ("input", 70, 30),
        ("progress", None, 30),
        ("progress", 20, 30),
        ("progress", 70, 70),
    ],
)
async def test_an_orphan_counts_what_is_configured(url: str, orphans, so_far, posted) -> None:
    """All that was held, the bound of its input, or what came until its gateway died."""
    async with bench(url, orphans=orphans) as b:
        hold = await b.hold("acme", ASKED)
        if so_far is not None:
            b.progress(hold, so_far)
            b.progress(hold, so_far - 5)
        await b.ledger.renew()
        assert 1 == await b.lapse(hold)
        assert (posted, 0) == (await b.spent("acme"), await b.held("acme"))
        await b.settle(hold, 45)
        assert [(Kind.ORPHAN, posted, posted), (Kind.ADJUST, 45 - posted, -posted)] == (
            await facts(b)
        )
        assert 45 == await b.spent("acme")


async def test_an_orphan_is_never_more_than_what_was_granted(url: str) -> None:
    """Half of a budget was granted: the input's bound may be more than that."""
    async with bench(url, orphans="input") as b:
        hold = await b.hold("acme", Bound(100, 10, 2, 10), total_budget=18)
        assert (10, 10) == (hold.amount_pico, hold.orphan_pico)
        await b.lapse(hold)
        assert 10 == await b.spent("acme")


async def test_a_lost_hold_is_put_back(url: str) -> None:
    """Over the limit if need be, for that money is committed; once, whatever is repeated."""
    async with bench(url, orphans="progress") as b:
        hold = await b.hold("acme", ASKED, total_budget=100, rate_limit=1)
        b.progress(hold, 60)
        await lose(b, hold)
        await b.directory.change("acme", {"total_budget": 1, "name": "A", "rate_limit": None})
        assert await b.ledger.restore(hold)
        assert await b.ledger.restore(hold)
        assert 100 == await b.held("acme")
        assert "A" == (await b.directory.load("acme")).text("name")
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 2)
        await b.lapse(hold)
        assert (60, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_what_has_ended_is_not_put_back(url: str) -> None:
    """Neither a call that was settled, nor one so old that nobody knows."""
    async with bench(url) as b:
        ended = await b.hold("acme", 10)
        await b.settle(ended, 5)
        assert not await b.ledger.restore(ended)
        assert not await b.ledger.restore(aged(ended, 49))
        assert 0 == await b.held("acme")


@pytest.mark.parametrize("end", ["settle", "release"])
async def test_an_end_that_nobody_can_check_books_nothing(url: str, end: str, caplog) -> None:
    """Older than 48 h, without hold and tombstone: told as an error, handed on, not booked."""
    async with bench(url) as b:
        hold = aged(await b.hold("acme", 10), 49)
        event = replace(b.event(hold, 7), kind=Kind(end))
        await getattr(b.ledger, end)(hold, event)
        assert (0, 10) == (await b.spent("acme"), await b.held("acme"))
        assert [] == await facts(b)
        assert 1 == b.ledger.dead_letters.count
    assert f"dead_letter request_id={hold.request_id} verb={end}" in caplog.text


async def test_a_call_of_47_hours_without_its_hold_is_booked(url: str) -> None:
    """The store lost it; its end is told for the first time, for tombstones are younger."""
    async with bench(url) as b:
        hold = aged(await b.hold("acme", 10), 47)
        await b.settle(hold, 7)
        await b.settle(hold, 7)
        assert 7 == await b.spent("acme")


async def test_a_call_that_was_held_ends_however_old_it_is(url: str) -> None:
    """As long as there is a hold, it cannot have ended."""
    async with bench(url) as b:
        request_id = new_request_id(b.clock.now_ms() - 72 * HOUR_MS)
        await b.settle(await b.hold("acme", 10, request_id=request_id), 7)
        assert (7, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_a_tombstone_outlives_the_48_hours_of_its_id(url: str) -> None:
    """The bucket of an hour is made with its first end, and expires by itself."""
    async with bench(url) as b:
        first, second = await b.hold("acme", 10), await b.hold("acme", 10)
        await b.settle(first, 7)
        await b.settle(second, 7)
        keys = await b.store.command("KEYS", "*d:*", node_of=first.partition.stream)
        lifetimes = [await b.command("TTL", key) for key in keys]
        assert lifetimes
        assert all(49 * 3600 < seconds <= 50 * 3600 for seconds in lifetimes)


async def test_a_refusal_by_another_limit_ends_the_hold_as_one_row(url: str) -> None:
    """The customer's hold is taken back, and what is posted is a refusal."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10)
        refusal = replace(b.event(hold, 0), kind=Kind.REFUSE)
        await b.ledger.release(hold, refusal)
        await b.ledger.refuse("acme", refusal)
        assert [(Kind.REFUSE, 0, 0)] == await facts(b)
        assert 0 == await b.held("acme")


async def test_thousands_of_leases_are_renewed_in_parts(url: str, monkeypatch) -> None:
    """No one script keeps the others waiting; a call that has ended is not revived."""
    monkeypatch.setattr("gateway.ledger.leases.RENEWED_AT_ONCE_MAX", 3)
    async with bench(url) as b:
        holds = [await b.hold("acme", 1) for _ in range(8)]
        await lose(b, holds[0])
        for hold in holds[1:]:
            await b.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        await b.ledger.renew()
        assert 0 == await b.sweeper.step()
        assert 7 == await b.held("acme")


async def test_a_damaged_hold_keeps_no_other_from_expiring(url: str) -> None:
    """Nor does a damaged partition: whoever's gateway is gone gets its room back."""
    async with bench(url) as b:
        damaged, good, other = [await b.hold(c, 7) for c in ("acme", "acme", "other")]
        assert other.partition != good.partition
        await b.command("HSET", damaged.partition.holds, damaged.request_id, "?")
        await b.command("ZADD", damaged.partition.expiries, "XX", 0, damaged.request_id)
        await b.command("DEL", other.partition.expiries)
        await b.command("SET", other.partition.expiries, "?")
        assert 1 == await b.lapse(good)


@pytest.mark.parametrize(
    ("count", "admitted"), [("charge", 3), ("cost", 4)], ids=["charge", "cost"]
)
async def test_limits_are_about_charge_or_cost(url: str, count: Count, admitted: int) -> None:
    """With a markup the charge is more: by `budgets.count` a limit is about one or the other."""
    async with bench(url, count=count) as b:
        await b.directory.create("acme", {"period_budget": 50})
        calls = 0
        while True:
            try:
                hold = await b.hold("acme", 15)
            except BudgetExceeded:
                break
            await b.settle(hold, 15, 10)
            calls += 1
        assert admitted == calls
        balance = await b.ledger.balance(await b.directory.load("acme"))
        assert calls * (15 if count == "charge" else 10) == balance.spent.of(count)


async def test_what_went_beyond_is_counted_by_its_cause(url: str) -> None:
    """A charge above its hold; the part of a reported event beyond a limit."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10, total_budget=20, period_budget=100)
        await b.settle(hold, 13)
        for event in (reported(b, 5), reported(b, 4), reported(b, 3)):
            await b.ledger.record(
                "acme", partial(given, event), idempotency_key=None, fingerprint="f"
            )
        balance = await b.ledger.balance(await b.directory.load("acme"))
        assert (25, 3, 5) == (
            balance.spent.charge_pico,
            balance.over_settle_pico,
            balance.over_event_pico,
        )


async def test_what_a_lowered_limit_leaves_beyond_it_is_counted(url: str) -> None:
    """By whomever it is lowered, what runs included; what lay beyond before has another cause."""
    async with bench(url) as b:

        async def left() -> int:
            return (await b.ledger.balance(await b.directory.load("acme"))).over_limit_pico

        await b.settle(await b.hold("acme", 10, total_budget=100), 50)
        await b.hold("acme", 30)
        await b.hold("acme", 1, period_budget=90)
        assert 0 == await left(), "there is room"
        await b.directory.change("acme", {"period_budget": 60})
        assert 21 == await left(), "50 spent and 31 held"
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1, total_budget=40)
        assert 41 == await left(), "the tighter one counts"
        await b.directory.change("acme", {"period_budget": None, "total_budget": 45})
        await b.directory.change("acme", {"total_budget": 45})
        assert 41 == await left(), "it is less than before"


async def test_limits_that_are_about_cost_leave_cost_beyond_them(url: str) -> None:
    async with bench(url, count="cost") as b:
        await b.settle(await b.hold("acme", 80, budget_duration="daily"), 80, 50)
        await b.directory.change("acme", {"period_budget": 20})
        assert 30 == (await b.ledger.balance(await b.directory.load("acme"))).over_limit_pico


async def test_a_window_that_management_starts_afresh_has_nothing_beyond_it(url: str) -> None:
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 80, period_budget=100), 80)
        await b.directory.change("acme", {"period_budget": 20, "period_start": "2026-01-15"})
        assert 0 == (await b.ledger.balance(await b.directory.load("acme"))).over_limit_pico
        assert 20 == (await b.hold("acme", 20)).amount_pico


async def test_a_late_truth_beyond_its_orphan_is_beyond(url: str) -> None:
    """Once the hold has gone, only what was posted was still reserved."""
    async with bench(url, orphans="input") as b:
        hold = await b.hold("acme", ASKED)
        await b.lapse(hold)
        await b.settle(hold, 45)
        balance = await b.ledger.balance(await b.directory.load("acme"))
        assert (45, 15) == (balance.spent.charge_pico, balance.over_settle_pico)


async def test_a_mapping_without_a_profile_is_nobody(url: str) -> None:
    """Half of a deletion: the next call makes the customer anew, under the same number."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10)
        await b.command("DEL", hold.partition.profile(hold.profile.number))
        again = await b.hold("acme", 5)
        assert (hold.profile.number, 1) == (again.profile.number, again.profile.version)
        assert 15 == await b.held("acme")


def given(event: UsageEvent, _: int) -> UsageEvent:
    return event


def aged(hold: Hold, hours: int) -> Hold:
    made_ms = int(hold.request_id[4:16], 16) - hours * HOUR_MS
    return replace(hold, request_id=new_request_id(made_ms))


def reported(b: Bench, charge: int) -> UsageEvent:
    return UsageEvent(
        request_id=new_request_id(b.clock.now_ms()),
        kind=Kind.EVENT,
        at_ms=b.clock.now_ms(),
        charge_pico=charge,
        cost_pico=charge,
    )


async def test_with_a_full_store_nothing_begins_and_everything_ends(url: str) -> None:
    """No hold; but settle, release, expire, renew, restore, the counters and the lease go on."""
    async with bench(url) as b:
        holds = [await b.hold("acme", 10) for _ in range(4)]
        settled, released, lapsed, lost = holds
        await lose(b, lost)
        await b.command("ZADD", lapsed.partition.expiries, "XX", 0, lapsed.request_id)
        here = lapsed.partition.holds
        await b.store.command("CONFIG", "SET", "maxmemory", "1", node_of=here)
        try:
            with pytest.raises(LedgerUnavailable):
                await b.hold("acme", 10)
            await b.settle(settled, 7)
            await b.release(released)
            assert 1 == await b.sweeper.step()
            await b.ledger.renew()
            assert await b.ledger.restore(lost)
            assert await Lease(b.store).take()
            home = lapsed.partition
            keys = [home.cursors, home.stream, home.changed]
            ((last, _),) = await b.command("XREVRANGE", keys[1], "+", "-", "COUNT", 1)
            assert 1 == await b.store.script("apply", keys, ["flush", "", last, 0])
            assert (17, 10) == (await b.spent("acme"), await b.held("acme"))
        finally:
            await b.store.command("CONFIG", "SET", "maxmemory", "0", node_of=here)
        assert 10 == (await b.hold("acme", 10)).amount_pico
