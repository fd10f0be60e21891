"""Calls that go on without a gateway: held, found by whoever comes, and ended once."""

import asyncio

import pytest

from gateway.event import Kind
from gateway.ledger.requests import made_ms
from tests.support.ledgers import Bench, Killed, bench
from tests.support.losses import mortal_store, until

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


async def entrust(b: Bench, name: str = "resp_1", amount: int = 100):
    """A call of acme's that was left to the store."""
    hold = await b.hold("acme", amount)
    await b.sent(hold, 5)
    await b.ledger.entrusted.entrust(
        hold, name, b"how to bill it", made_ms(hold.request_id) + DAY_MS
    )
    return hold


async def finish(b: Bench, hold, charge: int) -> None:
    number, windows = hold.profile.number, hold.window_ids
    await b.ledger.entrusted.finish("acme", number, windows, b.event(hold, charge))


async def test_it_is_held_for_a_day_and_ended_once(url, tmp_path) -> None:
    """No gateway renews it; however often its end is brought, it is booked once."""
    async with bench(url, wal=tmp_path) as b:
        hold = await entrust(b)
        await b.ledger.renew()

        expiry = int(await b.command("ZSCORE", hold.partition.expiries, hold.request_id))
        assert abs(expiry - made_ms(hold.request_id) - DAY_MS) < 5_000
        assert b"how to bill it" == await b.ledger.entrusted.find("resp_1")
        assert await b.ledger.entrusted.find("resp_2") is None
        assert 100 == await b.held("acme")
        for charge in (30, 40):
            await finish(b, hold, charge)
        assert (30, 0) == (await b.spent("acme"), await b.held("acme"))
        assert [Kind.SETTLE] == [event.kind for event in await b.events("acme")]


async def test_the_death_of_its_gateway_is_nothing_to_it(url, tmp_path) -> None:
    """The next one does not take it for a call that died; it finds it, and ends it."""
    async with bench(url, wal=tmp_path) as b:
        hold = await entrust(b)
        raise Killed
    async with bench(url, wal=tmp_path, whole=True) as b:
        await until(lambda: b.ledger.continuity.is_open)
        assert ([], 100) == (await b.events("acme"), await b.held("acme"))
        await finish(b, hold, 30)
        assert (30, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_what_nobody_ends_counts_what_was_held(url) -> None:
    """Until its end is brought all the same."""
    async with bench(url) as b:
        hold = await entrust(b)
        assert 1 == await b.lapse(hold)
        assert (100, 0) == (await b.spent("acme"), await b.held("acme"))
        await finish(b, hold, 30)
        assert 30 == await b.spent("acme")
        assert [(Kind.ORPHAN, 100), (Kind.ADJUST, -70)] == [
            (event.kind, event.charge_pico) for event in await b.events("acme")
        ]


async def test_a_store_that_lost_it_is_told_again(tmp_path) -> None:
    """Both that it is held and how it is billed; not what has ended meanwhile."""
    with mortal_store() as mortal:
        async with bench(mortal.url, wal=tmp_path, whole=True) as b:
            await b.settle(await b.hold("acme", 1), 0)
            await asyncio.to_thread(mortal.save)
            kept, ended = await entrust(b), await entrust(b, "resp_2")
            await finish(b, ended, 7)
            await asyncio.to_thread(mortal.restart)
            await until(lambda: b.ledger.continuity.restored == 1)

            assert b"how to bill it" == await b.ledger.entrusted.find("resp_1")
            assert (100, 7) == (await b.held("acme"), await b.spent("acme"))
            expiry = int(await b.command("ZSCORE", kept.partition.expiries, kept.request_id))
            assert expiry > made_ms(kept.request_id) + DAY_MS - 5_000
