"""Once: what scripts are told that count something under an idempotency key (``lib/once.lua``)."""

from typing import Final, NamedTuple

from gateway.ledger.results import Recorded
from gateway.store.keys import IDEMPOTENCY_SECONDS, WEEK_MS

RECORDED: Final = {1: Recorded.ACCEPTED, 2: Recorded.DUPLICATE, 3: Recorded.CONFLICT}
"""Of the outcomes that end the asking."""

KEEP_SECONDS: Final = IDEMPOTENCY_SECONDS + WEEK_MS // 1000
"""So long the newest bucket of keys is kept, from its last change on."""


class Week(NamedTuple):
    """While the first of the buckets is that of now, Unix ms: [from_ms, until_ms)."""

    from_ms: int
    until_ms: int


def week_of(now_ms: int) -> Week:
    from_ms = now_ms - now_ms % WEEK_MS
    return Week(from_ms, from_ms + WEEK_MS)
