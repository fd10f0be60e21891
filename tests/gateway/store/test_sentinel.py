"""A master that Sentinel watches: the store follows it, and tells when it is another."""

import asyncio

import pytest

from gateway.errors import LedgerUnavailable
from gateway.store.client import Store
from tests.support.clusters import HOST, sentinels
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.slow)])
async def test_a_failover_is_followed(kind: str) -> None:
    """The master is killed: 503 for a moment, then the replica serves; the change is told."""
    with sentinels(kind) as watched:
        async with bench(watched.url) as b:
            told: list[str] = []
            b.store.on_change(lambda: told.append(b.store.identity))
            before = b.store.identity
            hold = await b.hold("acme", 5)
            assert 1 == await b.command("WAIT", 1, 5_000)
            watched.master.kill()
            with pytest.raises(LedgerUnavailable):
                await b.hold("acme", 5)
            async with asyncio.timeout(20):
                await b.settle(hold, 3)
                await b.told()
            assert [b.store.identity] == told != [before]
            assert (3, 0) == (await b.spent("acme"), await b.held("acme"))
            assert b"3" == watched.replica.client.hget(
                hold.partition.account(hold.profile.number), "spent"
            )


@pytest.mark.slow
async def test_a_planned_failover_is_followed() -> None:
    """The old master lives on as a replica, and refuses writes: the new one is looked for."""
    with sentinels("valkey") as watched:
        async with bench(watched.url) as b:
            hold = await b.hold("acme", 5)
            assert 1 == await b.command("WAIT", 1, 5_000)
            watched.sentinel.client.execute_command("SENTINEL FAILOVER", "ledger")
            async with asyncio.timeout(20):
                # What the old one takes before it knows is lost; that is what logs replay.
                while watched.master.client.role()[0] != b"slave":  # noqa: ASYNC110 - a server's
                    await asyncio.sleep(0.05)
                await b.settle(hold, 3)
            await b.told(seconds_max=20)
            account = hold.partition.account(hold.profile.number)
            assert b"3" == watched.replica.client.hget(account, "spent")


async def test_a_server_that_is_no_master_is_not_taken() -> None:
    """Sentinel may be behind: what it names has to be a master, or is tried again."""
    with sentinels("valkey") as watched:
        watched.master.client.replicaof(HOST, "1")
        store = Store(watched.url)
        await store.connect()
        assert not store.is_ready
        watched.master.client.replicaof("NO", "ONE")
        async with asyncio.timeout(5):
            while not store.is_ready:  # noqa: ASYNC110 - it says so nowhere else
                await asyncio.sleep(0.05)
        await store.close()


async def test_an_unknown_master_is_said(caplog) -> None:
    """Once, with its name; the second Sentinel named is asked too."""
    with sentinels("valkey") as watched:
        for name, ready in (("other", False), ("ledger", True)):
            store = Store(f"redis+sentinel://{HOST}:1,{HOST}:{watched.sentinel.port}/{name}")
            await store.connect()
            assert ready is store.is_ready
            await store.close()
    assert "watches no master called other" in caplog.text
