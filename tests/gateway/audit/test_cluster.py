"""A store of three servers is checked as a whole."""

import pytest

from gateway.audit.check import Check
from gateway.audit.walk import verify
from tests.support.clusters import cluster
from tests.support.ledgers import UTC, bench

pytestmark = pytest.mark.anyio


async def test_all_servers_of_a_cluster_are_checked() -> None:
    """Every account is found, wherever it lies; also one that no event tells of."""
    with cluster("valkey") as three:
        async with bench(three.url) as b:
            for i in range(12):
                await b.settle(await b.hold(f"customer-{i}", 9), 5)
            check = Check(b.store, zone=UTC)
            clean = await verify(b.store, check, progress=lambda _: None)
            for partition in b.store.keyspace.partitions:
                await b.command("HSET", partition.account(7), "spent", 1)

            lost = await verify(b.store, check, progress=lambda _: None)

    # Nothing was flushed: counters are behind, by what their cursor says.
    assert (True, 12, 12) == (clean.ok, clean.customers, clean.events)
    assert set(range(64)) == {d.partition for d in lost.differences}
