"""Nobody flushes: what waits is kept, shown, and bounded by the store's memory alone."""

import asyncio
from collections.abc import Iterator
from itertools import islice

import pytest
import redis

from gateway.errors import LedgerUnavailable
from gateway.metering.backlog import WAITING_MAX
from gateway.metering.trimmer import Trimmer
from gateway.store.archive import LogFilter
from gateway.store.keys import Partition
from gateway.store.wire import packed
from gateway.telemetry import REFUSED
from tests.gateway.api.test_audit import scraped
from tests.support.sizes import sized

pytestmark = pytest.mark.anyio

CUSTOMERS = 256
POSTED_AT_ONCE = 5_000
SIZES = [20_000, pytest.param(sized(80_000, full=1_000_000), marks=pytest.mark.slow)]
"""The larger: more in every partition than is looked at of what waits."""
DETAILS = b'{"v":1,"at_ms":1763726400000,"source":"reported","usage":{"input_tokens":3}}'


def entries_of(partitions: tuple[Partition, ...], count: int) -> Iterator[bytes]:
    """Packed XADDs, of calls that cost 1, 2, 3 ... pico-dollars."""
    for i in range(1, count + 1):
        number = i % CUSTOMERS
        stream = partitions[number % len(partitions)].stream
        yield packed(
            *("XADD", stream, "*", "k", "settle", "id", f"r{i}"),
            *("n", number, "a", i, "c", i, "e", DETAILS),
        )


def post(url: str, partitions: tuple[Partition, ...], count: int) -> None:
    with redis.Redis.from_url(url, single_connection_client=True) as client:
        connection = client.connection
        entries = entries_of(partitions, count)
        while batch := list(islice(entries, POSTED_AT_ONCE)):
            connection.send_packed_command(batch)
            for _ in batch:
                connection.read_response()


async def live(api) -> int:
    streams = [p.stream for p in api.bench.store.keyspace.partitions]
    return sum(await api.bench.store.commands([("XLEN", stream) for stream in streams]))


async def counted(api) -> tuple[int, int]:
    """Calls and charges, by the counters of everybody who called."""
    directory = api.bench.directory
    partitions = api.bench.store.keyspace.partitions
    customers = [(partitions[n % len(partitions)], n) for n in range(CUSTOMERS)]
    acme = (directory.partition_of("acme"), (await directory.load("acme")).number)
    found = await api.services.counters.lifetimes([*customers, acme])
    return sum(f.totals.calls for f in found), sum(f.totals.charge_pico for f in found)


@pytest.mark.parametrize("count", SIZES)
async def test_r29_what_waits_for_a_flusher_outlasts_full_memory(api, store_server, count) -> None:
    """None is trimmed, the metrics show it; full, holds are refused, and the rest frees memory."""
    await api.flush()  # as at any start: what is fixed once is there before memory is full
    store = api.bench.store
    partitions = tuple(store.keyspace.partitions)
    trimmer = Trimmer(store, api.flusher.sinks, hot_hours=0)
    held = await api.bench.hold("acme", 50)
    await asyncio.to_thread(post, store_server, partitions, count)
    await asyncio.sleep(0.002)

    assert (0, count) == (await trimmer.step(), await live(api))
    assert trimmer.waiting_ms > 0
    waiting = await scraped(api.client)
    assert count == waiting["farebox_stream_entries",]
    seen = min(count, len(partitions) * WAITING_MAX)
    assert seen == waiting["farebox_flusher_events_behind", "flush"]
    assert seen == waiting["farebox_flusher_events_behind", "archive"]
    assert waiting["farebox_flusher_lag_seconds", "flush"] > 0
    assert ("farebox_store_memory_share",) not in waiting

    bound = int(waiting["farebox_store_memory_bytes",]) - 100_000
    await store.command("CONFIG", "SET", "maxmemory", bound, node_of=partitions[0].stream)
    try:
        with pytest.raises(LedgerUnavailable):
            await api.bench.hold("acme", 50)
        api.services.tallies._telemetry.count(REFUSED, "ledger_unavailable")
        full = await scraped(api.client)
        assert full["farebox_store_memory_share",] >= 1
        assert 1 == full["farebox_ledger_up",]
        assert 1 == full["farebox_calls_refused_total", "ledger_unavailable"]

        await api.bench.settle(held, 9)
        assert (0, count + 1) == (await trimmer.step(), await live(api))

        await api.flush()
        caught_up = await scraped(api.client)
        assert 0 == caught_up["farebox_flusher_events_behind", "flush"]
        assert 0 == caught_up["farebox_flusher_events_behind", "archive"]
        while await trimmer.step():
            pass
        assert (count + 1, 0) == (trimmer.trimmed, await live(api))
        again = await scraped(api.client)
        assert again["farebox_store_memory_share",] < 1
        await api.bench.release(await api.bench.hold("acme", 50))
    finally:
        await store.command("CONFIG", "SET", "maxmemory", 0, node_of=partitions[0].stream)

    charged = count * (count + 1) // 2 + 9
    summary = await api.services.archive.summary(LogFilter())
    assert (count + 1, charged) == await counted(api)
    assert (count + 1, charged) == (summary.requests, summary.charge_pico)
