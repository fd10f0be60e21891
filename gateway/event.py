"""UsageEvent: the billable fact, and how it is written to the stream.

An entry of ``{p}ev`` has six fields. Five are what scripts decide or the fold needs at
once; the sixth is the rest, as JSON, which only Python reads:

    k   kind            n   customer number    a   charge, pico-USD, signed
    id  request id      c   cost, pico-USD     e   details, JSON

A script may post details written at the hold under another kind and amount (``orphan``,
``adjust``); the outer fields win. Events are immutable, and readers skip what they do not
know, so that two versions can run side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

import orjson

from pricing.usage import Usage

SCHEMA: Final = 1
METADATA_BYTES_MAX: Final = 4096


NO_USAGE: Final = Usage()


class Kind(StrEnum):
    SETTLE = "settle"
    RELEASE = "release"
    REFUSE = "refuse"
    ORPHAN = "orphan"
    ADJUST = "adjust"
    EVENT = "event"


class Status(StrEnum):
    OK = "ok"
    ERROR = "error"
    ABORTED = "aborted"
    REJECTED = "rejected"
    UNRESOLVED = "unresolved"


class Source(StrEnum):
    """Where the token counts come from."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    MISSING = "missing"
    EVENT = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent:
    """One call or one reported usage, with what it cost.

    Attributes:
        at_ms: When it counts, Unix ms: the call's start, the reported event's timestamp.
        charge_pico: What the customer pays, pico-USD; negative only in an ``adjust``.
        cost_pico: What the provider charges, pico-USD.
        unpriced: No price was known: cost and charge are 0 here and shown as null.
        hold_pico: What was held for the call.
        model: The model asked for. `served_model` is the one the answer names.
        raw_usage: The provider's usage block where it could not be read.
    """

    request_id: str
    kind: Kind
    at_ms: int
    customer_number: int = 0
    charge_pico: int = 0
    cost_pico: int = 0
    app: str = ""
    group: str | None = None
    unpriced: bool = False
    markup_ppm: int = 0
    hold_pico: int = 0
    endpoint: str = ""
    model: str = ""
    served_model: str | None = None
    upstream: str = ""
    provider: str = ""
    price_id: str | None = None
    book_version: str | None = None
    service_tier: str | None = None
    usage: Usage = NO_USAGE
    source: Source | None = None
    raw_usage: str | None = None
    status: Status = Status.OK
    status_code: int = 0
    error_code: str | None = None
    stream: bool = False
    latency_ms: int | None = None
    first_token_ms: int | None = None
    finish_reason: str | None = None
    upstream_request_id: str | None = None
    metadata: Mapping[str, Any] | None = None

    @property
    def is_usage(self) -> bool:
        """Whether it counts as a call; refusals and releases are log rows only."""
        return self.kind in USAGE_KINDS

    @property
    def failed(self) -> bool:
        return self.status in (Status.ERROR, Status.UNRESOLVED)

    def details(self) -> bytes:
        """The JSON of field ``e``: every field that is not at its default."""
        document: dict[str, Any] = {"v": SCHEMA}
        for name, default in _DETAILS:
            value = getattr(self, name)
            if value != default:
                document[name] = value
        if self.usage != NO_USAGE:
            document["usage"] = {
                name: value for name in _USAGE_FIELDS if (value := getattr(self.usage, name))
            }
        return orjson.dumps(document)


USAGE_KINDS: Final = frozenset({Kind.SETTLE, Kind.ORPHAN, Kind.EVENT})
"""Kinds that are one call each. An ``adjust`` moves money for a call already counted."""

_OUTER: Final = frozenset({"request_id", "kind", "customer_number", "charge_pico", "cost_pico"})
_DETAILS: Final = tuple(
    (f.name, f.default) for f in fields(UsageEvent) if f.name not in _OUTER and f.name != "usage"
)
_USAGE_FIELDS: Final = tuple(f.name for f in fields(Usage))
_ENUMS: Final[tuple[tuple[str, type[StrEnum]], ...]] = (("status", Status), ("source", Source))


def decode(entry: Mapping[bytes, bytes]) -> UsageEvent:
    """Read a stream entry.

    Raises:
        ValueError: not an event of ours (a missing field, no JSON, an unknown kind).
    """
    try:
        document = orjson.loads(entry[b"e"])
        known = {name: document[name] for name, _ in _DETAILS if name in document}
        for name, enum in _ENUMS:
            if known.get(name) is not None:
                known[name] = enum(known[name])
        event = UsageEvent(
            request_id=entry[b"id"].decode(),
            kind=Kind(entry[b"k"].decode()),
            customer_number=int(entry[b"n"]),
            charge_pico=int(entry[b"a"]),
            cost_pico=int(entry[b"c"]),
            usage=_usage(document.get("usage")),
            **known,
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a usage event: {exc!r}") from exc
    if event.kind is Kind.ORPHAN:
        return replace(event, status=Status.UNRESOLVED, source=Source.MISSING)
    return event


def _usage(counts: Mapping[str, Any] | None) -> Usage:
    if not counts:
        return NO_USAGE
    known = {name: counts[name] for name in _USAGE_FIELDS if name in counts}
    if "fees" in known:
        known["fees"] = tuple((name, count) for name, count in known["fees"])
    return Usage(**known)
