"""The latest calls of some customers, by an index, on both databases."""

import pytest

from gateway.event import Kind, UsageEvent
from gateway.store.archive import RECENT_MAX, ArchivedEvent, RecentCall

pytestmark = pytest.mark.anyio


def call(second: int, customer: int, **known) -> ArchivedEvent:
    kind = known.pop("kind", Kind.SETTLE)
    event = UsageEvent(
        request_id=f"{customer}-{second}",
        kind=kind,
        at_ms=second * 1_000,
        customer_number=customer,
        model=known.pop("model", "m"),
        **known,
    )
    return ArchivedEvent(0, f"{second}-{customer}", event)


async def test_the_latest_of_each_within_the_span_and_no_refusals(archive) -> None:
    await archive.add(
        [
            call(1, 1, model="too early"),
            call(2, 1, model="a", latency_ms=5),
            call(3, 1, kind=Kind.REFUSE, model="refused"),
            call(4, 1, model="b"),
            call(5, 1, model="too late"),
            call(3, 2, model="c", latency_ms=7),
            call(3, 3, model="of somebody else"),
        ]
    )

    found = await archive.recent.of([1, 2, 9], start_ms=2_000, end_ms=5_000)

    assert [RecentCall("b", None), RecentCall("a", 5)] == list(found[1])
    assert [RecentCall("c", 7)] == list(found[2])
    assert [] == list(found[9])


async def test_no_more_than_so_many_of_each(archive) -> None:
    await archive.add([call(n, 1, latency_ms=n) for n in range(RECENT_MAX + 5)])

    found = await archive.recent.of([1], start_ms=0, end_ms=10**9)

    assert RECENT_MAX == len(found[1])
    assert RECENT_MAX + 4 == found[1][0].latency_ms
