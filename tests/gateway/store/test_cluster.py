"""A store of several servers: every command finds its own, also while slots move."""

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import TryAgainError

from gateway.audit.roster import roster_differences, write_roster
from gateway.audit.survey import survey
from gateway.errors import BudgetExceeded, BudgetInFlight, LedgerUnavailable
from gateway.metering.roster.indexer import Indexer
from gateway.metering.roster.roster import Roster, Wanted
from gateway.store import cluster as cluster_module
from gateway.store.client import Store
from gateway.store.cluster import slot_of
from gateway.store.keys import CLUSTER_SLOTS, Keyspace
from tests.support.clusters import ClusterOfServers, cluster
from tests.support.ledgers import bench
from tests.support.stores import empty

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["valkey", pytest.param("redis", marks=pytest.mark.slow)])
def three(request: pytest.FixtureRequest) -> Iterator[ClusterOfServers]:
    with cluster(request.param) as nodes:
        yield nodes


@pytest.fixture
def nodes(three: ClusterOfServers) -> ClusterOfServers:
    empty(three.url)
    return three


def customer_of(keyspace: Keyspace, slot: int) -> str:
    """Some customer whose keys lie in `slot`."""
    return next(
        name for name in map(str, count()) if slot_of(keyspace.partition_of(name).tag) == slot
    )


def test_partitions_lie_evenly_over_the_servers(nodes: ClusterOfServers) -> None:
    """Each of three has a third of the customers, give or take one partition."""
    owners = [nodes.owner(slot_of(p.tag)).port for p in Keyspace().partitions]

    assert {21, 22} >= {owners.count(server.port) for server in nodes.masters}


def test_slots_are_the_servers(nodes: ClusterOfServers) -> None:
    """What we compute is what CLUSTER KEYSLOT says."""
    keys = ["a", "{a}b", "{}a", "{a", "x{é}y", "{fb1.2}h", "a}{b}c", "{{a}}"]

    told = [nodes.masters[0].client.execute_command("CLUSTER KEYSLOT", key) for key in keys]

    assert told == [slot_of(key) for key in keys]


@given(st.text(max_size=20), st.text(max_size=20))
def test_keys_of_one_tag_share_a_slot(before: str, after: str) -> None:
    tag = "{fb3.1}"
    assert 0 <= slot_of(before) < CLUSTER_SLOTS
    assert slot_of(tag) == slot_of(tag + before) == slot_of(tag + after)


async def test_a_key_behind_other_words_is_found(nodes: ClusterOfServers) -> None:
    """Of a command that is not known the cluster itself says where it belongs."""
    async with bench(nodes.url) as b:
        for partition in b.store.keyspace.partitions[::7]:
            key = partition.cursors
            await b.command("HSET", key, "flush", "1-0")
            assert b"hash" == await b.command("EVAL", "return redis.call('TYPE',KEYS[1])", 1, key)
            assert b"listpack" == await b.command("OBJECT", "ENCODING", key)


async def test_a_ledger_lives_on_a_cluster(nodes: ClusterOfServers) -> None:
    """Forty customers, each on its own server, in one pipeline a server; all adds up."""
    async with bench(nodes.url) as b:
        assert 3 == len(b.store.identity.split())
        names = [f"customer-{i}" for i in range(40)]
        holds = await asyncio.gather(*(b.hold(name, 100) for name in names))
        await asyncio.gather(*(b.settle(hold, 7) for hold in holds[:20]))
        await asyncio.gather(*(b.release(hold) for hold in holds[20:30]))
        assert 10 == sum(await asyncio.gather(*(b.lapse(hold) for hold in holds[30:])))

        spent = await asyncio.gather(*(b.spent(name) for name in names))
        assert [7] * 20 + [0] * 10 + [100] * 10 == spent
        assert all(server.client.dbsize() > 10 for server in nodes.masters)


async def test_the_books_of_every_server_are_found(nodes: ClusterOfServers) -> None:
    """What walks all keys walks them on each server."""
    async with bench(nodes.url) as b:
        await asyncio.gather(*(b.hold(f"customer-{i}", 1) for i in range(40)))

        found = await survey(b.store, counters=True)

        assert 3 == len(b.store.key_a_server())
        assert 40 == sum(len(known.numbers) for known in found.values())


async def test_scripts_are_loaded_on_each_server(nodes: ClusterOfServers) -> None:
    """A server whose cache was flushed gets them again, and only then."""
    async with bench(nodes.url) as b:
        for server in nodes.masters:
            server.client.script_flush()
        await asyncio.gather(*(b.hold(f"customer-{i}", 1) for i in range(20)))


async def test_a_moved_slot_is_followed(nodes: ClusterOfServers) -> None:
    """A slot that went elsewhere is found there; nothing is counted as lost."""
    async with bench(nodes.url) as b:
        told = []
        b.store.on_change(lambda: told.append(1))
        slot = slot_of(b.store.keyspace.partitions[9].tag)
        name = customer_of(b.store.keyspace, slot)
        hold = await b.hold(name, 5)
        home = nodes.owner(slot)
        for target in (nodes.next_to(home), home):
            with nodes.migrating(slot, target):
                pass
            assert target is nodes.owner(slot)
            assert 5 == await b.held(name)
            await b.hold(name, 0)
        await b.settle(hold, 3)
        assert (3, []) == (await b.spent(name), told)


async def test_a_migration_under_load_is_exact(nodes: ClusterOfServers) -> None:
    """Two gateways' calls go on while their slot is moved key by key: none beyond the limit.

    And none is lost: what was settled is what was spent, call by call, up to the limit.
    """
    limit, amount = 15_000, 10
    async with bench(nodes.url) as b, bench(nodes.url) as other:
        slot = slot_of(b.store.keyspace.partitions[20].tag)
        name = customer_of(b.store.keyspace, slot)
        await b.directory.create(name, {"period_budget": limit})
        home = nodes.owner(slot)
        target = nodes.next_to(home)
        settled = 0

        async def calls(gateway) -> None:
            nonlocal settled
            while True:
                try:
                    hold = await gateway.hold(name, amount)
                except (BudgetExceeded, BudgetInFlight):
                    return
                except LedgerUnavailable:
                    await asyncio.sleep(0.01)  # it says so at once: let the loop turn
                    continue
                await gateway.settle(hold, amount)
                settled += amount

        traffic = [asyncio.create_task(calls(g)) for g in (b, other) for _ in range(4)]
        await asyncio.sleep(0.05)
        before = settled
        with nodes.migrating(slot, target) as step:
            for _ in range(20):  # it has some seven keys
                step()
                await asyncio.sleep(0.02)
        assert 0 < before <= settled < limit
        await asyncio.gather(*traffic)

        events = await b.events(name)
        assert limit == settled == await b.spent(name) == sum(e.charge_pico for e in events)
        assert limit // amount == len({e.request_id for e in events if e.charge_pico})
        assert 0 == await b.held(name)
        with nodes.migrating(slot, home):
            pass


async def test_a_slot_on_its_way_stops_no_other_partition(nodes: ClusterOfServers) -> None:
    """Whether calls are let in is asked of each server, and of none for as long as that."""
    async with bench(nodes.url) as b:
        firsts = {b.store._way.link_of(p.cursors): p for p in b.store.keyspace.partitions}
        slot = slot_of(next(iter(firsts.values())).tag)
        home = nodes.owner(slot)
        with nodes.migrating(slot, nodes.next_to(home)):
            await b.store.admits()
        with nodes.migrating(slot, home):
            pass


async def test_keys_that_stay_apart_make_the_store_unavailable(
    nodes: ClusterOfServers, monkeypatch
) -> None:
    """A script on keys of two servers is tried again for a while, then refused: not done."""
    monkeypatch.setattr(cluster_module, "REDIRECT_SECONDS_MAX", 0.3)
    async with bench(nodes.url) as b:
        slot = slot_of(b.store.keyspace.partitions[30].tag)
        name = customer_of(b.store.keyspace, slot)
        hold = await b.hold(name, 5)
        home = nodes.owner(slot)
        target = nodes.next_to(home)
        with nodes.migrating(slot, target) as step:
            step()
            with pytest.raises(LedgerUnavailable) as refused:
                await b.hold(name, 1)
            assert isinstance(refused.value.__cause__, TryAgainError)
            settling = asyncio.create_task(b.settle(hold, 3))
        await settling
        assert (3, 0) == (await b.spent(name), await b.held(name))
        with nodes.migrating(slot, home):
            pass


async def test_a_key_on_its_way_is_asked_for_where_it_is(nodes: ClusterOfServers) -> None:
    """ASK sends one command to the new server; the slot stays where it is until it is given."""
    async with bench(nodes.url) as b:
        partition = b.store.keyspace.partitions[40]
        slot = slot_of(partition.tag)
        home = nodes.owner(slot)
        target = nodes.next_to(home)
        await b.command("HSET", partition.cursors, "flush", "1-0")
        await b.command("XADD", partition.stream, "2-0", "k", "v")
        await b.store.script("mark", [partition.changed], [7])
        with nodes.migrating(slot, target) as step:
            assert 3 == step(3)
            for _ in range(3):
                assert b"1-0" == await b.command("HGET", partition.cursors, "flush")
            assert home is nodes.owner(slot)
            keys = [partition.cursors, partition.stream, partition.changed]
            assert 1 == await b.store.script("apply", keys, ["flush", "1-0", "2-0", 0])
        with nodes.migrating(slot, home):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_a_replica_takes_over(kind: str) -> None:
    """A master is killed: its customers get 503 for a moment, then go on; the change is told."""
    with cluster(kind, replicas=True) as nodes:
        async with bench(nodes.url) as b:
            told: list[int] = []
            b.store.on_change(lambda: told.append(1))
            slot = slot_of(b.store.keyspace.partitions[0].tag)
            name = customer_of(b.store.keyspace, slot)
            hold = await b.hold(name, 5)
            assert 1 == await b.store.command("WAIT", 1, 5_000, node_of=hold.partition.tag)
            nodes.owner(slot).kill()
            with pytest.raises(LedgerUnavailable):
                await b.hold(name, 5)
            await b.settle(hold, 3)
            await b.told(seconds_max=30)
            assert told
            assert (3, 0) == (await b.spent(name), await b.held(name))
            await b.hold(name, 1)


async def test_a_cluster_that_is_away_at_the_start() -> None:
    """It is said at once, and the store is tried again until it comes."""
    store = Store("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    await store.connect()
    assert not store.is_ready
    with pytest.raises(LedgerUnavailable):
        await store.command("GET", "{fb}meta")
    await store.close()


async def test_the_roster_follows_customers_of_every_server(nodes: ClusterOfServers) -> None:
    """One list of all, wherever they live; rebuilt, and without who was deleted."""
    async with bench(nodes.url) as b:
        names = {customer_of(b.store.keyspace, slot_of(p.tag)) for p in b.store.keyspace.partitions}
        for name in names:
            await b.directory.create(name, {})
        indexer, roster = Indexer(b.store), Roster(b.store)
        while await indexer.step():
            pass
        assert names == {row.identifier for row in (await roster.page(Wanted(size=100))).rows}
        gone = min(names)
        await b.directory.delete(gone)
        assert len(names) == await write_roster(b.store)  # one of them is taken off
        assert [] == await roster_differences(b.store)
        left = {row.identifier for row in (await roster.page(Wanted(size=100))).rows}
        assert names - {gone} == left
