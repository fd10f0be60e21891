"""Continuity: a store that comes back without its newest writes is told them again."""

import asyncio
from contextlib import suppress

import pytest

from gateway.errors import BudgetExceeded, LedgerUnavailable
from gateway.event import Kind
from gateway.store.keys import GATEWAYS
from tests.support.ledgers import Bench, Killed, bench
from tests.support.losses import MortalStore, mortal_store, until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.slow)])
def mortal(request):
    with mortal_store(request.param) as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "wal"


async def lose(b: Bench, store: MortalStore) -> None:
    """The store comes back as it was when it was saved, and the ledger has noticed."""
    continuity = b.ledger.continuity
    before = continuity.restored
    await asyncio.to_thread(store.restart)
    await until(lambda: continuity.restored > before and continuity.is_open)


async def test_r27_spend_comes_back_with_its_customer(mortal, folder):
    """All of it was lost: charges, limits, the customer itself. Its budget stays used up."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.directory.load("nobody")
        await asyncio.to_thread(mortal.save)
        await b.settle(await b.hold("acme", 10, total_budget=10, email="a@b.c"), 10)
        number = (await b.directory.load("acme")).number
        await lose(b, mortal)
        assert 10 == await b.spent("acme")
        profile = await b.directory.load("acme")
        assert (number, "a@b.c") == (profile.number, profile.text("email"))
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)
        assert [Kind.SETTLE] == [e.kind for e in await b.events("acme")]


async def test_r27_an_older_copy_under_traffic_is_made_good(mortal, folder):
    """Calls run on while the store goes back in time: in the end every charge is there once."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        truth = 0
        stop = asyncio.Event()

        async def client(n: int) -> None:
            nonlocal truth
            while not stop.is_set():
                with suppress(LedgerUnavailable):
                    hold = await b.hold(f"c{n % 3}", 50)
                    await b.sent(hold, 1)
                    await asyncio.sleep(0.002)
                    await b.settle(hold, n)
                    truth += n
                await asyncio.sleep(0.001)

        clients = [asyncio.create_task(client(n)) for n in range(1, 11)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(mortal.save)
        for _ in range(2):
            await asyncio.sleep(0.3)
            await lose(b, mortal)
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*clients)
        await b.told()
        assert truth > 1_000
        assert truth == sum([await b.spent(f"c{n}") for n in range(3)])
        assert 0 == sum([await b.held(f"c{n}") for n in range(3)])


async def test_running_calls_are_held_again(mortal, folder):
    """Even over the limit: that money is committed."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.directory.create("acme", {"total_budget": 10})
        await asyncio.to_thread(mortal.save)
        hold = await b.hold("acme", 10)
        await lose(b, mortal)
        assert 10 == await b.held("acme")
        with pytest.raises(Exception, match="in flight"):
            await b.hold("acme", 1)
        await b.settle(hold, 7)
        assert (7, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_limits_that_were_lost_do_not_decide(mortal, tmp_path):
    """Their version was given again, to what somebody else has made of the customer."""
    async with (
        bench(mortal.url, wal=tmp_path / "a", whole=True) as a,
        bench(mortal.url, wal=tmp_path / "b", whole=True) as b,
    ):
        await a.directory.create("acme", {"total_budget": 5})
        await asyncio.to_thread(mortal.save)
        lost = await a.directory.change("acme", {"total_budget": 100})
        await lose(a, mortal)
        await until(lambda: b.ledger.continuity.restored > 0 and b.ledger.continuity.is_open)
        changed = await b.directory.change("acme", {"total_budget": 6})
        assert lost.version == changed.version
        with pytest.raises(BudgetExceeded):
            await a.hold("acme", 50)


async def test_a_gateway_that_died_with_the_store_has_an_heir(mortal, folder, impatient):
    """Power loss: both are gone, the store's tail too; the log of the dead one makes it good."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.directory.load("nobody")
        await asyncio.sleep(0.3)
        await asyncio.to_thread(mortal.save)
        await b.settle(await b.hold("acme", 10, total_budget=20, email="a@b.c"), 10)
        open_call = await b.hold("acme", 10)
        await b.sent(open_call, 3)
        number = (await b.directory.load("acme")).number
        raise Killed
    await asyncio.to_thread(mortal.restart)
    async with bench(mortal.url, wal=folder) as b:
        await b.ledger.continuity.step()
        profile = await b.directory.load("acme")
        assert (13, 0) == (await b.spent("acme"), await b.held("acme"))
        assert (number, "a@b.c") == (profile.number, profile.text("email"))


async def test_no_hold_is_granted_before_all_have_restored(mortal, tmp_path):
    """The room that another gateway's calls have taken is not given away a second time."""
    async with (
        bench(mortal.url, wal=tmp_path / "a", whole=True) as a,
        bench(mortal.url, wal=tmp_path / "b", whole=True) as b,
    ):
        await a.directory.create("acme", {"total_budget": 10})
        await asyncio.sleep(0.2)
        await asyncio.to_thread(mortal.save)
        await b.hold("acme", 10)
        slow = asyncio.Event()
        put_back = b.ledger.continuity._put_back

        async def slowly() -> None:
            await slow.wait()
            await put_back()

        b.ledger.continuity._put_back = slowly
        await asyncio.to_thread(mortal.restart)
        await until(lambda: not a.ledger.continuity.is_open)
        asked = asyncio.create_task(a.hold("acme", 10))
        await asyncio.sleep(0.5)
        assert not asked.done()
        slow.set()
        with pytest.raises(Exception, match="in flight"):
            await asked


async def test_a_call_goes_with_its_customer_that_was_made_anew(mortal, tmp_path):
    """Under another number, before its own gateway came to it: held, freed and charged there."""
    async with (
        bench(mortal.url, wal=tmp_path / "a", whole=True) as a,
        bench(mortal.url, wal=tmp_path / "b", whole=True) as b,
    ):
        await b.directory.load("nobody")
        await asyncio.to_thread(mortal.save)
        hold = await a.hold("acme", 10)
        put_back, made = a.ledger.continuity._put_back, asyncio.Event()

        async def later() -> None:
            await made.wait()
            await put_back()

        a.ledger.continuity._put_back = later
        await asyncio.to_thread(mortal.restart)
        await until(lambda: b.ledger.continuity.restored > 0)
        anew = await b.directory.create("acme", {})
        assert anew.number != hold.profile.number
        made.set()
        await until(lambda: a.ledger.continuity.restored > 0)
        assert 10 == await b.held("acme")
        await a.settle(hold, 7)
        assert (7, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_a_call_that_ends_while_it_is_put_back_is_not_kept_alive(mortal, folder, monkeypatch):
    """Its customer had come back as another meanwhile."""
    async with bench(mortal.url, wal=folder) as b:
        hold = await b.hold("acme", 10)

        async def ends_first(_identifier, number: int, _stored) -> int:
            await b.settle(hold, 7)
            return number + 1

        monkeypatch.setattr(b.directory, "restore", ends_first)
        await b.ledger._put_back()
        assert [] == list(b.ledger._leases.live())
        assert (7, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_a_hold_begun_before_a_loss_is_not_decided_after_it(mortal, folder):
    """It had passed the gate, and was asking who its customer is, when the store changed."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.directory.create("acme", {"total_budget": 10})
        await asyncio.sleep(0.2)
        await asyncio.to_thread(mortal.save)
        await b.hold("acme", 10)
        continuity, load, changes = b.ledger.continuity, b.directory.load, b.store.changes
        put_back, whole = continuity._put_back, asyncio.Event()

        async def slowly() -> None:
            await whole.wait()
            await put_back()

        async def over_a_restart(customer: str):
            vars(b.directory).pop("load")
            profile = await load(customer)
            await asyncio.to_thread(mortal.restart)
            await until(lambda: b.store.changes > changes)
            return profile

        continuity._put_back = slowly
        vars(b.directory)["load"] = over_a_restart
        b.directory._cache.clear()
        asked = asyncio.create_task(b.hold("acme", 10))
        await until(lambda: b.store.changes > changes)
        await asyncio.sleep(0.5)
        assert not asked.done()
        whole.set()
        with pytest.raises(Exception, match="in flight"):
            await asked


@pytest.mark.slow
async def test_a_gateway_that_does_not_report_is_not_waited_for(mortal, folder):
    """It is dead, or will be: two seconds, and it is taken off the list."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.directory.create("acme", {})
        await asyncio.sleep(0.2)
        await b.command("HSET", GATEWAYS, "dead", "another store")
        await asyncio.to_thread(mortal.save)
        await lose(b, mortal)
        await b.hold("acme", 1)
        async with asyncio.timeout(5):
            while b"dead" in await b.command("HKEYS", GATEWAYS):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert 1 == await b.command("HLEN", GATEWAYS)
    async with bench(mortal.url) as b:
        assert 0 == await b.command("HLEN", GATEWAYS), "who leaves says so"


@pytest.mark.slow
async def test_the_sweeper_lets_live_calls_renew_first(mortal, folder):
    """Their leases ran out while the store was away; they are no orphans."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        hold = await b.hold("acme", 10)
        await b.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        await asyncio.to_thread(mortal.save)
        await lose(b, mortal)
        assert 0 == await b.sweeper.step()
        assert 10 == await b.held("acme")
