from datetime import UTC, date

import pytest

from gateway.metering.counters import DAYS_MAX, LIFETIMES_MAX, Counters, lifetime_fields
from gateway.metering.totals import DayTotals, Lifetime, Totals, pack

pytestmark = pytest.mark.anyio

LIFETIME = Lifetime(
    totals=Totals(calls=3, cost_pico=2**70, charge_pico=-(2**70), first_token_calls=1),
    first_seen_ms=5,
    last_seen_ms=9,
    active_days=2,
)


@pytest.fixture
def partition(store):
    return store.keyspace.partitions[3]


async def test_reads_back_a_lifetime_beyond_int64(store, partition) -> None:
    """Lifetime totals carry: they may outgrow what Redis can add."""
    fields = lifetime_fields(Lifetime(), LIFETIME)
    await store.command("HSET", partition.counters(7), *fields)
    counters = Counters(store, UTC)

    assert LIFETIME == await counters.lifetime(partition, 7)
    assert Lifetime() == await counters.lifetime(partition, 8)
    assert [Lifetime(), LIFETIME] == await counters.lifetimes([(partition, 8), (partition, 7)])


def test_writes_only_what_changed() -> None:
    """A batch costs the store what it changes."""
    after = Lifetime(totals=Totals(calls=4), first_seen_ms=1, last_seen_ms=2)
    before = Lifetime(totals=Totals(calls=3), first_seen_ms=1, last_seen_ms=1)

    assert ["calls", "4", "last_seen_ms", "2"] == lifetime_fields(before, after)


async def test_reads_days_over_the_end_of_a_year(store, partition) -> None:
    """Days come oldest first, from a half-open range, without the empty ones."""
    written = {
        date(2025, 12, 31): DayTotals(calls=1),
        date(2026, 1, 1): DayTotals(calls=2, cost_pico=2**70),
        date(2026, 1, 31): DayTotals(calls=3),
        date(2026, 2, 1): DayTotals(calls=4),
    }
    for day, totals in written.items():
        key = partition.days(7, f"{day:%Y%m}")
        await store.command("HSET", key, f"{day:%d}", pack(totals))
    counters = Counters(store, UTC)

    found = await counters.days(partition, 7, date(2025, 12, 31), date(2026, 2, 1))

    assert list(written.items())[:3] == found
    assert [] == await counters.days(partition, 7, date(2026, 2, 1), date(2025, 2, 1))


async def test_readings_are_bounded(store, partition) -> None:
    """One question never asks the store for everything."""
    counters = Counters(store, UTC)

    with pytest.raises(ValueError, match="days at once"):
        await counters.days(partition, 7, date(2000, 1, 1), date(2000 + DAYS_MAX // 365 + 1, 1, 1))
    with pytest.raises(ValueError, match="customers at once"):
        await counters.lifetimes([(partition, 1)] * (LIFETIMES_MAX + 1))
