"""Dear figures: the first waits, the next get what there is, and it is made anew beside."""

import asyncio

import pytest

from gateway.dashboard.kept import STALE_SECONDS_MAX, Kept, StillAdding, patience

pytestmark = pytest.mark.anyio


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def now_ms(self) -> int:
        return int(self.at * 1000)

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def kept(clock) -> Kept:
    return Kept(clock)


class Maker:
    def __init__(self) -> None:
        self.made = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.second = asyncio.Event()

    async def __call__(self) -> int:
        await self.gate.wait()
        self.made += 1
        if self.made == 2:
            self.second.set()
        return self.made


async def test_the_first_waits_and_all_who_come_meanwhile_share(kept) -> None:
    make = Maker()

    assert [1, 1, 1] == await asyncio.gather(*(kept.get("a", make) for _ in range(3)))
    assert 1 == await kept.get("a", make)


async def test_an_old_answer_is_given_at_once_and_made_anew_beside(kept, clock) -> None:
    make = Maker()
    await kept.get("a", make)
    clock.at = 10
    make.gate.clear()

    assert 1 == await asyncio.wait_for(kept.get("a", make), 1)
    make.gate.set()
    await make.second.wait()
    await asyncio.sleep(0)  # the task that made it comes to its end
    assert 2 == await kept.get("a", make)


async def test_one_that_is_quickly_made_is_waited_for(kept, clock) -> None:
    """What was asked for after a call has that call in it."""
    make = Maker()
    await kept.get("a", make)
    clock.at = 10

    assert 2 == await kept.get("a", make)


async def test_after_a_long_pause_it_waits(kept, clock) -> None:
    make = Maker()
    await kept.get("a", make)
    clock.at = STALE_SECONDS_MAX + 1

    assert 2 == await kept.get("a", make)


async def test_a_failure_reaches_who_waits_and_is_not_kept(kept) -> None:
    async def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await kept.get("a", fail)
    assert 1 == await kept.get("a", Maker())


async def test_other_questions_have_other_answers(kept) -> None:
    make = Maker()

    assert [1, 2] == [await kept.get("a", make), await kept.get("b", make)]


async def test_who_has_no_patience_is_told_and_finds_it_the_next_time(kept) -> None:
    make = Maker()
    make.gate.clear()
    token = patience.set(0.01)
    try:
        with pytest.raises(StillAdding):
            await kept.get("a", make)
        assert await kept.soon("a", make) is None
        make.gate.set()
        assert 1 == await kept.get("a", make)
        assert 1 == await kept.soon("a", make)
    finally:
        patience.reset(token)
