"""One row of the roster, and where it stands in each order. Pure."""

import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from gateway.customers.profile import Profile
from gateway.metering.totals import Lifetime
from gateway.store.keys import Partition


class Column(StrEnum):
    """What a list can be sorted by; as its order's key is called."""

    FIRST_SEEN = "first_seen"
    LAST_SEEN = "last_seen"
    REQUESTS = "requests"
    CHARGE = "charge"
    TOKENS = "tokens"
    ACTIVE_DAYS = "active_days"
    LATENCY = "latency"
    TTFT = "ttft"
    IDENTIFIER = "identifier"
    EMAIL = "email"
    NAME = "name"


class Row(Struct, frozen=True, array_like=True):
    """A customer in the list. Stored by position: append, never reorder.

    Attributes:
        partition: Its index.
        first_seen_ms: Its first call or its creation, whichever is earlier: events can be
            dated back.
        charge_text, cost_text: Pico-USD in decimals, since they outgrow 64 bits.
    """

    partition: int
    number: int
    identifier: str
    name: str | None = None
    email: str | None = None
    first_seen_ms: int | None = None
    last_seen_ms: int | None = None
    active_days: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    charge_text: str = "0"
    cost_text: str = "0"
    latency_ms_sum: int = 0
    latency_calls: int = 0
    first_token_ms_sum: int = 0
    first_token_calls: int = 0

    @property
    def member(self) -> str:
        """As the orders name it."""
        return member(self.number, self.partition)

    @property
    def charge_pico(self) -> int:
        return int(self.charge_text)

    @property
    def cost_pico(self) -> int:
        return int(self.cost_text)

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def latency_ms(self) -> float | None:
        """Average over the calls that have one."""
        return self.latency_ms_sum / self.latency_calls if self.latency_calls else None

    @property
    def first_token_ms(self) -> float | None:
        return self.first_token_ms_sum / self.first_token_calls if self.first_token_calls else None


def member(number: int, partition: int) -> str:
    """As the orders name a customer, by the index of its partition."""
    return f"{partition}:{number}"


def row_of(partition: Partition, profile: Profile, lifetime: Lifetime) -> Row:
    totals = lifetime.totals
    moments = (lifetime.first_seen_ms, profile.whole("created_ms"))
    return Row(
        partition=partition.index,
        number=profile.number,
        identifier=profile.identifier,
        name=profile.text("name"),
        email=profile.text("email"),
        first_seen_ms=min((ms for ms in moments if ms is not None), default=None),
        last_seen_ms=lifetime.last_seen_ms,
        active_days=lifetime.active_days,
        requests=totals.calls,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        charge_text=str(totals.charge_pico),
        cost_text=str(totals.cost_pico),
        latency_ms_sum=totals.latency_ms_sum,
        latency_calls=totals.latency_calls,
        first_token_ms_sum=totals.first_token_ms_sum,
        first_token_calls=totals.first_token_calls,
    )


NOTHING: Final = -1.0
"""The score of what a customer does not have: before all that others have."""


def _or_nothing(number: float | None) -> float:
    return NOTHING if number is None else float(number)


SCORES: Final[Mapping[Column, Callable[[Row], float]]] = {
    Column.FIRST_SEEN: lambda row: _or_nothing(row.first_seen_ms),
    Column.LAST_SEEN: lambda row: _or_nothing(row.last_seen_ms),
    Column.REQUESTS: lambda row: float(row.requests),
    Column.CHARGE: lambda row: float(row.charge_pico),
    Column.TOKENS: lambda row: float(row.total_tokens),
    Column.ACTIVE_DAYS: lambda row: float(row.active_days),
    Column.LATENCY: lambda row: _or_nothing(row.latency_ms),
    Column.TTFT: lambda row: _or_nothing(row.first_token_ms),
}
"""A score is a double: two charges beyond $9,007 that differ by a pico-dollar may share one."""

TEXTS: Final[Mapping[Column, Callable[[Row], str]]] = {
    Column.IDENTIFIER: lambda row: folded(row.identifier),
    Column.EMAIL: lambda row: folded(row.email or ""),
    Column.NAME: lambda row: folded(row.name or ""),
}


def folded(text: str) -> str:
    """As texts are sorted and searched: without case, in one line."""
    return unicodedata.normalize("NFC", text.casefold()).translate(_IN_ONE_LINE)


def packed(row: Row) -> bytes:
    return _encode(row)


def unpacked(stored: bytes) -> Row:
    """From what ``index.lua`` stores: the stamp and the texts, a line each, then the row."""
    return _decode(stored.split(b"\n", 1 + len(TEXTS))[-1])


def text_entry(text: str, member: str) -> bytes:
    """How a customer stands in an order by text."""
    return f"{text}\0{member}".encode()


_IN_ONE_LINE: Final = dict.fromkeys(range(32), " ")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Row).decode
