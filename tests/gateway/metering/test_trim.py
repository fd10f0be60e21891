"""trim.lua: what goes from a stream is in the checkpoints, and only what nobody needs goes."""

import pytest
from redis.exceptions import ResponseError

TRIMMED, MOVED, NEEDED = 1, 0, 2
DAY_MS = 86_400_000
pytestmark = pytest.mark.anyio


@pytest.fixture
def partition(store):
    return store.keyspace.partitions[0]


@pytest.fixture(autouse=True)
async def entries(store, partition):
    """Old ones, which both sinks have passed."""
    for stream_id in ("4-0", "5-0", "5-18446744073709551615", "9-0"):
        await store.command("XADD", partition.stream, stream_id, "k", "v")
    await passed(store, partition, "9-0")


async def passed(store, partition, flush, archive=None):
    await store.command("HSET", partition.cursors, "flush", flush, "archive", archive or flush)


def trim(store, partition, *, expected="", last="5-0", after="5-1", hot_ms=DAY_MS, sums=()):
    keys = [partition.cursors, partition.stream, partition.checkpoints]
    return store.script("trim", keys, [expected, last, after, hot_ms, *sums])


async def live(store, partition) -> list[str]:
    return [i.decode() for i, _ in await store.command("XRANGE", partition.stream, "-", "+")]


async def unchanged(store, partition) -> bool:
    return (
        4 == await store.command("XLEN", partition.stream)
        and not await store.command("EXISTS", partition.checkpoints)
        and await store.command("HGET", partition.cursors, "trim") is None
    )


async def test_drops_writes_and_moves(store, partition) -> None:
    """Entries, checkpoints and cursor change together."""
    assert TRIMMED == await trim(store, partition, sums=[7, "10 9", 8, "1 1"])

    assert ["5-18446744073709551615", "9-0"] == await live(store, partition)
    assert [b"10 9", b"1 1"] == await store.command("HMGET", partition.checkpoints, 7, 8)
    assert b"5-0" == await store.command("HGET", partition.cursors, "trim")


async def test_goes_on_from_where_it_stood(store, partition) -> None:
    """Entries that add nothing to anybody need no checkpoint."""
    await trim(store, partition)
    last = "5-18446744073709551615"

    assert TRIMMED == await trim(store, partition, expected="5-0", last=last, after="6-0")

    assert ["9-0"] == await live(store, partition)
    assert 0 == await store.command("EXISTS", partition.checkpoints)


@pytest.mark.parametrize("expected", ["4-0", "9-0"])
async def test_does_nothing_when_trimming_stands_elsewhere(store, partition, expected) -> None:
    """Its sums were made with other checkpoints."""
    assert MOVED == await trim(store, partition, expected=expected, sums=[7, "10 9"])
    assert await unchanged(store, partition)


async def test_does_nothing_when_the_store_has_lost_what_was_read(store, partition) -> None:
    """The last entry is not there: sums and cursors are those of another life."""
    assert MOVED == await trim(store, partition, last="5-1", after="5-2", sums=[7, "10 9"])
    assert await unchanged(store, partition)


@pytest.mark.parametrize(
    ("flush", "archive"),
    [
        ("4-0", "9-0"),
        ("9-0", "4-0"),
        ("4-9", "4-9"),
        ("", "9-0"),
        ("9-0", "junk"),
        ("9", "9-0"),
    ],
)
async def test_r29_nothing_goes_that_a_cursor_has_not_passed(
    store, partition, flush, archive
) -> None:
    """Also when the store has come back with older cursors than the trimmer has read."""
    await passed(store, partition, flush, archive)

    assert NEEDED == await trim(store, partition, sums=[7, "10 9"])
    assert await unchanged(store, partition)


@pytest.mark.parametrize("cursor", ["5-0", "5-1", "6-0", "10-0", "1000-0"])
async def test_what_both_cursors_have_passed_goes(store, partition, cursor) -> None:
    """Ids compare as numbers."""
    await passed(store, partition, cursor)

    assert TRIMMED == await trim(store, partition)


async def test_the_hot_window_is_the_servers(store, partition) -> None:
    """Whoever asks, with whatever clock: what is young stays."""
    young = (await store.command("XADD", partition.stream, "*", "k", "v")).decode()
    await passed(store, partition, young)

    assert NEEDED == await trim(store, partition, last=young, after=young + "9")
    assert 5 == await store.command("XLEN", partition.stream)


async def test_a_batch_is_never_half_done(store, partition) -> None:
    """A key of another type stops it before its first write."""
    await store.command("SET", partition.checkpoints, "x")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await trim(store, partition, sums=[7, "10 9"])

    assert 4 == await store.command("XLEN", partition.stream)
    assert await store.command("HGET", partition.cursors, "trim") is None


async def test_takes_a_batch_of_the_largest_size(store, partition) -> None:
    """A thousand customers pass Lua's limits."""
    sums = [part for n in range(1_000) for part in (2**61 + n, f"{10**30 + n} -{10**30}")]

    assert TRIMMED == await trim(store, partition, sums=sums)
    assert 1_000 == await store.command("HLEN", partition.checkpoints)


async def test_runs_when_memory_is_full(store, partition) -> None:
    """That is what it is for."""
    await store.command("CONFIG", "SET", "maxmemory", 1, node_of=partition.tag)
    try:
        reply = await trim(store, partition, sums=[7, "10 9"])
    finally:
        await store.command("CONFIG", "SET", "maxmemory", 0, node_of=partition.tag)

    assert TRIMMED == reply
