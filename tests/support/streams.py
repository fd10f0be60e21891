"""A partition's events as redis-py's client reads them: fields in a dict, not in a row."""

from typing import Any

from gateway.event import UsageEvent, decode


def events_in(client: Any, stream: str) -> list[tuple[str, UsageEvent]]:
    """Each with its stream id."""
    return [
        (stream_id.decode(), decode([part for pair in fields.items() for part in pair]))
        for stream_id, fields in client.xrange(stream)
    ]
