"""Payloads of calls: written beside, dropped rather than waited for.

A call does nothing here but hold on to bytes that it has anyway. A task of its own writes
them, some at a time; what it cannot keep up with is dropped and counted, since nothing that
costs money hangs on it.
"""

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from gateway.metering.loop import repeat
from gateway.proxy.payloads import Recording
from gateway.proxy.request import Request
from gateway.store.archive import Payload, Payloads

WAITING_BYTES_MAX: Final = 67_108_864
AT_ONCE_MAX: Final = 100
BUSY_SECONDS: Final = 0.05
IDLE_SECONDS: Final = 0.5

log = logging.getLogger(__name__)


class PayloadWriter:
    """Writes recordings into the archive.

    Attributes:
        dropped: Recordings that were not written.
    """

    def __init__(self, payloads: Payloads, *, bytes_max: int) -> None:
        self._payloads = payloads
        self._bytes_max = bytes_max
        self._waiting: deque[Payload] = deque()
        self._bytes = 0
        self.dropped = 0

    def listening(self, request: Request) -> Request:
        """The same call, with somebody who takes it down."""
        recording = Recording(self._bytes_max)
        return replace(request, recording=recording, send=recording.through(request.send))

    def keep(self, request: Request, customer_number: int) -> None:
        """Have it written; never waits, never raises."""
        recording = request.recording
        if recording is None:
            return
        payload = Payload(
            request_id=request.request_id,
            customer_number=customer_number,
            at_ms=request.started_ms,
            request=recording.request,
            answer=recording.answer,
            cut=recording.cut,
        )
        size = len(payload.request) + len(payload.answer)
        if self._bytes + size > WAITING_BYTES_MAX:
            self._drop(1)
            return
        self._bytes += size
        self._waiting.append(payload)

    async def run(self) -> None:
        """For ever; never raises. What waits when it is cancelled, `step` writes."""
        await repeat("payloads", self.step, busy_seconds=BUSY_SECONDS, idle_seconds=IDLE_SECONDS)

    async def step(self) -> int:
        """Write some; how many there were."""
        some = [self._waiting.popleft() for _ in range(min(AT_ONCE_MAX, len(self._waiting)))]
        self._bytes -= sum(len(payload.request) + len(payload.answer) for payload in some)
        try:
            await asyncio.shield(self._payloads.add(some))
        except SQLAlchemyError as exc:
            # Not str(exc): SQLAlchemy puts the row into it.
            self._drop(len(some), type(getattr(exc, "orig", exc)).__name__)
        return len(some)

    async def close(self) -> None:
        """Write what waits."""
        while await self.step():
            pass

    def _drop(self, count: int, why: str = "too many wait") -> None:
        self.dropped += count
        log.warning("payloads_dropped count=%d why=%s", count, why)
