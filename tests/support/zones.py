"""Zones in which sums are tried, and moments around which they are likely to be wrong."""

from datetime import UTC, datetime

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu"]

CHANGES = [  # of New York's clocks, and an ordinary midnight of UTC
    int(datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp() * 1000),
    int(datetime(2025, 11, 2, 6, tzinfo=UTC).timestamp() * 1000),
    int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000),
]
"""Unix ms."""
