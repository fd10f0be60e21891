"""A server that is not the one it was: told first, and nothing decided by the old one lands."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import redis

from gateway.errors import LedgerUnavailable
from gateway.store import link
from gateway.store.client import Store
from tests.support.stores import running, server

pytestmark = pytest.mark.anyio

KEY = "{fb1.1}hx"


@asynccontextmanager
async def opened(url: str):
    store = Store(url)
    told: list[str] = []
    store.on_change(lambda: told.append(store.identity))
    await store.connect()
    try:
        yield store, told
    finally:
        await store.close()


async def until(true, seconds: float = 5.0):
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


async def test_a_restart_is_noticed_without_traffic(tmp_path) -> None:
    """An idle gateway learns within two heartbeats that the store may have lost something."""
    with running("valkey", tmp_path) as url:
        store = Store(url)
        told: list[str] = []
        store.on_change(lambda: told.append(store.identity))
        await store.connect()
        before = store.identity
        assert before
    (tmp_path / "s.sock").unlink(missing_ok=True)
    with running("valkey", tmp_path):
        await until(lambda: told)
        assert [store.identity] == told
        assert before != store.identity
        await store.close()


async def test_a_torn_connection_to_the_same_server_is_no_change(url: str) -> None:
    """Nothing is lost with a connection: no replay, and all commands are sent again."""
    async with opened(url) as (store, told):
        with redis.Redis.from_url(url) as admin:
            before = store.identity
            admin.client_kill_filter(_type="normal", skipme=True)
            assert 0 == await store.script("renew", [KEY], [1_000, "x"], since=store.changes)
        assert (before, []) == (store.identity, told)


async def test_what_was_decided_before_a_restart_does_not_land_after_it(tmp_path) -> None:
    """Of the broken batch, behind it, or given only now: it fails; the others are done."""
    with running("valkey", tmp_path) as url:
        store = Store(url)
        told: list[int] = []
        store.on_change(lambda: told.append(1))
        await store.connect()
    (tmp_path / "s.sock").unlink(missing_ok=True)
    with running("valkey", tmp_path):
        before = store.changes
        decided = [
            store.script("renew", [KEY], [1_000, "x"], since=before)
            for _ in range(link.BATCH_COMMANDS_MAX + 5)
        ]
        lasting = store.command("INCR", KEY)
        outcomes = await asyncio.gather(*decided, return_exceptions=True)
        assert {LedgerUnavailable} == {type(o) for o in outcomes}
        assert [1] == told
        assert 1 == await lasting
        with pytest.raises(LedgerUnavailable):
            await store.script("renew", [KEY], [1_000, "x"], since=before)
        assert 0 == await store.script("renew", [f"{KEY}2"], [1_000, "x"], since=store.changes)
        await store.close()


async def test_a_change_behind_a_living_connection_is_noticed() -> None:
    """A master that followed another for a moment holds the other's data; nothing broke."""
    with server("valkey") as url, redis.Redis.from_url(url) as admin:
        async with opened(url) as (_, told):
            admin.replicaof("127.0.0.1", "1")
            admin.replicaof("NO", "ONE")
            await until(lambda: told)


async def test_a_listener_that_fails_does_not_end_the_sender(tmp_path, caplog) -> None:
    """The others are told all the same, and commands go on."""
    with running("valkey", tmp_path) as url:
        store = Store(url)
        told: list[int] = []
        store.on_change(lambda: told.append(1 // 0))
        store.on_change(lambda: told.append(2))
        await store.connect()
    (tmp_path / "s.sock").unlink(missing_ok=True)
    with running("valkey", tmp_path):
        await until(lambda: told)
        assert ([2], b"PONG") == (told, await store.command("PING"))
        await store.close()
    assert "store_change_unheard" in caplog.text


async def test_a_server_that_does_not_say_who_it_is() -> None:
    """Managed servers may forbid INFO: then each reconnect counts as a restart."""
    with server("valkey") as url, redis.Redis.from_url(url) as admin:
        admin.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", "-info"])
        async with opened(url) as (store, told):
            admin.client_kill_filter(_type="normal", skipme=True)
            await store.command("PING")
            assert 1 == len(told)
            await asyncio.sleep(1.2 * link.HEARTBEAT_SECONDS)
            assert 1 == len(told)


async def test_the_time_is_the_servers(url: str) -> None:
    async with opened(url) as (store, _):
        with redis.Redis.from_url(url) as admin:
            seconds, micros = admin.time()
        asked = await store.time_ms(store.keyspace.partitions[3])
        assert 0 <= asked - (seconds * 1000 + micros // 1000) < 5_000
        assert asked <= await store.time_ms(KEY)


async def test_a_server_that_reads_its_data_is_away(tmp_path, monkeypatch) -> None:
    """It answers INFO meanwhile, which must not pass for being there."""
    loading = b"run_id:1\r\nmaster_replid:2\r\nloading:1\r\n"
    with server("valkey") as url:
        async with opened(url) as (store, told):
            real = store._way.links[0]._wire._round_trip

            async def reading(batch):
                return [loading] if b"INFO" in batch[0] else await real(batch)

            monkeypatch.setattr(store._way.links[0]._wire, "_round_trip", reading)
            await store._way.links[0]._wire.drop()
            with pytest.raises(LedgerUnavailable):
                await store.command("PING")
            monkeypatch.undo()
            assert b"PONG" == await store.command("PING")
            assert [] == told
