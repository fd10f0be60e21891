"""Request ids: ours, time-ordered, told in ``x-farebox-request-id``.

``fbx_`` and 32 hex digits: 12 of Unix milliseconds, 20 random. The time is in the id, so
that a tombstone is found in the bucket of the id's own hour, however late it is asked for.
"""

import re
import secrets
from typing import Final

from gateway.store.keys import HOUR_MS

_SHAPE: Final = re.compile(r"fbx_[0-9a-f]{32}")


def new_request_id(now_ms: int) -> str:
    return f"fbx_{now_ms:012x}{secrets.token_hex(10)}"


def is_request_id(text: str) -> bool:
    """Whether `text` has the shape of an id that this gateway gave to a call."""
    return _SHAPE.fullmatch(text) is not None


def hour_of(request_id: str) -> int:
    """The hour, since 1970, in which the id was made."""
    return int(request_id[4:16], 16) // HOUR_MS
