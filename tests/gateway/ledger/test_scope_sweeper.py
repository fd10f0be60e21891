"""What a group holds for a call that nobody can end any more comes back; nothing else does."""

import pytest

from gateway.ledger import scope_sweeper
from gateway.ledger.requests import new_request_id
from gateway.ledger.scope_sweeper import ScopeSweeper

from .scopes import Shared, shared

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def at_once(monkeypatch) -> None:
    monkeypatch.setattr(scope_sweeper, "COUNTED_TRIES_MAX", 2)
    monkeypatch.setattr(scope_sweeper, "COUNTED_PAUSE_SECONDS", 0.01)


async def held(s: Shared, amount: int, *, hours: int):
    """A hold of a call that began so long ago."""
    request_id = new_request_id(s.bench.clock.now_ms() - hours * HOUR_MS)
    return await s.bench.hold("c1", amount, request_id=request_id, group_identifier="sales")


async def lose(s: Shared, hold) -> None:
    """The customer's server comes back without the hold, and its gateway never does."""
    partition = hold.partition
    account = partition.account(hold.profile.number)
    await s.bench.command("HSET", account, "held", 0)
    await s.bench.command("HDEL", partition.holds, hold.request_id)
    await s.bench.command("ZREM", partition.expiries, hold.request_id)


async def flushed(s: Shared) -> None:
    """Cursors stand where the streams end, as a second later in a gateway."""
    await s.flush()
    for target in s.sink._targets.values():
        target.stored_at = 0
    await s.flush()


async def test_a_hold_that_nobody_can_end_comes_back(url: str) -> None:
    """Exactly what was held for it; it charges nothing, and the room is there again."""
    async with shared(url) as s:
        running = await s.hold("c2", 30)
        await lose(s, await held(s, 70, hours=49))
        await flushed(s)
        assert (0, 100) == await s.account()

        assert 1 == await ScopeSweeper(s.bench.store).step()

        assert (0, 30) == await s.account()
        assert 0 == await ScopeSweeper(s.bench.store).step()
        await s.bench.settle(running, 30)
        await flushed(s)
        assert (30, 0) == await s.account()
        assert 70 == (await s.hold("c2", 70)).amount_pico


async def test_a_hold_whose_end_may_come_stays(url: str) -> None:
    """Of a young call; of one that its customer still holds."""
    async with shared(url) as s:
        await lose(s, await held(s, 10, hours=47))
        await held(s, 20, hours=72)
        await flushed(s)

        assert 0 == await ScopeSweeper(s.bench.store).step()

        assert (0, 30) == await s.account()


async def test_a_hold_whose_end_is_not_counted_yet_stays(url: str) -> None:
    """Without a flusher nothing is let go of: its charge would be let through twice."""
    async with shared(url) as s:
        await s.hold("c2", 1)
        await flushed(s)
        await s.bench.settle(await held(s, 70, hours=49), 60)

        assert 0 == await ScopeSweeper(s.bench.store).step()
        assert (0, 71) == await s.account()

        await flushed(s)
        assert 0 == await ScopeSweeper(s.bench.store).step()
        assert (60, 1) == await s.account()


async def test_damage_in_one_partition_keeps_no_other_from_being_swept(url: str) -> None:
    """Told as an error; the others' holds come back."""
    async with shared(url) as s:
        await lose(s, await held(s, 70, hours=49))
        await s.bench.hold("c3", 1, group_identifier="ops")
        await flushed(s)
        home = s.bench.store.keyspace.partition_of("group:ops")
        assert home != s.bench.store.keyspace.partition_of("group:sales")
        await s.bench.command("SET", home.scope_holds, "damaged")

        assert 1 == await ScopeSweeper(s.bench.store).step()

        assert (0, 0) == await s.account()
