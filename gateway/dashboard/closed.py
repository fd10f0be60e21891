"""Closed: figures of days that are over, kept by the day, so that a month is not read again.

A day that is long over changes only by what comes very late (a price, a correction): it is
read anew after a quarter of an hour. Of a span of days only those that are missing are read,
from the first of them on.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar, cast

from gateway.clock import Clock
from gateway.dashboard.spans import Span

OPEN_MS: Final = 2 * 86_400_000
"""So long after its end a day may still get calls: they come late, at most by that."""

KEPT_SECONDS: Final = 900.0
KEPT_MAX: Final = 2_000

T = TypeVar("T")


class Closed:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._days: OrderedDict[tuple[str, int], tuple[float, Any]] = OrderedDict()

    async def get(
        self, name: str, span: Span, read: Callable[[int], Awaitable[Mapping[int, T]]]
    ) -> dict[int, T]:
        """What each slot has; one without anything is missing.

        Args:
            name: Of the figure.
            read: Gives the slots from an instant (Unix ms) to the end of the span.
        """
        if span.unit != "day":
            return dict(await read(span.start_ms))
        starts = {slot: int(begins.timestamp() * 1000) for slot, begins in span.starts()}
        found = self._known(name, list(starts))
        missing = [slot for slot in starts if slot not in found]
        if missing:
            begun, now_ms = self._clock.monotonic(), self._clock.now_ms()
            fresh = await read(max(starts[missing[0]], span.start_ms))
            for slot in missing:
                found[slot] = fresh.get(slot)
                if starts.get(slot + 1, now_ms) < now_ms - OPEN_MS:
                    self._days[name, slot] = (begun, found[slot])
            while len(self._days) > KEPT_MAX:
                self._days.popitem(last=False)
        return {slot: cast("T", value) for slot, value in found.items() if value is not None}

    def _known(self, name: str, slots: list[int]) -> dict[int, Any]:
        """Those kept, up to the first that is not."""
        now = self._clock.monotonic()
        found: dict[int, Any] = {}
        for slot in slots:
            made, value = self._days.get((name, slot), (float("-inf"), None))
            if now - made > KEPT_SECONDS:
                break
            found[slot] = value
        return found
