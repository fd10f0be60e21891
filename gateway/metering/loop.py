"""The loop of a background job: step after step, whatever a step does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import LedgerUnavailable

FAILED_PAUSE_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


async def repeat(
    name: str, step: Callable[[], Awaitable[int]], *, busy_seconds: float, idle_seconds: float
) -> None:
    """Step for ever, pausing longer after a step that found nothing to do."""
    while True:
        try:
            pause = busy_seconds if await step() else idle_seconds
        except Exception as exc:  # the loop outlives whatever a step meets
            pause = FAILED_PAUSE_SECONDS
            # Not SQLAlchemy's own words: it puts statements and rows into them.
            explain = not isinstance(exc, LedgerUnavailable | SQLAlchemyError)
            log.warning("%s_failed error=%s", name, type(exc).__name__, exc_info=explain)
        await asyncio.sleep(pause)
