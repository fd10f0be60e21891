"""What is asked for, and what the answers are made of: integers, by slot of time and by key."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gateway.metering.totals import DayTotals
from gateway.store.archive import SlotUse, Summary


class Measure(StrEnum):
    """What is summed up."""

    COST = "cost"
    CHARGE = "charge"
    TOKENS = "tokens"
    REQUESTS = "requests"
    ERRORS = "errors"
    REJECTED = "rejected"


class GroupBy(StrEnum):
    NONE = "none"
    MODEL = "model"
    APP = "app"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Whose use, of what; None: all. `customers` are numbers; empty: nobody."""

    app: str | None = None
    model: str | None = None
    customers: Collection[int] | None = None


class Slot(NamedTuple):
    """Sums of one slot, or of one customer; all zero where nothing happened."""

    requests: int = 0
    tokens: int = 0
    cost_pico: int = 0
    charge_pico: int = 0
    errors: int = 0
    rejected: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0

    @property
    def output_tokens(self) -> int:
        return self.tokens - self.input_tokens

    def plus(self, other: "Slot") -> "Slot":
        return Slot(*map(int.__add__, self, other))

    def minus(self, other: "Slot") -> "Slot":
        return Slot(*map(int.__sub__, self, other))

    def of(self, measure: Measure) -> int:
        """Pico-USD, tokens or calls."""
        return int(self[_PLACE[measure]])


NOTHING: Final = Slot()
NAMES: Final = {
    Measure.COST: "cost_pico",
    Measure.CHARGE: "charge_pico",
    Measure.TOKENS: "tokens",
    Measure.REQUESTS: "requests",
    Measure.ERRORS: "errors",
    Measure.REJECTED: "rejected",
}
"""What the numbers of a slot are called, here and in the archive."""

_PLACE: Final = {measure: Slot._fields.index(name) for measure, name in NAMES.items()}


def total(slots: Iterable[Slot]) -> Slot:
    """Their sum."""
    return Slot(*map(sum, zip(Slot(), *slots, strict=True)))


def slot_of(row: SlotUse) -> Slot:
    return Slot(
        row.requests,
        row.tokens,
        row.cost_pico,
        row.charge_pico,
        row.errors,
        row.rejected,
        row.unpriced,
        row.input_tokens,
        row.cached_tokens,
    )


def slot_of_day(day: DayTotals) -> Slot:
    return Slot(
        day.calls,
        day.input_tokens + day.output_tokens,
        day.cost_pico,
        day.charge_pico,
        day.errors,
        day.rejected,
        day.unpriced,
        day.input_tokens,
        day.cached_tokens,
    )


@dataclass(frozen=True, slots=True)
class Top:
    """One customer's use of a span."""

    number: int
    partition: int
    use: Slot


@dataclass(frozen=True, slots=True)
class TopUsers:
    """The greatest, and what all others come to."""

    users: Sequence[Top]
    other: Slot


@dataclass(frozen=True, slots=True)
class Active:
    """Customers that called in a slot; `new` had never called before it."""

    active: int = 0
    new: int = 0

    @property
    def returning(self) -> int:
        return self.active - self.new


@dataclass(frozen=True, slots=True)
class Shares:
    """Slots by key: the greatest keys by name, and the rest of each slot.

    Attributes:
        slots: Slot -> key -> what it used. A key is a customer number, a model, an app, or ''.
        partitions: Of the customers among the keys.
    """

    keys: Sequence[Any]
    slots: Mapping[int, Mapping[Any, Slot]]
    other: Mapping[int, Slot]
    partitions: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the calls of a slot took, in ms; None: there were none."""

    p50: int | None = None
    p95: int | None = None
    first_p50: int | None = None
    first_p95: int | None = None


def summary_of(uses: Iterable[SlotUse], active: int) -> Summary:
    """The sum of all of them."""
    sums = dict.fromkeys(_SUMMED, 0)
    for use in uses:
        for name in _SUMMED:
            sums[name] += getattr(use, name)
    tokens = sums.pop("tokens")
    return Summary(**sums, output_tokens=tokens - sums["input_tokens"], active_users=active)


_SUMMED: Final = (
    *("requests", "errors", "rejected", "unpriced", "cost_pico", "charge_pico"),
    *("unresolved_pico", "tokens", "input_tokens", "cached_tokens", "reasoning_tokens"),
)
