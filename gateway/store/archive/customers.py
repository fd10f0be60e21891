"""Who is in the archive, and what was called, as SQL: from one place in an index to the next."""

from typing import Final

from sqlalchemy import Executable, text

CUSTOMERS: Final = """
    WITH RECURSIVE found (number) AS (
        SELECT min(customer_number) FROM events
        UNION ALL
        SELECT (SELECT min(customer_number) FROM events WHERE customer_number > found.number)
        FROM found WHERE found.number IS NOT NULL
    )
    SELECT found.number,
        (SELECT partition FROM events WHERE customer_number = found.number LIMIT 1)
    FROM found WHERE found.number IS NOT NULL
    UNION
    SELECT customer_number, partition FROM past"""
"""Number and partition of each, once: as many steps as customers, however many their rows."""

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
