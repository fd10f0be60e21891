"""UsageEvent: the billable fact, and how it is written to the stream.

An entry of ``{p}ev`` has six fields. Five are what scripts decide or the fold needs at
once; the sixth is the rest, as JSON, which only Python reads:

    k   kind            n   customer number    a   charge, pico-USD, signed
    id  request id      c   cost, pico-USD     e   details, JSON

An ``adjust`` of an orphan has a seventh, ``o``: the charge that the orphan was posted with.

A script may post details written at the hold under another kind and amount (``orphan``,
``adjust``); the outer fields win. Events are immutable, and readers skip what they do not
know, so that two versions can run side by side.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, TypeVar

import orjson

from pricing.usage import TOKEN_BUCKETS, Usage

SCHEMA: Final = 1
METADATA_BYTES_MAX: Final = 4096
_NO_USAGE: Final = Usage()


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
        unpriced: No price was known: cost and charge are 0 here and shown as null. In an
            ``adjust``: the call that it re-rates was such a one, and has a price now.
        unheld: It was admitted while the ledger was away: nothing was held for it.
        hold_pico: What was held for the call. In an ``adjust``: the charge of the orphan
            it corrects, else 0.
        output_cap_tokens: The cap that the gateway set, of each choice, so that the call fits.
        model: The model asked for. `served_model` is the one the answer names.
        raw_usage: The provider's usage block where it could not be read.
        adjusts: In an ``adjust`` that re-rates: the request id of that call.
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
    unheld: bool = False
    markup_ppm: int = 0
    hold_pico: int = 0
    output_cap_tokens: int | None = None
    endpoint: str = ""
    model: str = ""
    served_model: str | None = None
    upstream: str = ""
    provider: str = ""
    price_id: str | None = None
    book_version: str | None = None
    service_tier: str | None = None
    usage: Usage = _NO_USAGE
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
    adjusts: str | None = None

    @property
    def is_usage(self) -> bool:
        """Whether it counts as a call; refusals and releases are log rows only."""
        return self.kind in USAGE_KINDS

    @property
    def unpriced_calls(self) -> int:
        """How many more calls have no price because of this event; -1: one less has none."""
        if not self.unpriced:
            return 0
        return -1 if self.adjusts else int(self.is_usage)

    @property
    def amounts_known(self) -> bool:
        """Whether cost and charge are more than the zeros that stand for "nobody knows"."""
        return not self.unpriced or self.adjusts is not None

    @property
    def failed(self) -> bool:
        return self.status in FAILED

    @property
    def unresolved_pico(self) -> int:
        """By how much this event changes what is charged without knowing the truth.

        An orphan is charged a guess. The ``adjust`` that brings the truth is the only one
        that names that guess: its charge is the difference, and all of it is resolved.
        """
        if self.kind is Kind.ORPHAN:
            return self.charge_pico
        return -self.hold_pico if self.kind is Kind.ADJUST else 0

    def details(self) -> bytes:
        """The JSON of field ``e``: every field that is not at its default."""
        document: dict[str, Any] = {"v": SCHEMA}
        for (name, default), value in zip(_DETAILS, _values(self), strict=True):
            if value != default:
                document[name] = value
        if self.usage != _NO_USAGE:
            document["usage"] = {
                name: value for name in _USAGE_FIELDS if (value := getattr(self.usage, name))
            }
        return orjson.dumps(document)


def rerating_id(request_id: str, number: int) -> str:
    """Of the event that re-rates a call for the `number`-th time, from 1."""
    return f"{request_id}{RERATED}{number}"


def details_of(known: Mapping[str, Any]) -> bytes:
    """As `UsageEvent.details`, of an event that has only these fields, and no usage yet."""
    told = {
        name: value
        for name, value in known.items()
        if name not in _OUTER and value != _DEFAULTS[name]
    }
    return orjson.dumps({"v": SCHEMA, **told})


USAGE_KINDS: Final = frozenset({Kind.SETTLE, Kind.ORPHAN, Kind.EVENT})
"""Kinds that are one call each. An ``adjust`` moves money for a call already counted."""

PRICED_KINDS: Final = frozenset({Kind.SETTLE, Kind.EVENT})
"""Kinds whose amounts are their tokens' price. An orphan's is an upper bound."""

MONEY_KINDS: Final = USAGE_KINDS | {Kind.ADJUST}
"""Kinds whose money and tokens count; an ``adjust`` that re-rates carries no tokens."""

TROUBLE_KINDS: Final = USAGE_KINDS | {Kind.RELEASE}
"""Kinds whose status counts among the errors: a release is a call that got nowhere."""

RERATED: Final = "."
"""Between a call's id and the number of its re-rating, which together are that event's id."""

FAILED: Final = frozenset({Status.ERROR, Status.UNRESOLVED})

_OUTER: Final = frozenset({"request_id", "kind", "customer_number", "charge_pico", "cost_pico"})
_DETAILS: Final = tuple(
    (f.name, f.default) for f in fields(UsageEvent) if f.name not in _OUTER and f.name != "usage"
)
_values: Final = attrgetter(*(name for name, _ in _DETAILS))
_DEFAULTS: Final = dict(_DETAILS)
_USAGE_FIELDS: Final = tuple(f.name for f in fields(Usage))
_Reader = Callable[[Any], Any]
_T = TypeVar("_T")
_INT64: Final = 2**63
_TOKENS_MAX: Final = 10**15
"""Of one bucket; an event's totals stay within int64."""

_YEAR_9999_MS: Final = 253_370_764_800_000


def decode(entry: Mapping[bytes, bytes]) -> UsageEvent:
    """Read a stream entry. What it returns has the types it declares, and int64 numbers.

    Raises:
        ValueError: not an event of ours (a missing field, no JSON, an unknown kind).
    """
    try:
        document = orjson.loads(entry[b"e"])
        kind = entry[b"k"].decode()
        document["request_id"] = entry[b"id"].decode()
        document["kind"] = kind
        document["customer_number"] = int(entry[b"n"])
        document["charge_pico"] = int(entry[b"a"])
        document["cost_pico"] = int(entry[b"c"])
        if b"o" in entry:
            document["hold_pico"] = int(entry[b"o"])
        if kind == Kind.ORPHAN:
            document["status"] = Status.UNRESOLVED.value
            document["source"] = Source.MISSING.value
        return _read_event(document)
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a usage event: {type(exc).__name__}") from exc


def _reader(cls: type[_T], readers: Mapping[str, _Reader]) -> Callable[[Mapping[str, Any]], _T]:
    """From JSON to a frozen dataclass: each field checked, then put into its slot directly.

    The dataclass' own ``__init__`` takes twice as long, and a flusher that catches up does
    little else. A field that is absent or null gets its default.
    """
    slots = [
        (f.name, f.default, readers[f.name], cls.__dict__[f.name].__set__)
        for f in fields(cls)  # type: ignore[arg-type]
    ]

    def read(document: Mapping[str, Any]) -> _T:
        made = object.__new__(cls)
        get = document.get
        for name, default, check, put in slots:
            value = get(name)
            if value is not None:
                put(made, check(value))
            elif default is not MISSING:
                put(made, default)
            else:
                raise KeyError(name)
        return made

    return read


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is int and low <= value < high:
            return value
        raise TypeError("not a number in range")

    return read


def _exactly(cls: type[_T]) -> Callable[[Any], _T]:
    def read(value: Any) -> _T:
        if type(value) is cls:
            return value
        raise TypeError(f"not a {cls.__name__}")

    return read


_int: Final = _whole(1 - _INT64, _INT64)
_count: Final = _whole(0, _TOKENS_MAX)
_text: Final = _exactly(str)


def _fees(value: Any) -> tuple[tuple[str, int], ...]:
    return tuple((_text(name), _count(count)) for name, count in value)


_read_usage: Final = _reader(Usage, {**dict.fromkeys(TOKEN_BUCKETS, _count), "fees": _fees})

_BY_TYPE: Final[Mapping[Any, _Reader]] = {
    int: _int,
    int | None: _int,
    str: _text,
    str | None: _text,
    bool: _exactly(bool),
    Kind: {kind.value: kind for kind in Kind}.__getitem__,
    Status: {status.value: status for status in Status}.__getitem__,
    Source | None: {source.value: source for source in Source}.__getitem__,
    Mapping[str, Any] | None: _exactly(dict),
    Usage: _read_usage,
}
_read_event: Final = _reader(
    UsageEvent,
    {f.name: _BY_TYPE[f.type] for f in fields(UsageEvent)} | {"at_ms": _whole(0, _YEAR_9999_MS)},
)
