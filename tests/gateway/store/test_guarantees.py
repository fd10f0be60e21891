"""The start-up audit says what a store's settings promise, and refuses what loses money."""

import asyncio

import pytest
import redis

from gateway.errors import LedgerUnavailable
from gateway.store.client import Store
from gateway.store.embedded import EmbeddedStore
from gateway.store.guarantees import Verdict, audited, judged
from gateway.store.identity import Unfit
from tests.support.clusters import HOST, cluster, sentinels
from tests.support.stores import server

pytestmark = pytest.mark.anyio

INFO = {
    "redis_version": "7.0.15",
    "aof_enabled": "1",
    "maxmemory": "0",
    "maxmemory_policy": "noeviction",
    "connected_slaves": "0",
}
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "min-replicas-to-write": "0",
}
ALWAYS = SETTINGS | {"appendfsync": "always"}


def verdicts(info=None, settings=SETTINGS, **options) -> str:
    """One promise a line, as it is told."""
    found = judged(INFO | (info or {}), settings, **options)
    return "\n".join(f"{promise.verdict}: {promise.text}" for promise in found)


@pytest.mark.parametrize(
    ("info", "settings", "expected"),
    [
        ({}, SETTINGS, "ok: Redis 7.0.15"),
        ({}, SETTINGS, "ok: no key is evicted; its memory has no bound"),
        ({}, SETTINGS, "ok: no replica"),
        ({}, SETTINGS, "a power failure can take back up to 2 s; the gateways' own logs replay"),
        ({}, ALWAYS, "ok: append-only file, on disk before each answer"),
        ({}, SETTINGS | {"appendfsync": "no"}, "warning: append-only file, on disk when"),
        ({"redis_version": "6.2.1"}, SETTINGS, "fault: Redis 6.2.1 is too old: 7.0 or newer"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.0"}, SETTINGS, "ok: Valkey 8.1.0"),
        ({"valkey_version": "7.1"}, SETTINGS, "fault: Valkey 7.1 is too old: 7.2 or newer"),
        ({"redis_version": "next"}, SETTINGS, "warning: Redis next: an unknown version"),
        ({"maxmemory_policy": "volatile-ttl"}, SETTINGS, "fault: it evicts keys (volatile-ttl)"),
        ({"maxmemory": "99"}, SETTINGS, "ok: no key is evicted; when its memory is full"),
        ({"connected_slaves": "1"}, SETTINGS, "warning: replicated, but a master cut off"),
        (
            {"connected_slaves": "1"},
            SETTINGS | {"min-replicas-to-write": "1"},
            "ok: replicated; a failover can take back",
        ),
        ({"connected_slaves": "1"}, None, "warning: replicated"),
        ({"aof_enabled": "0"}, SETTINGS, "warning: nothing is kept on disk"),
        ({"aof_enabled": "0"}, SETTINGS | {"save": "3600 1"}, "warning: only snapshots on disk"),
        ({}, None, "warning: it does not tell how it writes to disk"),
    ],
)
def test_settings_are_told_in_plain_words(info, settings, expected) -> None:
    assert expected in verdicts(info, settings)


def test_strict_durability_needs_the_disk() -> None:
    """What a strict gateway answers must not be taken back by a power failure."""
    assert "fault" not in verdicts(settings=ALWAYS, strict=True)
    assert "fault: durability strict needs" in verdicts(strict=True)
    assert "fault: durability strict needs" in verdicts(
        {"aof_enabled": "0"}, settings=ALWAYS, strict=True
    )
    assert "unknown" in verdicts(settings=None, strict=True)


def test_a_server_of_a_cluster_is_no_store_alone() -> None:
    assert "write redis.url as redis+cluster://" in verdicts({"cluster_enabled": "1"}, alone=True)
    assert "redis+cluster" not in verdicts({"cluster_enabled": "1"})


async def test_a_real_server_is_asked(url: str) -> None:
    """Nothing is written on the way."""
    found = await audited(url)

    assert () == found.faults
    with redis.Redis.from_url(url) as admin:
        assert 0 == admin.dbsize()
    assert any("nothing is kept on disk" in promise.text for promise in found.promises)
    store = Store(url)
    assert found == await store.guarantees()


async def test_what_may_not_be_asked_is_unknown() -> None:
    """Managed servers forbid CONFIG, some INFO too: said as a warning, not assumed."""
    with server("valkey") as url, redis.Redis.from_url(url) as admin:
        admin.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", "-config"])
        found = await audited(url)
        assert () == found.faults
        assert Verdict.WARNING in {p.verdict for p in found.promises}
        admin.acl_setuser(
            "default", enabled=True, nopass=True, commands=["+@all", "-config", "-info"]
        )
        blind = await audited(url)
        assert {Verdict.WARNING} == {p.verdict for p in blind.promises}


async def test_a_store_that_evicts_is_left_until_it_does_not(caplog) -> None:
    """Set while we run, or found when it comes: commands fail, and one line says the remedy."""
    with server("valkey") as url, redis.Redis.from_url(url) as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        store = Store(url)
        await store.connect()
        with pytest.raises(LedgerUnavailable):
            await store.command("GET", "{fb}meta")
        admin.config_set("maxmemory-policy", "noeviction")
        async with asyncio.timeout(5):
            while not store.is_ready:  # noqa: ASYNC110 - it says so nowhere else
                await asyncio.sleep(0.05)
        admin.config_set("maxmemory-policy", "volatile-lru")
        with pytest.raises(LedgerUnavailable):  # noqa: PT012 - from the next heartbeat on
            async with asyncio.timeout(5):
                while True:
                    await store.command("GET", "{fb}x")
                    await asyncio.sleep(0.1)
        await store.close()
    lines = [r.message for r in caplog.records if "set maxmemory-policy noeviction" in r.message]
    assert 2 == len(lines)


@pytest.mark.slow
async def test_the_servers_of_a_cluster_and_behind_sentinel_are_asked() -> None:
    with cluster("valkey") as nodes:
        good = await audited(nodes.url)
        nodes.masters[1].client.config_set("maxmemory-policy", "allkeys-lfu")
        bad = await audited(nodes.url)
        alone = await audited(f"redis://{HOST}:{nodes.masters[0].port}")
        assert ((), 1) == (good.faults, len(bad.faults))
        assert "redis+cluster://" in alone.faults[0]
    with sentinels("valkey") as watched:
        found = await audited(watched.url)
        assert any("set min-replicas-to-write 1" in p.text for p in found.promises)
    with server("valkey") as url, redis.Redis.from_url(url):
        with pytest.raises((redis.RedisError, OSError)):
            await audited("redis+cluster://127.0.0.1:1")
        with pytest.raises(Unfit):
            await audited("redis+sentinel://127.0.0.1:1/m")


def appendfsync(store: EmbeddedStore) -> str:
    with redis.Redis.from_url(store.url, decode_responses=True) as admin:
        return str(admin.config_get("appendfsync")["appendfsync"])


async def test_strict_durability_of_the_embedded_store(tmp_path) -> None:
    """The disk has each write before it is answered; standard is within a second."""
    with EmbeddedStore(tmp_path / "data", durable=True) as embedded:
        assert "always" == appendfsync(embedded)
        store = Store(embedded.url, durable=True)
        await store.connect()
        assert store.is_ready
        assert () == (await store.guarantees()).faults
        await store.close()
        embedded_again = EmbeddedStore(tmp_path / "data")
        embedded_again._attach_or_start()
        assert "everysec" == appendfsync(embedded)
    with EmbeddedStore(tmp_path / "data") as embedded:
        assert "everysec" == appendfsync(embedded)
        strict = Store(embedded.url, durable=True)
        await strict.connect()
        assert not strict.is_ready
        await strict.close()


async def test_strict_durability_waits_for_a_replica(caplog) -> None:
    """A batch that none confirmed in time is counted and said; it is done all the same."""
    with sentinels("valkey") as watched:
        for one in (watched.master, watched.replica):
            one.client.config_set("appendonly", "yes")
            one.client.config_set("appendfsync", "always")
        store = Store(watched.url, durable=True)
        await store.connect()
        await store.command("SET", "{fb}x", 1)
        assert (b"1", 0) == (watched.replica.client.get("{fb}x"), store.short_waits)

        watched.replica.process.send_signal(19)  # SIGSTOP
        assert 1 == await store.command("INCR", "{fb}y")
        assert 1 == store.short_waits
        watched.replica.process.send_signal(18)  # SIGCONT
        await store.close()
    assert "store_not_replicated" in caplog.text
