import pytest
from redis.exceptions import ResponseError

APPLIED, MOVED = 1, 0
pytestmark = pytest.mark.anyio


@pytest.fixture
def partition(store):
    return store.keyspace.partitions[0]


@pytest.fixture(autouse=True)
async def entries(store, partition):
    """What the batches of these tests were read from."""
    for stream_id in ("4-0", "5-0", "9-0"):
        await store.command("XADD", partition.stream, stream_id, "k", "v")


def ours(partition):
    return [partition.cursors, partition.stream, partition.changed]


async def cursor(store, partition):
    return await store.command("HGET", partition.cursors, "flush")


async def test_writes_and_moves_the_cursor(store, partition) -> None:
    """Counters and cursor change together."""
    keys = [*ours(partition), partition.counters(7), partition.counters(8)]

    reply = await store.script(
        "apply", keys, ["flush", "", "5-0", 2, 7, 8, 2, "a", 1, "b", 2, 1, "a", 3]
    )

    assert APPLIED == reply
    assert [b"1", b"2"] == await store.command("HMGET", partition.counters(7), "a", "b")
    assert b"3" == await store.command("HGET", partition.counters(8), "a")
    assert b"5-0" == await cursor(store, partition)
    changed = await store.command("ZRANGE", partition.changed, 0, -1)
    assert {b"7", b"8", b"#"} == set(changed)


@pytest.mark.parametrize("expected", ["", "4-0", "6-0"])
async def test_does_nothing_when_the_cursor_stands_elsewhere(store, partition, expected) -> None:
    """A batch that was read from another place is dropped whole."""
    await store.script("apply", ours(partition), ["flush", "", "5-0", 0])
    keys = [*ours(partition), partition.counters(7)]

    reply = await store.script("apply", keys, ["flush", expected, "9-0", 1, 7, 1, "a", 1])

    assert MOVED == reply
    assert 0 == await store.command("EXISTS", partition.counters(7), partition.changed)
    assert b"5-0" == await cursor(store, partition)


async def test_does_nothing_when_the_store_has_lost_what_was_read(store, partition) -> None:
    """Back without its tail, it has the cursor of then; the batch counts what is gone."""
    keys = [*ours(partition), partition.counters(7)]

    reply = await store.script("apply", keys, ["flush", "", "5-1", 1, 7, 1, "a", 1])

    assert MOVED == reply
    assert 0 == await store.command("EXISTS", partition.counters(7), partition.changed)
    assert await cursor(store, partition) is None


async def test_a_batch_is_never_half_written(store, partition) -> None:
    """A key of another type stops the batch before its first write."""
    await store.command("SET", partition.counters(8), "x")
    keys = [*ours(partition), partition.counters(7), partition.counters(8)]

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.script("apply", keys, ["flush", "", "5-0", 2, 7, 8, 1, "a", 1, 1, "a", 1])

    assert 0 == await store.command("EXISTS", partition.counters(7))
    assert await cursor(store, partition) is None


async def test_takes_a_batch_of_the_largest_size(store, partition) -> None:
    """2,000 keys, and 24 fields for each, pass Lua's limits."""
    keys = [partition.counters(n) for n in range(2_000)]
    fields = [part for i in range(24) for part in (f"f{i}", i)]

    reply = await store.script(
        "apply",
        [*ours(partition), *keys],
        ["flush", "", "5-0", 200, *range(200), *[part for _ in keys for part in (24, *fields)]],
    )

    assert APPLIED == reply
    assert b"23" == await store.command("HGET", keys[-1], "f23")


async def test_runs_when_memory_is_full(store, partition) -> None:
    """What is counted can be trimmed: refusing it would keep the memory full for ever."""
    await store.command("CONFIG", "SET", "maxmemory", 1, node_of=partition.tag)
    try:
        reply = await store.script("apply", ours(partition), ["flush", "", "5-0", 0])
    finally:
        await store.command("CONFIG", "SET", "maxmemory", 0, node_of=partition.tag)

    assert APPLIED == reply
