"""Which models were called, as SQL: from one name's place in an index to the next."""

from typing import Final

from sqlalchemy import Executable, text

STEPS_MAX: Final = 200
"""Names looked at: whoever calls may make them up, and then they have no end."""


def model_names(start_ms: int, end_ms: int) -> Executable:
    """A name a row, in their order: as many steps as names, however many their rows."""
    return _MODEL_NAMES.bindparams(start_ms=start_ms, end_ms=end_ms, steps=STEPS_MAX)


_MODEL_NAMES: Final = text(
    """
    WITH RECURSIVE found (model, step) AS (
        SELECT min(model), 1 FROM events
        UNION ALL
        SELECT (SELECT min(model) FROM events WHERE model > found.model), step + 1
        FROM found WHERE found.model IS NOT NULL AND step < :steps
    )
    SELECT model FROM found WHERE model <> '' AND EXISTS (
        SELECT 1 FROM events
        WHERE events.model = found.model AND at_ms >= :start_ms AND at_ms < :end_ms
    )
    ORDER BY model"""
)
