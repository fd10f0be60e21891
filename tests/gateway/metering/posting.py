"""Events to post and to look for again, as the tests of this folder share them."""

from datetime import date
from zoneinfo import ZoneInfo

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.metering.counters import Counters
from gateway.metering.flusher import Flusher
from gateway.metering.fold import advance, fold
from gateway.metering.totals import DayTotals, Lifetime
from gateway.store.archive import LogFilter
from pricing.usage import Usage

NOON_MS = 1_763_726_400_000  # 2025-11-21T12:00Z
DAY_MS = 86_400_000
ZONE = ZoneInfo("Europe/Berlin")
DAYS = (date(2025, 10, 1), date(2027, 1, 1))


class StillClock:
    def __init__(self) -> None:
        self.seconds = NOON_MS / 1000

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


def call(i: int, number: int = 1, **fields) -> UsageEvent:
    """The i-th call; a tenth of them is something else than a plain success."""
    kind = [Kind.SETTLE, Kind.EVENT, Kind.REFUSE, Kind.RELEASE][i % 10 if i % 10 < 4 else 0]
    return UsageEvent(
        request_id=f"r{i}",
        kind=kind,
        at_ms=NOON_MS + i * DAY_MS // 4,
        customer_number=number,
        charge_pico=0 if kind in (Kind.REFUSE, Kind.RELEASE) else 1_000 + i,
        cost_pico=0 if kind in (Kind.REFUSE, Kind.RELEASE) else 900 + i,
        usage=Usage(input_tokens=i, output_tokens=1),
        source=Source.REPORTED,
        status=Status.REJECTED if kind is Kind.REFUSE else Status.OK,
        **fields,
    )


async def post(store, *events: UsageEvent) -> None:
    """As the scripts do it: each customer into the partition of its number, for simplicity."""
    await store.commands(
        [
            (
                *("XADD", home(store, e.customer_number).stream, "*", "k", e.kind),
                *("id", e.request_id, "n", e.customer_number, "a", e.charge_pico),
                *("c", e.cost_pico, "e", e.details()),
            )
            for e in events
        ]
    )


def home(store, number: int):
    partitions = store.keyspace.partitions
    return partitions[number % len(partitions)]


async def counted(store, number: int) -> tuple[Lifetime, dict[date, DayTotals]]:
    counters = Counters(store, ZONE)
    partition = home(store, number)
    days = await counters.days(partition, number, *DAYS)
    return await counters.lifetime(partition, number), dict(days)


def expected(events) -> dict[int, tuple[Lifetime, dict[date, DayTotals]]]:
    return {
        number: advance(Lifetime(), {}, change) for number, change in fold(events, ZONE).items()
    }


async def assert_exact(store, archive, events, *, rows=None) -> None:
    """Counters say what `events` say, the archive what `rows` say (the same), each once."""
    truth = expected(events)
    assert truth == {number: await counted(store, number) for number in truth}
    rows = events if rows is None else rows
    page = await archive.logs(LogFilter(), page_size=1_000)
    assert sorted(e.request_id for e in rows) == sorted(r.event.request_id for r in page.rows)
    summary = await archive.summary(LogFilter())
    totals = [lifetime.totals for lifetime, _ in expected(rows).values()]
    assert sum(t.calls for t in totals) == summary.requests
    assert sum(t.charge_pico for t in totals) == summary.charge_pico


async def drain(flusher: Flusher) -> None:
    while await flusher.step():
        pass
