"""Replay: a process that is killed anywhere leaves exact books to the next one."""

import asyncio
from pathlib import Path
from unittest.mock import AsyncMock

import orjson
import pytest

from gateway.errors import LedgerUnavailable
from gateway.event import Kind, Source, Status
from gateway.ledger.dead_letters import FILE
from gateway.ledger.requests import new_request_id
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Ending, Intent
from tests.support.ledgers import Bench, Killed, bench
from tests.support.losses import copied
from tests.support.proxies import lossy

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "wal"


async def recovered(b: Bench) -> None:
    await b.ledger.continuity.step()
    await b.told()


async def held_only(b: Bench) -> None:
    await b.hold("acme", 100)


async def sent(b: Bench) -> None:
    await b.sent(await b.hold("acme", 100), 7)


async def noted(b: Bench) -> None:
    hold = await b.hold("acme", 100)
    await b.sent(hold, 7)
    await b.ledger.note(hold, b.event(hold, 33))


async def settled(b: Bench) -> None:
    hold = await b.hold("acme", 100)
    await b.sent(hold, 7)
    await b.settle(hold, 33)


async def sent_on_second_thoughts(b: Bench) -> None:
    """The first hold was asked for by an old profile, which another process had changed."""
    old = await b.directory.load("acme")
    await b.directory.create("acme", {"email": "a@b.c"})
    b.directory.remember(old, b.store.changes)
    await sent(b)


async def released(b: Bench) -> None:
    await b.release(await b.hold("acme", 100))


@pytest.mark.parametrize(
    ("life", "end"),
    [
        (held_only, (Kind.RELEASE, Status.ERROR, 0)),
        (sent, (Kind.SETTLE, Status.ERROR, 7)),
        (sent_on_second_thoughts, (Kind.SETTLE, Status.ERROR, 7)),
        (noted, (Kind.SETTLE, Status.OK, 33)),
        (settled, (Kind.SETTLE, Status.OK, 33)),
        (released, (Kind.RELEASE, Status.OK, 0)),
    ],
)
async def test_r03_a_kill_anywhere_leaves_exact_books(url, folder, life, end):
    """Not free once it was sent, not twice, and nothing stays held."""
    async with bench(url, wal=folder) as b:
        await life(b)
        raise Killed
    for _ in range(2):  # whoever comes later finds nothing to do
        async with bench(url, wal=folder) as b:
            await recovered(b)
            (event,) = await b.events("acme")
            assert end == (event.kind, event.status, event.charge_pico)
            assert (event.charge_pico, 0) == (await b.spent("acme"), await b.held("acme"))
            raise Killed


async def test_an_estimate_is_flagged(url, folder):
    async with bench(url, wal=folder) as b:
        await sent(b)
        raise Killed
    async with bench(url, wal=folder) as b:
        await recovered(b)
        (event,) = await b.events("acme")
        assert (Source.ESTIMATED, "gateway_died", 100) == (
            event.source,
            event.error_code,
            event.hold_pico,
        )


async def test_a_refused_call_leaves_nothing_to_replay(url, folder):
    async with bench(url, wal=folder) as b:
        with pytest.raises(Exception, match="budget"):
            await b.hold("acme", 100, total_budget=1)
        assert 0 == b.ledger._wal.running  # type: ignore[union-attr]
        await asyncio.sleep(0)
        raise Killed
    async with bench(url, wal=folder) as b:
        await recovered(b)
        assert [] == await b.events("acme")


async def test_replay_waits_for_the_store(url, folder):
    """A store that is away when the gateway starts: what it is owed is told when it comes."""
    async with bench(url, wal=folder) as b:
        await noted(b)
        raise Killed
    async with lossy(url) as (torn, wire):
        wire.loss = 1.0
        async with bench(torn, wal=folder, whole=True) as b:
            await asyncio.sleep(0.3)
            wire.loss = 0.0
            async with asyncio.timeout(10):
                while not b.store.is_ready or not await b.events("acme"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert (33, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_a_log_is_kept_in_mind_when_the_store_goes_away_amid_its_replay(
    url, folder, monkeypatch
):
    """It has been taken over by then, and nobody else would replay it."""
    async with bench(url, wal=folder) as b:
        await noted(b)
        raise Killed
    async with bench(url, wal=folder) as b:
        with monkeypatch.context() as away:
            away.setattr(b.ledger.endings, "tell_all", AsyncMock(side_effect=LedgerUnavailable("")))
            with pytest.raises(LedgerUnavailable):
                await b.ledger.continuity.step()
        await recovered(b)
        assert (33, 0) == (await b.spent("acme"), await b.held("acme"))


async def test_several_heirs_replay_once(url, folder):
    """The workers of one host start together; each log has one heir."""
    async with bench(url, wal=folder) as b:
        for _ in range(20):
            await noted(b)
        raise Killed

    async def heir():
        async with bench(url, wal=folder) as b:
            await recovered(b)

    await asyncio.gather(*(heir() for _ in range(4)))
    async with bench(url) as b:
        assert (660, 0) == (await b.spent("acme"), await b.held("acme"))
        assert 20 == len(await b.events("acme"))


async def test_copies_of_a_living_log_change_nothing_that_has_ended(url, folder, tmp_path):
    """At every moment of a busy process its log, replayed, tells the truth or less."""
    async with bench(url, wal=folder) as b:

        async def call(n: int) -> None:
            hold = await b.hold("acme", 100)
            await b.sent(hold, 1)
            await asyncio.sleep(0)
            await b.settle(hold, n)

        for moment in range(4):
            calls = [asyncio.create_task(call(n)) for n in range(1, 26)]
            for _ in range(moment * 4):
                await asyncio.sleep(0)
            await asyncio.gather(*calls)
            async with bench(url, wal=copied(folder, tmp_path / f"{moment}")) as heir:
                await recovered(heir)
        assert (4 * sum(range(1, 26)), 0) == (await b.spent("acme"), await b.held("acme"))
        assert 100 == len(await b.events("acme"))


async def test_what_is_too_old_is_a_dead_letter(url, folder):
    """Two days later nobody knows whether it was booked: a human decides, nothing is guessed."""
    old = new_request_id(1_600_000_000_000)
    log = Log(folder)
    log.open()
    log.end(
        Ending(
            request_id=old,
            customer="acme",
            verb="settle",
            number=5,
            window_ids="0 0 0 0 0 0",
            charge_pico=9_007_199_254_740_993,
            cost_pico=1,
            details=b'{"v":1,"at_ms":1}',
        )
    )
    log.flush()
    log.abandon()
    async with bench(url, wal=folder) as b:
        await recovered(b)
        assert 1 == b.ledger.dead_letters.count
        letters = folder / FILE
        assert 0o600 == letters.stat().st_mode & 0o777
        (line,) = letters.read_text().splitlines()
        assert {
            "request_id": old,
            "charge_pico": "9007199254740993",
            "reason": "too old",
        }.items() <= (orjson.loads(line).items())
        raise Killed
    async with bench(url, wal=folder) as b:
        await recovered(b)
        assert 0 == b.ledger.dead_letters.count, "said once"


async def test_a_damaged_log_is_replayed_up_to_the_damage(url, folder):
    async with bench(url, wal=folder) as b:
        await noted(b)
        raise Killed
    (path,) = folder.glob("*.wal")
    with path.open("ab") as file:
        file.write(b"\xff" * 100)
    async with bench(url, wal=folder) as b:
        await recovered(b)
        assert 33 == await b.spent("acme")
    assert [100] == [f.stat().st_size for f in folder.glob("*.damaged")]


async def test_an_unheld_intent_finds_its_customer(url, folder):
    """Killed while the store was away: the customer is made, its call released or settled."""
    log = Log(folder)
    log.open()
    log.intend(
        Intent(
            request_id=new_request_id(2**41),
            customer="acme",
            number=0,
            window_ids="0 0 0 0 0 0",
            opening=b'{"v":1,"at_ms":1}',
            change={"email": "a@example.com"},
        )
    )
    log.flush()
    log.abandon()
    async with bench(url, wal=folder) as b:
        await recovered(b)
        profile = await b.directory.load("acme")
        assert "a@example.com" == profile.text("email")
        (event,) = await b.events("acme")
        assert (profile.number, Kind.RELEASE, True) == (
            event.customer_number,
            event.kind,
            event.unheld,
        )


def files(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


async def test_a_log_without_debts_goes_in_time(url, folder, monkeypatch):
    """It is history for the replay window, then it is gone."""
    async with bench(url, wal=folder) as b:
        await settled(b)
    (left,) = files(folder)
    async with bench(url, wal=folder) as b:
        await recovered(b)
        assert left in files(folder)
        wal = b.ledger._wal
        assert wal is not None
        for segment in wal._segments[:-1]:
            segment.newest_ms = 0
        wal.step()
        assert left not in files(folder)
