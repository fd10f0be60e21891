"""Old rows go, and what they came to stays, exactly."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.metering.fold import Change, fold
from gateway.metering.retention import DAY_MS, Retention, change_of, past_days
from gateway.store.archive import Archive, ArchivedEvent, PastDay
from gateway.store.archive import archive as archive_module
from tests.gateway.metering.posting import NOON_MS, ZONE, call

pytestmark = pytest.mark.anyio


def rows(events, *, start_ms: int, partition: int = 0) -> list[ArchivedEvent]:
    return [
        ArchivedEvent(partition, f"{start_ms + i * DAY_MS}-0", event)
        for i, event in enumerate(events)
    ]


def summed(past, kept) -> dict[int, Change]:
    """The fold of what is left and of what is past, as a rebuild adds them up."""
    found = fold((row.event for row in kept), ZONE)
    for number, change in change_of(past).items():
        found[number] = change.plus(found[number]) if number in found else change
    return found


events = st.lists(
    st.builds(
        lambda i, number, app, group: replace(call(i, number), app=app, group=group),
        st.integers(0, 40),
        st.integers(0, 2),
        st.sampled_from("ab"),
        st.sampled_from((None, "g")),
    ),
    max_size=25,
)


@given(events, st.integers(0, 25))
def test_past_and_rows_add_up_to_the_events(posted, cut) -> None:
    """Wherever the cut is."""
    gone, kept = posted[:cut], rows(posted[cut:], start_ms=0)

    assert fold(posted, ZONE) == summed(past_days(gone, ZONE), kept)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events, st.lists(st.integers(0, 25), max_size=4))
def test_the_archive_adds_up_what_it_removes(tmp_path_factory, posted, cuts) -> None:
    """In any number of steps; what a rebuild reads is the same before and after each."""
    named = [replace(event, request_id=f"r{i}") for i, event in enumerate(posted)]
    written = rows(named, start_ms=NOON_MS)

    async def work() -> None:
        archive = await Archive.open(tmp_path_factory.mktemp("archive"))
        await archive.add(written)
        for cut in sorted(cuts):
            until = f"{NOON_MS + cut * DAY_MS}-0"
            while await archive.retire(0, until, fold_rows):
                pass
            kept = await archive.events_of(0)
            assert fold(named, ZONE) == summed(await archive.past(0), kept)
            assert written[cut + 1 :] == kept
        await archive.close()

    asyncio.run(work())


def fold_rows(found) -> list[PastDay]:
    return past_days((row.event for row in found), ZONE)


@pytest.fixture
async def now_ms(store) -> int:
    return int(await store.time_ms(store.keyspace.partitions[0]))


async def trimmed_to(store, stream_id: str) -> None:
    for partition in store.keyspace.partitions:
        await store.command("HSET", partition.cursors, "trim", stream_id)


async def test_removes_what_is_older_than_it_says(store, archive, now_ms, monkeypatch) -> None:
    """By the time of arrival and the store's clock, in batches; younger rows stay."""
    monkeypatch.setattr(archive_module, "RETIRED_MAX", 3)
    old = rows([call(i) for i in range(10)], start_ms=now_ms - 9 * DAY_MS - 5_000)
    other = rows([call(50)], start_ms=now_ms - 100 * DAY_MS, partition=9)
    await archive.add(old + other)
    await trimmed_to(store, f"{now_ms}-0")
    retention = Retention(store, archive, zone=ZONE, days=4)

    assert 4 == await retention.step()
    while await retention.step():
        pass

    assert [row.stream_id for row in old[6:]] == [r.stream_id for r in await archive.events_of(0)]
    assert [] == await archive.events_of(9)
    assert 7 == retention.removed
    assert 1 == len(await archive.past(9))


@pytest.mark.parametrize("trimmed", ["", "5-0"])
async def test_keeps_what_may_come_again(store, archive, now_ms, trimmed) -> None:
    """An entry that is still in its stream could be archived once more, and count twice."""
    await archive.add(rows([call(1)], start_ms=now_ms - 100 * DAY_MS))
    if trimmed:
        await trimmed_to(store, trimmed)

    assert 0 == await Retention(store, archive, zone=ZONE, days=4).step()


async def test_keeps_everything_when_told_to(store, archive, now_ms) -> None:
    """`retention_days: null`."""
    await archive.add(rows([call(1)], start_ms=now_ms - 100 * DAY_MS))
    await trimmed_to(store, f"{now_ms}-0")

    assert 0 == await Retention(store, archive, zone=ZONE, days=None).step()
    assert 1 == len(await archive.events_of(0))


async def test_a_failure_takes_nothing_away(store, archive, now_ms) -> None:
    """Sums and removal are one transaction."""
    written = rows([call(1), call(2)], start_ms=now_ms - 100 * DAY_MS)
    await archive.add(written)

    def fails(_) -> list[PastDay]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await archive.retire(0, f"{now_ms}-0", fails)

    assert written == await archive.events_of(0)
    assert [] == await archive.past(0)


async def test_two_at_once_add_up_once(tmp_path, store, archive, now_ms) -> None:
    """A lease only saves work, here too."""
    named = [replace(call(i), request_id=f"r{i}") for i in range(300)]
    start_ms = now_ms - int(timedelta(days=400) / timedelta(milliseconds=1))
    await archive.add(rows(named, start_ms=start_ms))
    await trimmed_to(store, f"{now_ms}-0")
    other = await Archive.open(tmp_path)
    both = [Retention(store, a, zone=ZONE, days=50) for a in (archive, other)]
    await asyncio.gather(*(one.step() for one in both for _ in range(3)))
    await other.close()

    assert fold(named, ZONE) == summed(await archive.past(0), await archive.events_of(0))
    assert 300 == sum(one.removed for one in both)
