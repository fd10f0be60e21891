"""UsageEvent: the billable fact, and how it is written to the stream.

An entry of ``{p}ev`` has six fields at least. Five are what scripts decide or the fold needs at
once; the sixth is the rest, as JSON, which only Python reads:

    k   kind            n   customer number    a   charge, pico-USD, signed
    id  request id      c   cost, pico-USD     e   details, JSON

An ``adjust`` of an orphan has ``o``, too: the charge that the orphan was posted with;
a ``credit`` has its amount there once more, as ``r``, for those who only add up. Last, and in
all that is charged, comes ``w``: the windows in which the account counts it. They are not in
`UsageEvent`; who adds up windows reads them (`gateway.metering.window_sums`).

A script may post details written at the hold under another kind and amount (``orphan``,
``adjust``); the outer fields win. Events are immutable, and readers skip what they do not
know, so that two versions can run side by side.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
import orjson
from msgspec import Meta, Struct
from msgspec.structs import astuple, replace

from pricing.usage import Usage

SCHEMA: Final = 1
METADATA_BYTES_MAX: Final = 4096
_NO_USAGE: Final = Usage()
_INT64: Final = 2**63
_YEAR_9999_MS: Final = 253_370_764_800_000

Int64 = Annotated[int, Meta(gt=-_INT64, le=_INT64 - 1)]
Instant = Annotated[int, Meta(ge=0, lt=_YEAR_9999_MS)]


class Kind(StrEnum):
    SETTLE = "settle"
    RELEASE = "release"
    REFUSE = "refuse"
    ORPHAN = "orphan"
    ADJUST = "adjust"
    EVENT = "event"
    CREDIT = "credit"


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


class UsageEvent(Struct, frozen=True, gc=False):
    """One call or one reported usage, with what it cost. Make it with keywords.

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
        model: The model asked for. `upstream_model` is what the upstream was asked for, where
            that is another name; `served_model` is the one the answer names.
        raw_usage: The start of the provider's usage block where it could not be read: the
            usage is unparsed, and what stands here is an estimate.
        usage_cut: Parts of the usage that the provider stated larger than their whole, with
            commas: they were cut down to it, and the amounts may be wrong.
        reported_cost_pico: What the provider says that the call cost, whatever is booked.
        scope: Where it was served, if that has a price of its own (``us``).
        key: The temporary key that the call was made with, by its id.
        adjusts: In an ``adjust`` that re-rates: the request id of that call.
        credit_pico: In a ``credit``: by how much it raises what the customer may spend in
            all; signed. It is charged nothing.
    """

    request_id: str
    kind: Kind
    at_ms: Instant
    customer_number: Int64 = 0
    charge_pico: Int64 = 0
    cost_pico: Int64 = 0
    app: str = ""
    group: str | None = None
    unpriced: bool = False
    unheld: bool = False
    markup_ppm: Int64 = 0
    hold_pico: Int64 = 0
    output_cap_tokens: Int64 | None = None
    endpoint: str = ""
    model: str = ""
    served_model: str | None = None
    upstream: str = ""
    provider: str = ""
    price_id: str | None = None
    book_version: str | None = None
    service_tier: str | None = None
    scope: str | None = None
    reported_cost_pico: Int64 | None = None
    usage: Usage = _NO_USAGE
    source: Source | None = None
    raw_usage: str | None = None
    status: Status = Status.OK
    status_code: Int64 = 0
    error_code: str | None = None
    stream: bool = False
    latency_ms: Int64 | None = None
    first_token_ms: Int64 | None = None
    finish_reason: str | None = None
    upstream_request_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    adjusts: str | None = None
    credit_pico: Int64 = 0
    key: str | None = None
    upstream_model: str | None = None
    usage_cut: str | None = None

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
        return _written(_Written(SCHEMA, *_values(self)))


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
_TOLD: Final = tuple(f for f in msgspec.structs.fields(UsageEvent) if f.name not in _OUTER)
"""The fields that are told in the details."""

_DEFAULTS: Final = {f.name: f.default for f in _TOLD}
_values: Final = attrgetter(*_DEFAULTS)

_DECLARED: Final = tuple(
    (f.name, f.type) if f.default is msgspec.NODEFAULT else (f.name, f.type, f.default)
    for f in _TOLD
)
_Details: Final = msgspec.defstruct(
    "_Details",
    _DECLARED,
    gc=False,
)
"""`UsageEvent` as field ``e`` has it. A flusher that catches up does little else than read
these: the decoder is compiled, from the one declaration above, types and bounds included."""

_read: Final = msgspec.json.Decoder(_Details).decode

_Written: Final = msgspec.defstruct(
    "_Written", [("v", int), *_DECLARED], omit_defaults=True, gc=False
)
"""As they are written: without what is at its default."""

_written: Final = msgspec.json.Encoder().encode

_ENTRY: Final = [b"k", b"id", b"n", b"a", b"c", b"e"]
_CHARGED: Final = [*_ENTRY, b"w"]
_KINDS: Final = {kind.encode(): kind for kind in Kind}
_NOT_OURS: Final = "not a usage event"


def decode(entry: Sequence[bytes] | dict[bytes, bytes]) -> UsageEvent:
    """Read a stream entry: field, value, field, value ... as the store has it, or as a dict.

    What it returns has the types it declares, and int64 numbers.

    Raises:
        ValueError: not an event of ours (a missing field, no JSON, an unknown kind).
    """
    posted: Mapping[bytes, bytes] = {}
    if isinstance(entry, list) and entry[::2] in (_CHARGED, _ENTRY):  # as the scripts write it
        kind_name, request_id, number, charge, cost, details = entry[1:12:2]
    else:  # the order says nothing to a reader
        pairs = entry if isinstance(entry, dict) else zip(entry[::2], entry[1::2], strict=True)
        posted = dict(pairs)
        try:
            kind_name, request_id, number, charge, cost, details = map(posted.__getitem__, _ENTRY)
        except KeyError as exc:
            raise ValueError(_NOT_OURS) from exc
    kind = _KINDS.get(kind_name)
    whole = int(number), int(charge), int(cost)
    if kind is None or min(whole) <= -_INT64 or max(whole) >= _INT64:
        raise ValueError(_NOT_OURS)
    at_ms, *told = astuple(_details(details))
    event = UsageEvent(request_id.decode(), kind, at_ms, *whole, *told)
    if kind is Kind.ORPHAN:
        event = replace(event, status=Status.UNRESOLVED, source=Source.MISSING)
    if b"o" in posted:
        hold_pico = int(posted[b"o"])
        if not -_INT64 < hold_pico < _INT64:
            raise ValueError(_NOT_OURS)
        event = replace(event, hold_pico=hold_pico)
    return event


def _details(text: bytes) -> Struct:
    try:
        return _read(text)
    except msgspec.ValidationError:
        pass
    except RecursionError as exc:
        raise ValueError(_NOT_OURS) from exc
    # What is null gets its default, as what is absent; that is rare enough to be looked at twice.
    document = _without_nulls(orjson.loads(text))
    if "usage" in document:
        document["usage"] = _without_nulls(document["usage"])
    return msgspec.convert(document, _Details)


def _without_nulls(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError(_NOT_OURS)
    return {name: value for name, value in document.items() if value is not None}
