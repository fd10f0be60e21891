"""Reload: prices that were edited come into force in a running process, all at once or not.

The files that prices come from are looked at every few seconds. When they have changed, and
have stood still for one look, the book is read anew, and takes the place of the old one in
one step: a call goes on with the book it began with. The old one stays in force

* while the files cannot be read, or say something wrong, and
* when a price would move by an order of magnitude (`pricing.compare.leaps`), until the
  configuration confirms that very book by its code.

Each worker does so by itself, by the same files and rules, and says what keeps it from it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gateway.clock import Clock
from gateway.rating import Rating
from pricing.book import PriceBook
from pricing.compare import Leap, code_of, leaps_of, pairs

LOOK_SECONDS: Final = 2.0
CARDS_AT_ONCE: Final = 50
TOLD_MAX: Final = 3
"""Leaps told one by one; `farebox prices diff` has them all."""

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]
"""Of each file its inode, size and time of change; None: it is not there."""


class Wanted(NamedTuple):
    """What the files say: the book, and the code of the book that was confirmed."""

    book: PriceBook
    confirmed: str | None = None


class Reload:
    """Of one process.

    Args:
        rating: Whose book is replaced.
        read: Reads the files; in a thread. It raises what it likes.
        files: What it reads.

    Attributes:
        trouble: Why the newest prices are not in force, in words; None: they are.
    """

    def __init__(
        self, rating: Rating, read: Callable[[], Wanted], files: Sequence[Path], clock: Clock
    ) -> None:
        self._rating = rating
        self._read = read
        self._files = tuple(files)
        self._clock = clock
        self._looked: Stamp | None = None
        self._taken: Stamp | None = None
        self.trouble: str | None = None

    async def run(self) -> None:
        """Look for ever; never raises."""
        while True:
            try:
                await self.step()
            except Exception:  # a mistake of ours must not end it for good
                log.exception("prices_reload_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> bool:
        """Look once; whether another book came into force."""
        stamp = tuple(map(_stamp, self._files))
        is_still, self._looked = stamp == self._looked, stamp
        if not is_still or stamp == self._taken:
            return False
        self._taken = stamp
        try:
            wanted = await asyncio.to_thread(self._read)
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with a file is told
            self._refuse(f"the files cannot be used: {' '.join(str(exc).split())}")
            return False
        return await self._take(wanted)

    def troubles(self) -> list[str]:
        """For a health check."""
        return [self.trouble] if self.trouble else []

    async def _take(self, wanted: Wanted) -> bool:
        book, before = wanted.book, self._rating.book
        if book.version == before.version:
            self.trouble = None
            return False
        code = code_of(book.version)
        found = await self._leaps(before, book)
        if found and wanted.confirmed != code:
            told = "; ".join(map(str, found[:TOLD_MAX]))
            more = f"; and {len(found) - TOLD_MAX} more" if len(found) > TOLD_MAX else ""
            self._refuse(f"{told}{more}. If that is right, set prices_confirm: {code}")
            return False
        self._rating.adopt(book)
        self.trouble = None
        log.info("prices_adopted book=%s before=%s", code, code_of(before.version))
        return True

    async def _leaps(self, before: PriceBook, after: PriceBook) -> list[Leap]:
        """All of them, and between the cards the loop serves calls."""
        for book in (before, after):
            await asyncio.to_thread(list, book.cards())  # so that they are made
        now_ms = self._clock.now_ms()
        found: list[Leap] = []
        for number, pair in enumerate(pairs(before, after)):
            found += leaps_of(*pair, now_ms)
            if number % CARDS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    def _refuse(self, why: str) -> None:
        self.trouble = f"prices: the old book stays in force: {why}"
        log.error("prices_refused book_in_force=%s %s", code_of(self._rating.book.version), why)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
