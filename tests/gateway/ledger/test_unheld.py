"""The store is away: who passes, who does not, and that what passed is counted once."""

import asyncio
from contextlib import suppress

import pytest

from gateway.customers.profile import Limits
from gateway.customers.windows import Calendar
from gateway.errors import BudgetExceeded, LedgerUnavailable
from gateway.event import Kind
from gateway.ledger import endings
from gateway.ledger.unheld import WARNING
from gateway.metering.reader import Reader
from gateway.metering.scope_sink import ScopeSink
from tests.gateway.ledger.scopes import Shared
from tests.support.ledgers import UTC, Bench, Killed, bench
from tests.support.losses import MortalStore, mortal_store, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def mortal():
    with mortal_store() as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "wal"


async def gone(b: Bench, store: MortalStore) -> None:
    await asyncio.to_thread(store.save)
    await asyncio.to_thread(store.kill)
    await until(lambda: not b.store.is_up, 5)


async def back(b: Bench, store: MortalStore) -> None:
    """Enforcement is back within five seconds."""
    await asyncio.to_thread(store.start)
    await until(lambda: b.store.is_up and b.ledger.continuity.is_open, 5)
    await b.told()


async def test_r21_closed_serves_whom_nothing_limits(mortal, folder):
    """Known ones by what is known of them, new ones by the defaults; counted afterwards, once."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.settle(await b.hold("free", 10), 10)
        await b.settle(await b.hold("poor", 10, total_budget=100), 10)
        await gone(b, mortal)
        with pytest.raises(LedgerUnavailable):
            await b.hold("poor", 1)
        with pytest.raises(LedgerUnavailable):
            await b.hold("unknown", 1, period_budget=5)
        calls = [await b.hold("free", 10), await b.hold("new", 10, email="a@b.c")]
        assert [(False, True)] * 2 == [(c.is_held, WARNING in c.warnings) for c in calls]
        assert [None, None] == [c.remaining_pico(1) for c in calls]
        for call in calls:
            await b.settle(call, 7)
        assert ["ledger: away; 2 calls wait to be counted"] == b.ledger.troubles()
        await back(b, mortal)
        assert [] == b.ledger.troubles()
        assert [17, 10, 7] == [await b.spent(c) for c in ("free", "poor", "new")]
        assert "a@b.c" == (await b.directory.load("new")).text("email")
        assert [False, True] == [e.unheld for e in await b.events("free")]
        assert 0 == (await b.directory.load("unknown")).version


async def test_r21_open_serves_all(mortal, folder):
    """Over the limit, too, and says so; it is enforced again as soon as the store is back."""
    async with bench(mortal.url, wal=folder, whole=True, when_down="open") as b:
        await b.settle(await b.hold("poor", 10, total_budget=15), 10)
        await gone(b, mortal)
        for _ in range(3):
            await b.settle(await b.hold("poor", 10), 10)
        await back(b, mortal)
        assert 40 == await b.spent("poor")
        with pytest.raises(BudgetExceeded):
            await b.hold("poor", 1)
        assert 4 == len(await b.events("poor"))


@pytest.mark.slow
async def test_blocked_customers_never_pass(mortal, folder):
    async with bench(mortal.url, wal=folder, whole=True, when_down="open") as b:
        await b.directory.create("bad", {"blocked": True})
        await gone(b, mortal)
        with pytest.raises(LedgerUnavailable):
            await b.hold("bad", 1)


@pytest.mark.slow
async def test_default_limits_bind_the_unknown(mortal, folder):
    async with bench(
        mortal.url, wal=folder, whole=True, defaults=Limits(period_budget_pico=10)
    ) as b:
        await gone(b, mortal)
        with pytest.raises(LedgerUnavailable):
            await b.hold("unknown", 1)


async def test_without_a_log_nobody_passes(mortal):
    """Nothing would remember the call."""
    async with bench(mortal.url, when_down="open") as b:
        await gone(b, mortal)
        with pytest.raises(LedgerUnavailable):
            await b.hold("acme", 1)


@pytest.mark.slow
async def test_r21_a_gateway_starts_without_its_store(mortal, folder):
    await asyncio.to_thread(mortal.kill)
    async with bench(mortal.url, wal=folder, whole=True) as b:
        call = await b.hold("acme", 10)
        await b.settle(call, 7)
        await back(b, mortal)
        assert 7 == await b.spent("acme")


@pytest.mark.slow
async def test_r21_a_store_that_flaps_counts_each_call_once(mortal, folder):
    async with bench(mortal.url, wal=folder, whole=True) as b:
        truth = 0
        for round_ in range(3):
            calls = [await b.hold("acme", 10) for _ in range(5)]
            await gone(b, mortal)
            calls += [await b.hold("acme", 10) for _ in range(5)]
            for n, call in enumerate(calls):
                await b.settle(call, n + round_)
                truth += n + round_
            await back(b, mortal)
        assert (truth, 0) == (await b.spent("acme"), await b.held("acme"))
        assert 30 == len(await b.events("acme"))


@pytest.mark.parametrize("killed", [False, True])
async def test_an_unheld_call_counts_on_its_group(mortal, folder, impatient, killed):
    """One that nobody has named before: it is made known before the call's end names it."""
    with suppress(Killed):
        async with bench(mortal.url, wal=folder, whole=True) as b:
            await gone(b, mortal)
            hold = await b.hold("acme", 10, group_identifier="sales")
            assert not hold.is_held
            await b.settle(hold, 7)
            if killed:
                raise Killed
            await back(b, mortal)
    if killed:
        await asyncio.to_thread(mortal.start)
    async with bench(mortal.url, wal=folder) as b:
        await b.ledger.continuity.step()
        assert 7 == await b.spent("acme")
        shared = Shared(b, ScopeSink(b.store, Calendar(UTC), b.clock), Reader(b.store))
        await shared.flush()
        assert (7, 0) == await shared.account()


async def test_an_unheld_call_of_a_damaged_customer_is_left_to_a_human(mortal, folder, caplog):
    """Nothing can be booked on it, and nobody must forget what it owes."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.directory.load("acme")
        await gone(b, mortal)
        call = await b.hold("acme", 10)
        await asyncio.to_thread(mortal.start)
        await until(lambda: b.store.is_up, 5)
        await b.command("RPUSH", b.directory.partition_of("acme").number("acme"), "damaged")
        await b.settle(call, 7)
        await b.told()
        assert 1 == b.ledger.dead_letters.count
    assert f"dead_letter request_id={call.request_id} verb=settle charge_pico=7" in caplog.text


async def test_a_kill_while_the_store_is_away_loses_nothing(mortal, folder, impatient):
    """Ended, sent, and merely admitted; counted, estimated, released by the next process."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await gone(b, mortal)
        await b.settle(await b.hold("acme", 10), 7)
        await b.sent(await b.hold("acme", 10), 3)
        await b.hold("acme", 10)
        await asyncio.sleep(0)
        raise Killed
    await asyncio.to_thread(mortal.start)
    async with bench(mortal.url, wal=folder) as b:
        await b.ledger.continuity.step()
        events = await b.events("acme")
        assert [7, 3, 0] == [e.charge_pico for e in events]
        assert all(e.unheld for e in events)
        assert 10 == await b.spent("acme")


@pytest.mark.slow
async def test_memory_is_bounded_the_log_remembers(mortal, folder, monkeypatch):
    """More ends than are kept in memory: the rest waits on disk, and is counted too."""
    monkeypatch.setattr(endings, "WAITING_MAX", 5)
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await gone(b, mortal)
        for n in range(20):
            await b.settle(await b.hold("acme", 10), n)
        assert (20, 20) == (b.ledger.endings.waiting, b.ledger.unheld.passed)
        assert 5 == len(b.ledger.endings._waiting)
        assert 5 == b.ledger._wal.running  # type: ignore[union-attr]
        await back(b, mortal)
        await until(lambda: not b.ledger.endings.waiting, 5)
        assert 0 == b.ledger.endings.oldest_seconds
        assert sum(range(20)) == await b.spent("acme")
        assert {Kind.SETTLE} == {e.kind for e in await b.events("acme")}


async def test_a_hold_that_landed_unseen_is_taken_off_by_its_end(url, folder):
    """The reply was lost and the call passed: it ends one hold, not none, and not two."""
    async with bench(url, wal=folder) as b:
        await b.directory.create("acme", {})
        script = b.store.script

        def lost(name, *args, **options):
            sent = script(name, *args, **options)
            if name != "hold":
                return sent
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(LedgerUnavailable("no reply"))
            sent.add_done_callback(lambda _: None)
            return failed

        b.store.script = lost  # type: ignore[method-assign]
        call = await b.hold("acme", 10)
        assert not call.is_held
        assert 10 == await b.held("acme")
        await b.settle(call, 7)
        assert (7, 0) == (await b.spent("acme"), await b.held("acme"))
