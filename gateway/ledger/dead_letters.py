"""Dead letters: ends of calls that the store will not take, kept for a human to book.

One JSON object a line, in ``data_dir/wal/dead-letter.jsonl``. It is rare (an end that is
told two days late, an account whose keys are damaged), it is money, and it is never dropped
in silence.
"""

import logging
import os
from pathlib import Path
from typing import Final

import orjson

from gateway.ledger.wal.records import Ending

FILE: Final = "dead-letter.jsonl"

log = logging.getLogger(__name__)


class DeadLetters:
    """Attributes: `count`: how many this process has written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.count = 0

    def add(self, ending: Ending, reason: str) -> None:
        self.count += 1
        log.error(
            "dead_letter request_id=%s verb=%s charge_pico=%d reason=%s",
            ending.request_id,
            ending.verb,
            ending.charge_pico,
            reason,
        )
        if self._folder is None:
            return
        line = orjson.dumps({"reason": reason, **as_json(ending)}, option=orjson.OPT_APPEND_NEWLINE)
        fd = os.open(self._folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)


def as_json(ending: Ending) -> dict[str, object]:
    """Amounts are decimal strings of pico-USD, which a reader of JSON cannot round."""
    return {
        "request_id": ending.request_id,
        "customer_identifier": ending.customer,
        "customer_number": ending.number,
        "verb": ending.verb,
        "charge_pico": str(ending.charge_pico),
        "cost_pico": str(ending.cost_pico),
        "window_ids": ending.window_ids,
        "details": orjson.Fragment(ending.details),
    }
