"""Summing up: rows that were archived before there were sums, or for days of another zone.

Until that is done, what is asked of a span is answered from the rows, slowly, and no row is
removed.
"""

import logging
from typing import Final

from gateway.metering.loop import repeat
from gateway.store.archive import Archive

BUSY_SECONDS: Final = 0.2
"""Between two batches: those who write rows come first."""

IDLE_SECONDS: Final = 3_600.0
TOLD_ROWS: Final = 100_000

log = logging.getLogger(__name__)


class SummingUp:
    """Of one archive.

    Attributes:
        summed: Rows that this one has summed up.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.summed = 0

    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop: no moment is a bad one."""
        await repeat("summing_up", self.step, busy_seconds=BUSY_SECONDS, idle_seconds=IDLE_SECONDS)

    async def step(self) -> int:
        """Sum up one batch; returns how many rows it had.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the archive is away.
        """
        count = await self._archive.sum_up()
        before, self.summed = self.summed, self.summed + count
        if before // TOLD_ROWS != self.summed // TOLD_ROWS or (self.summed and not count):
            log.info("archive_summed rows=%d whole=%s", self.summed, str(not count).lower())
        return count
