"""The lease: one worker at a time, and another one soon after it is gone."""

import pytest

from gateway.store.keys import BACKGROUND_LEASE
from gateway.store.lease import LEASE_MS, RENEW_SECONDS, Lease
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio


async def test_one_at_a_time(url: str) -> None:
    """Who has it keeps it; the other waits until it is given up."""
    async with bench(url) as b:
        mine, other = Lease(b.store), Lease(b.store)
        assert [True, False, True] == [await mine.take(), await other.take(), await mine.take()]
        await other.give_up()
        assert not await other.take()
        await mine.give_up()
        assert await other.take()


async def test_it_ends_by_itself(url: str) -> None:
    """A worker that was killed gives nothing up; keeping it makes it last."""
    async with bench(url) as b:
        mine, other = Lease(b.store), Lease(b.store)
        await mine.take()
        await b.command("PEXPIRE", BACKGROUND_LEASE, 50)
        await mine.take()
        assert LEASE_MS - 1_000 < await b.command("PTTL", BACKGROUND_LEASE) <= LEASE_MS
        await b.command("PEXPIRE", BACKGROUND_LEASE, 0)
        assert await other.take()
        assert not await mine.take()
        assert RENEW_SECONDS * 2_000 < LEASE_MS
