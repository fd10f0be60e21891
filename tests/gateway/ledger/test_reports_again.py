"""What a sender was told counts still counts when the store has lost it; once."""

import asyncio

import pytest

from gateway.clock import SystemClock
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.reports import Reported
from gateway.ledger.requests import new_request_id
from gateway.ledger.results import Recorded
from gateway.ledger.wal.files import Segment
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Counted
from gateway.store.keys import HOUR_MS
from tests.support.ledgers import Killed, bench
from tests.support.losses import mortal_store, until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.slow)])
def mortal(request):
    with mortal_store(request.param) as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "wal"


def reported(b, charge, key):
    request_id = new_request_id(b.clock.now_ms())

    def event(markup_ppm):
        return UsageEvent(
            request_id=request_id,
            kind=Kind.EVENT,
            at_ms=b.clock.now_ms(),
            charge_pico=charge,
            cost_pico=charge,
            app="a",
            group="g",
            markup_ppm=markup_ppm,
        )

    return Reported("acme", event, key, "f")


async def report(b, charge, *, key="k"):
    return await b.ledger.reports.record(reported(b, charge, key))


async def lost(b, mortal):
    before = b.ledger.continuity.restored
    await asyncio.to_thread(mortal.restart)
    await until(lambda: b.ledger.continuity.restored > before and b.ledger.continuity.is_open)


async def test_r27_reported_usage_comes_back(mortal, folder):
    """With a key and without one, each under the id it had; a repetition is one still."""
    async with bench(mortal.url, wal=folder, whole=True) as b:
        await b.directory.load("nobody")
        await asyncio.to_thread(mortal.save)
        first = await report(b, 5)
        await report(b, 7, key=None)
        for _ in range(2):
            await lost(b, mortal)
            assert 12 == await b.spent("acme")
            again = await report(b, 5)
            assert (Recorded.DUPLICATE, first.event_id) == (again.outcome, again.event_id)
        assert [5, 7] == sorted(event.charge_pico for event in await b.events("acme"))


async def test_a_batch_is_written_at_once_and_before_it_is_told(mortal, folder, monkeypatch):
    """One write for all of them; who was told then is believed when the store has lost it."""
    written = []
    append = Segment.append

    def counting(self, content):
        written.append(content)
        append(self, content)

    async with bench(mortal.url, wal=folder) as b:
        await report(b, 1, key="known before")
        await asyncio.to_thread(mortal.save)
        monkeypatch.setattr(Segment, "append", counting)
        receipts = await b.ledger.reports.record_all([reported(b, 5, f"k{i}") for i in range(20)])
        assert {Recorded.ACCEPTED} == {getattr(r, "outcome", r) for r in receipts}
        assert 1 == len(written)
        raise Killed
    await asyncio.to_thread(mortal.restart)
    async with bench(mortal.url, wal=folder) as heir:
        await heir.ledger.continuity.step()
        assert 101 == await heir.spent("acme")


async def test_who_repeats_it_first_is_taken_at_his_word(mortal, folder):
    """The sender comes again to a gateway that never knew, before the one that does."""
    async with bench(mortal.url, wal=folder) as b:
        await b.directory.load("nobody")
        await asyncio.to_thread(mortal.save)
        await report(b, 5)
        raise Killed
    await asyncio.to_thread(mortal.restart)
    async with bench(mortal.url) as other:
        assert Recorded.ACCEPTED is (await report(other, 5)).outcome
    async with bench(mortal.url, wal=folder) as b:
        await b.ledger.continuity.step()
        assert 5 == await b.spent("acme")
        assert 1 == len(await b.events("acme"))


async def test_a_repetition_is_remembered_where_the_first_was_not(mortal, folder, tmp_path):
    """Who took it died before it could write that down: nobody was told, until now."""
    async with bench(mortal.url) as forgetful:
        await forgetful.directory.load("nobody")
        await asyncio.to_thread(mortal.save)
        first = await report(forgetful, 5)
    async with bench(mortal.url, wal=folder) as b:
        assert Recorded.DUPLICATE is (await report(b, 5)).outcome
        raise Killed
    await asyncio.to_thread(mortal.restart)
    async with bench(mortal.url, wal=folder) as heir:
        await heir.ledger.continuity.step()
        (event,) = await heir.events("acme")
        assert (first.event_id, 5) == (event.request_id, event.charge_pico)


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_log_that_is_found_days_later_counts_nothing_twice(url, folder, key):
    """By then the store has forgotten what it has counted, but not the count."""
    old_ms = SystemClock().now_ms() - 50 * HOUR_MS
    log = Log(folder)
    log.open()
    log.sent_to("another store")
    log.counted(
        Counted(
            request_id=new_request_id(old_ms),
            customer="acme",
            number=5,
            key=key,
            fingerprint="f",
            charge_pico=7,
            cost_pico=7,
            details=b'{"v":1,"at_ms":%d}' % old_ms,
        )
    )
    log.flush()
    log.abandon()
    async with bench(url, wal=folder) as b:
        await b.ledger.continuity.step()
        assert 0 == await b.spent("acme")
        assert [] == await b.events("acme")


async def test_what_was_paid_for_the_dead_comes_back(mortal, folder, impatient):
    """The heir has settled a dead gateway's call from its progress; then the store forgets."""
    async with bench(mortal.url, wal=folder) as b:
        await b.sent(await b.hold("acme", 100), 7)
        await b.hold("acme", 100)
        raise Killed
    await asyncio.to_thread(mortal.save)
    async with bench(mortal.url, wal=folder, whole=True) as heir:
        await until(lambda: heir.ledger.continuity._identity is not None)
        assert (7, 0) == (await heir.spent("acme"), await heir.held("acme"))
        await lost(heir, mortal)
        assert (7, 0) == (await heir.spent("acme"), await heir.held("acme"))
        assert 2 == len(await heir.events("acme"))


async def test_an_inheritance_is_not_dropped_half_paid(mortal, folder):
    """The store goes away, forgetting, while an heir pays for two dead gateways."""
    for _ in range(2):
        async with bench(mortal.url, wal=folder) as b:
            await b.sent(await b.hold("acme", 100), 7)
            raise Killed
    await asyncio.to_thread(mortal.save)
    async with bench(mortal.url, wal=folder) as heir:
        continuity, tell_all = heir.ledger.continuity, heir.ledger.endings.tell_all
        told = 0

        async def once(*args, **options):
            nonlocal told
            told += 1
            if told == 4:  # each log is told twice: its history, then what it owed
                raise LedgerUnavailable("It went away.")
            await tell_all(*args, **options)

        heir.ledger.endings.tell_all = once  # type: ignore[method-assign]
        with pytest.raises(LedgerUnavailable):
            await continuity.step()
        assert 7 == await heir.spent("acme")
        await asyncio.to_thread(mortal.restart)
        await until(lambda: heir.store.is_ready)
        async with asyncio.timeout(10):
            while True:
                try:
                    await continuity.step()
                    break
                except LedgerUnavailable:
                    await asyncio.sleep(0.05)
        assert (14, 0) == (await heir.spent("acme"), await heir.held("acme"))
