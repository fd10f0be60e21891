"""Days that are over are read once; those that may still change, every time."""

from datetime import UTC

import pytest

from gateway.dashboard.closed import KEPT_SECONDS, Closed
from gateway.dashboard.spans import span

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000
NOON_MS = 20_000 * DAY_MS + DAY_MS // 2


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def now_ms(self) -> int:
        return NOON_MS

    def monotonic(self) -> float:
        return self.at


class Reader:
    """Gives each slot its number, but for one that has nothing."""

    def __init__(self, of) -> None:
        self.of = of
        self.since: list[int] = []

    async def __call__(self, start_ms):
        self.since.append(start_ms)
        first = self.of.slots.of(start_ms)
        return {slot: slot for slot, _ in self.of.starts() if slot >= first and slot % 5}


def month(name="30d"):
    return span(name, now_ms=NOON_MS, zone=UTC)


async def test_what_is_over_is_not_read_again() -> None:
    closed, reader = Closed(Hands()), Reader(month())

    first = await closed.get("models", month(), reader)
    second = await closed.get("models", month(), reader)

    assert first == second == {s: s for s, _ in month().starts() if s % 5}
    today = NOON_MS // DAY_MS * DAY_MS
    assert [month().start_ms, today - 2 * DAY_MS] == reader.since


async def test_it_is_read_again_after_a_while_and_for_each_figure() -> None:
    hands = Hands()
    closed, reader = Closed(hands), Reader(month())

    await closed.get("models", month(), reader)
    await closed.get("paces", month(), reader)
    hands.at = KEPT_SECONDS + 1
    await closed.get("models", month(), reader)

    assert 3 * [month().start_ms] == reader.since


async def test_a_shorter_span_takes_what_a_longer_one_has_read() -> None:
    closed, reader = Closed(Hands()), Reader(month("7d"))

    await closed.get("models", month(), Reader(month()))
    await closed.get("models", month("7d"), reader)

    assert [NOON_MS // DAY_MS * DAY_MS - 2 * DAY_MS] == reader.since


async def test_hours_are_read_every_time() -> None:
    closed, hours = Closed(Hands()), span("24h", now_ms=NOON_MS, zone=UTC)
    reader = Reader(hours)

    await closed.get("models", hours, reader)
    await closed.get("models", hours, reader)

    assert 2 * [hours.start_ms] == reader.since
