"""Who is in the archive, as SQL: from one customer's place in an index to the next."""

from typing import Final

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
