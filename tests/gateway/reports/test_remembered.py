"""Remembered answers: dear ones again for a while, cheap ones never, and none by two at once."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.clock import SystemClock
from gateway.reports import remembered
from gateway.reports.remembered import FRESH_SECONDS_MAX, UNCHANGED_SECONDS_MAX, Remembered
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio


class Clock(SystemClock):
    at = 1_000.0

    def monotonic(self) -> float:
        return self.at


class Asked:
    """Counts how often it is worked out, and says which time that was."""

    def __init__(self, clock: Clock, takes: float) -> None:
        self.times = 0
        self._clock = clock
        self._takes = takes

    async def __call__(self) -> int:
        await asyncio.sleep(0)
        self.times += 1
        self._clock.at += self._takes
        return self.times


@pytest.fixture
def dear(monkeypatch) -> Callable[[float], None]:
    return lambda seconds: monkeypatch.setattr(remembered, "DEAR_SECONDS", seconds)


async def test_a_cheap_answer_is_made_anew(url, dear) -> None:
    dear(3_600)
    async with bench(url) as b:
        clock = Clock()
        kept, asked = Remembered(b.store, clock), Asked(clock, 1)
        assert [1, 2] == [await kept.get("a", asked) for _ in range(2)]


async def test_a_dear_one_is_given_again_until_something_was_counted(url, dear) -> None:
    """While nothing was, for a minute; and otherwise for ten times what it took."""
    dear(0)
    async with bench(url) as b:
        clock = Clock()
        kept, asked = Remembered(b.store, clock), Asked(clock, 1)
        cursors = b.store.keyspace.partitions[3].cursors
        assert 1 == await kept.get("a", asked)
        await b.store.command("HSET", cursors, "flush", "5-0")
        clock.at += 8
        assert 1 == await kept.get("a", asked)
        clock.at += 2
        assert 2 == await kept.get("a", asked)
        clock.at += UNCHANGED_SECONDS_MAX - 2
        assert 2 == await kept.get("a", asked)
        clock.at += 2
        assert 3 == await kept.get("a", asked)
        assert 4 == await kept.get("another", asked)


async def test_nothing_is_older_than_half_a_minute_once_something_was_counted(url, dear) -> None:
    dear(0)
    async with bench(url) as b:
        clock = Clock()
        kept, asked = Remembered(b.store, clock), Asked(clock, 25)
        assert 1 == await kept.get("a", asked)
        cursors = b.store.keyspace.partitions[3].cursors
        await b.store.command("HSET", cursors, "archive", "5-0")
        clock.at += FRESH_SECONDS_MAX - 25 - 1
        assert 1 == await kept.get("a", asked)
        clock.at += 2
        assert 2 == await kept.get("a", asked)


async def test_many_who_ask_at_once_wait_for_one(url, dear) -> None:
    """Its failure reaches them all, and is not kept; one who leaves takes it from nobody."""
    dear(3_600)
    async with bench(url) as b:
        clock = Clock()
        kept, asked = Remembered(b.store, clock), Asked(clock, 1)
        leaving = asyncio.create_task(kept.get("a", asked))
        staying = [asyncio.create_task(kept.get("a", asked)) for _ in range(3)]
        await asyncio.sleep(0)
        leaving.cancel()
        assert [1, 1, 1] == await asyncio.gather(*staying)

        async def fails() -> int:
            raise ValueError("away")

        both = await asyncio.gather(
            *(kept.get("b", fails) for _ in range(2)), return_exceptions=True
        )
        assert ["away", "away"] == [str(problem) for problem in both]
        assert 2 == await kept.get("b", asked)
