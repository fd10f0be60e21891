"""A partition's events, read by redis-py's own client."""

from typing import Any

from gateway.event import UsageEvent, decode


def events_in(client: Any, stream: str) -> list[tuple[str, UsageEvent]]:
    """Each with its stream id."""
    return [(stream_id.decode(), decode(fields)) for stream_id, fields in client.xrange(stream)]
