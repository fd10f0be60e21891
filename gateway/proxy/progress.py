"""Progress: what running streams have cost, written down once a second.

One timer for all of them: a stream pays nothing for it between two ticks.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway import crash
from gateway.clock import Clock
from gateway.ledger.ledger import Hold, Ledger
from gateway.proxy.tab import Tab

PAUSE_SECONDS: Final = 1.0
STREAMS_AT_ONCE_MAX: Final = 100
"""Noted in one go: thousands of streams keep no call waiting."""


@dataclass(slots=True)
class _Stream:
    tab: Tab
    hold: Hold
    noted_bytes: int = 0


class Progress:
    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._streams: dict[str, _Stream] = {}

    def begin(self, tab: Tab, hold: Hold) -> None:
        self._streams[tab.request_id] = _Stream(tab, hold)

    def end(self, tab: Tab) -> None:
        self._streams.pop(tab.request_id, None)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self.step()

    async def step(self) -> None:
        """Note each stream that has grown since it was last noted."""
        noted = 0
        for stream in list(self._streams.values()):
            seen_bytes = stream.tab.seen_so_far()
            if seen_bytes == stream.noted_bytes:
                continue
            stream.noted_bytes = seen_bytes
            so_far = stream.tab.so_far(stream.hold, self._clock)
            self._ledger.progress(stream.hold, so_far)
            noted += 1
            if noted % STREAMS_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)
        if crash.is_armed and noted:
            await asyncio.sleep(0)  # it is written at the end of the loop's turn
            crash.at("mid_stream")
