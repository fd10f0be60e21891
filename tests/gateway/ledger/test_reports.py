"""Reports: usage that the application tells, counted once and never refused for a limit."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.customers.profile import Limits
from gateway.errors import BudgetExceeded, InvalidCall
from gateway.event import Kind, UsageEvent
from gateway.ledger.ledger import Receipt, Recorded
from gateway.ledger.reports import Reported
from gateway.ledger.requests import hour_of, is_request_id, new_request_id
from gateway.store import keys
from gateway.store.keys import WEEK_MS
from tests.support.ledgers import Bench, bench

pytestmark = pytest.mark.anyio


async def report(
    b: Bench,
    charge: int = 5,
    *,
    customer: str = "acme",
    key: str | None = "shop\nk1",
    fingerprint: str = "f",
    at_ms: int | None = None,
) -> Receipt:
    reported = usage(b, charge, customer=customer, key=key, fingerprint=fingerprint, at_ms=at_ms)
    return await b.ledger.reports.record(reported)


def usage(
    b: Bench,
    charge: int = 5,
    *,
    customer: str = "acme",
    key: str | None = "shop\nk1",
    fingerprint: str = "f",
    at_ms: int | None = None,
) -> Reported:
    at_ms = b.clock.now_ms() if at_ms is None else at_ms

    def event(markup_ppm: int) -> UsageEvent:
        return UsageEvent(
            request_id=new_request_id(b.clock.now_ms()),
            kind=Kind.EVENT,
            at_ms=at_ms,
            charge_pico=charge * (1_000_000 + markup_ppm) // 1_000_000,
            cost_pico=charge,
            markup_ppm=markup_ppm,
        )

    return Reported(customer, event, key, fingerprint)


async def test_r24_many_at_once_each_for_itself(url: str) -> None:
    """Known, unknown, changed elsewhere, of a new group, told before, faulty: in their order."""

    def faulty(_: int) -> UsageEvent:
        raise InvalidCall("no price")

    async with bench(url) as here, bench(url) as there:
        for name in ("known", "changed", "grouped"):
            await report(here, 10, customer=name, key="a")
        await there.directory.change("changed", {"markup_percentage": 200_000})
        await there.directory.change("grouped", {"group_identifier": "new"})
        outcomes = await here.ledger.reports.record_all(
            [
                usage(here, 10, customer="known", key="b"),
                usage(here, 10, customer="unknown", key="b"),
                usage(here, 10, customer="changed", key="b"),
                Reported("known", faulty, "c", "f"),
                usage(here, 10, customer="known", key="a"),
                usage(here, 10, customer="grouped", key="b"),
                usage(here, 10, customer="known", key="b"),
                usage(here, 10, customer="known", key="b", fingerprint="g"),
            ]
        )

        faults = [outcome for outcome in outcomes if not isinstance(outcome, Receipt)]
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        assert ["no price"] == [str(fault) for fault in faults]
        assert outcomes[3] is faults[0]
        assert [
            (Recorded.ACCEPTED, 10),
            (Recorded.ACCEPTED, 10),
            (Recorded.ACCEPTED, 12),
            (Recorded.DUPLICATE, 10),
            (Recorded.ACCEPTED, 10),
            (Recorded.DUPLICATE, 10),
            (Recorded.CONFLICT, 10),
        ] == [(receipt.outcome, receipt.charge_pico) for receipt in receipts]
        assert (20, 10, 22) == tuple([await here.spent(n) for n in ("known", "unknown", "changed")])
        assert "new" == (await here.events("grouped"))[-1].group


async def test_r23_a_report_that_is_sent_again_counts_once(url: str) -> None:
    """Mark, balance and event are one step; the answer to a repetition is the first one's."""
    async with bench(url) as b:
        first = await report(b)
        again = await report(b)
        assert (Recorded.ACCEPTED, 5) == (first.outcome, first.charge_pico)
        assert Receipt(Recorded.DUPLICATE, first.event_id, 5) == again
        assert (5, 1) == (await b.spent("acme"), len(await b.events("acme")))


async def test_r23_parallel_repetitions_count_once(url: str) -> None:
    """Five at once, over two processes, of a customer that nobody has seen."""
    async with bench(url) as one, bench(url) as other:
        receipts = await asyncio.gather(*(report(b) for b in (one, other, one, other, one)))
        outcomes = sorted(r.outcome for r in receipts)
        assert [Recorded.ACCEPTED, *[Recorded.DUPLICATE] * 4] == outcomes
        assert 1 == len({r.event_id for r in receipts})
        assert 5 == await one.spent("acme")


async def test_r25_the_same_key_for_another_usage_is_a_conflict(url: str) -> None:
    """It is told, and changes nothing."""
    async with bench(url) as b:
        await report(b)
        conflict = await report(b, 7, fingerprint="g")
        assert Recorded.CONFLICT == conflict.outcome
        assert 5 == await b.spent("acme")


async def test_r25_keys_of_two_customers_or_apps_never_meet(url: str) -> None:
    """Each is counted, even where both live in one partition."""
    async with bench(url) as b:
        twin = next(
            name
            for name in (f"twin-{i}" for i in range(10_000))
            if b.directory.partition_of(name) is b.directory.partition_of("acme")
        )
        receipts = [
            await report(b),
            await report(b, customer=twin),
            await report(b, key="app2\nk1"),
        ]
        assert [Recorded.ACCEPTED] * 3 == [r.outcome for r in receipts]
        assert (10, 5) == (await b.spent("acme"), await b.spent(twin))


async def test_a_report_without_a_key_counts_each_time(url: str) -> None:
    """Two equal usages are two."""
    async with bench(url) as b:
        for _ in range(3):
            assert Recorded.ACCEPTED == (await report(b, key=None)).outcome
        assert 15 == await b.spent("acme")


async def test_a_report_is_never_refused_for_a_limit(url: str) -> None:
    """The money is spent; it is the next call that is refused."""
    async with bench(url) as b:
        await b.directory.create("acme", {"total_budget": 3, "rate_limit": 1})
        for i in range(3):
            await report(b, key=f"k{i}")
        assert 15 == await b.spent("acme")
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)


@pytest.mark.parametrize(
    ("ago", "windows"),
    [
        (timedelta(0), {"day", "week", "month", "year"}),
        (timedelta(days=400), set()),
    ],
)
async def test_r74_a_late_report_counts_in_the_totals_only(url: str, ago, windows) -> None:
    """Not against a limit of today: its window is past."""
    async with bench(url) as b:
        await report(b, at_ms=b.clock.now_ms() - int(ago.total_seconds() * 1000))
        balance = await b.ledger.balance(await b.directory.load("acme"))
        assert 5 == balance.spent.charge_pico
        assert windows == set(balance.by_kind)


async def test_a_report_is_priced_by_the_current_profile(url: str) -> None:
    """A markup changed elsewhere applies here, though this process had cached the old one."""
    async with bench(url) as here, bench(url) as there:
        await report(here, 10, key="a")
        await there.directory.change("acme", {"markup_percentage": 200_000})
        assert 12 == (await report(here, 10, key="b")).charge_pico


async def test_a_report_never_opens_a_window_of_an_anchor_that_has_changed(url: str) -> None:
    """A stale profile's window would count what the limit does not see, or forget what it had."""
    year = datetime.now(UTC).year
    async with bench(url) as here, bench(url) as there:
        await here.hold("acme", 0, period_start=f"{year}-01-01", budget_duration="yearly")
        await there.directory.change("acme", {"period_start": f"{year - 1}-12-31"})
        await there.directory.change("acme", {"period_budget": 10})
        await there.settle(await there.hold("acme", 6), 6)
        await report(here, 4)
        with pytest.raises(BudgetExceeded):
            await there.hold("acme", 1)


async def test_a_new_customer_is_stored_by_its_first_report(url: str) -> None:
    """As by its first call."""
    async with bench(url, defaults=Limits(markup_ppm=500_000)) as b:
        receipt = await report(b, 10)
        profile = await b.directory.known("acme")
        assert (15, 1) == (receipt.charge_pico, profile.version)
        assert profile == b.directory.cached("acme")


async def test_a_key_is_remembered_for_35_days(url: str) -> None:
    """Over weeks: its bucket is looked up for so long, and not kept for ever."""
    async with bench(url) as b:
        await report(b)
        now_ms, number = b.clock.now_ms(), (await b.directory.load("acme")).number
        partition = b.directory.partition_of("acme")
        bucket = partition.idempotency(now_ms)[0]
        assert {f"{number} shop\nk1".encode()} == set(await b.command("HKEYS", bucket))
        ttl = await b.command("TTL", bucket)
        assert 41 * 86_400 < ttl <= 42 * 86_400
        # The same report, five weeks on: the bucket is then the sixth.
        for weeks in range(6):
            assert bucket in partition.idempotency(now_ms + weeks * WEEK_MS)
        five_back = partition.idempotency(now_ms)[5]
        await b.command("RENAME", bucket, five_back)
        assert Recorded.DUPLICATE == (await report(b)).outcome


async def test_a_clock_that_is_ahead_writes_into_no_other_bucket(url: str) -> None:
    """Two gateways, one a week ahead: the server's time says which week it is."""

    class Ahead:
        def now_ms(self) -> int:
            return real.clock.now_ms() + WEEK_MS

        def monotonic(self) -> float:
            return real.clock.monotonic()

    async with bench(url) as real, bench(url, clock=Ahead()) as ahead:
        assert Recorded.ACCEPTED == (await report(ahead)).outcome
        assert Recorded.DUPLICATE == (await report(real)).outcome


def test_request_ids_are_in_the_order_of_their_time() -> None:
    """And say it, so that a tombstone is found however late it is asked for."""
    ids = [new_request_id(ms) for ms in (0, 1, 3_600_000, 1_764_000_000_000, 2**47)]
    assert ids == sorted(ids)
    assert [0, 0, 1, 490_000] == [hour_of(i) for i in ids[:4]]
    assert all(is_request_id(i) for i in ids)
    assert len({new_request_id(5) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    "text", ["", "fbx_", "fbx_" + "0" * 31, "fbx_" + "0" * 33, "FBX_" + "0" * 32, "fbx_" + "g" * 32]
)
def test_what_is_no_request_id(text: str) -> None:
    """An event id of the caller's own is never taken for one."""
    assert not is_request_id(text)


def test_the_weeks_looked_up_cover_the_promise() -> None:
    """35 days back from any moment of a week."""
    assert keys.IDEMPOTENCY_SECONDS * 1000 <= (keys.IDEMPOTENCY_WEEKS - 1) * WEEK_MS
