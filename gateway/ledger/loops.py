"""The ledger's own loops: each runs for ever, and takes no other along when it fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

FAILED_PAUSE_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


async def for_ever(loop: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await loop()
        except Exception:
            log.exception("ledger_loop_failed")
            await asyncio.sleep(FAILED_PAUSE_SECONDS)
