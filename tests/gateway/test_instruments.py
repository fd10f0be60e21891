"""What operators act on: each number is there, and moves when it should."""

import asyncio
import os

import pytest

from gateway.instruments import instruments
from gateway.ledger import endings
from gateway.rating import Rating
from gateway.reload import Reload, Wanted
from gateway.telemetry import Telemetry
from pricing.book import PriceBook
from tests.support.ledgers import Bench, Killed, bench
from tests.support.losses import mortal_store, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def mortal():
    with mortal_store() as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "wal"


def telemetry_of(b: Bench) -> Telemetry:
    rating = Rating(PriceBook((), "none"))
    reload = Reload(rating, lambda: Wanted(rating.book), [], b.clock)
    return instruments(b.ledger, b.ledger._wal, [b.store], reload)


def gauges(telemetry: Telemetry) -> dict[str, float]:
    return {gauge.name: gauge.read() for gauge in telemetry.gauges}


async def test_what_waits_for_the_store_is_told(mortal, folder, monkeypatch) -> None:
    """How many ends, in memory and on disk, and how old the first is; the link is down."""
    monkeypatch.setattr(endings, "WAITING_MAX", 2)
    async with bench(mortal.url, wal=folder, whole=True) as b:
        telemetry = telemetry_of(b)
        before = gauges(telemetry)
        assert (0, 0, 0, 0) == counted(before)
        await asyncio.to_thread(mortal.kill)
        await until(lambda: not b.store.is_up, 5)
        for n in range(5):
            await b.settle(await b.hold("acme", 10), n)
        await asyncio.sleep(0.05)

        away = gauges(telemetry)
        await asyncio.to_thread(mortal.start)
        await b.told()
        after = gauges(telemetry)

        assert (5, 5, 1, 0) == counted(away)
        assert 0.05 <= away["endings_oldest_seconds"] < 60
        assert away["wal_bytes"] > before["wal_bytes"] >= 0
        assert (0, 5, 0, 0) == counted(after)
        assert 0 == after["endings_oldest_seconds"]


def counted(found: dict[str, float]) -> tuple[float, ...]:
    names = ("endings_waiting", "calls_unheld", "store_links_down", "wal_failing")
    return tuple(found[name] for name in names)


async def test_a_disk_that_takes_nothing_is_told(mortal, folder, monkeypatch) -> None:
    async with bench(mortal.url, wal=folder) as b:
        telemetry = telemetry_of(b)
        hold = await b.hold("acme", 10)

        def full(fd, content):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            await b.sent(hold, 3)
            failing = gauges(telemetry)["wal_failing"]
            counts = telemetry.take()

        assert (1, 1) == (failing, counts["wal_failures", ""])
        assert ("wal_failures", "") not in telemetry.take()
        await b.release(hold)


async def test_calls_of_the_dead_are_told_by_outcome(mortal, folder) -> None:
    """One that had ended, two that were sent, and one that was not."""
    async with bench(mortal.url, wal=folder) as b:
        noted = await b.hold("acme", 100)
        await b.ledger.note(noted, b.event(noted, 33))
        for _ in range(2):
            await b.sent(await b.hold("acme", 100), 7)
        await b.hold("acme", 100)
        raise Killed
    async with bench(mortal.url, wal=folder) as b:
        telemetry = telemetry_of(b)
        assert {} == telemetry.take()
        await b.ledger.continuity.step()

        assert {
            ("calls_replayed", "settled"): 1,
            ("calls_replayed", "estimated"): 2,
            ("calls_replayed", "released"): 1,
        } == telemetry.take()
        assert 47 == await b.spent("acme")


async def test_dead_letters_are_told(mortal, folder) -> None:
    """An account that the store cannot book on."""
    async with bench(mortal.url, wal=folder) as b:
        telemetry = telemetry_of(b)
        hold = await b.hold("acme", 10)
        account = hold.partition.account(hold.profile.number)
        await b.command("DEL", account)
        await b.command("SET", account, "junk")

        await b.settle(hold, 5)

        assert {("dead_letters", ""): 1} == telemetry.take()
