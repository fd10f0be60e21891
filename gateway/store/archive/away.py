"""What is shown without the archive while it is away, rather than nothing at all."""

import logging
from collections.abc import Awaitable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

T = TypeVar("T")

log = logging.getLogger(__name__)


async def unless_away(answer: Awaitable[T]) -> T | None:
    """What the archive says; None while it cannot be read."""
    try:
        return await answer
    except SQLAlchemyError as exc:
        # Not str(exc): SQLAlchemy puts statements and rows into it.
        log.warning("archive_left_out error=%s", type(exc).__name__)
        return None
