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

    def of(self, measure: Measure) -> int:
        """Pico-USD, tokens or calls."""
        return int(self[_PLACE[measure]])


NOTHING: Final = Slot()
_PLACE: Final = {
    Measure.COST: Slot._fields.index("cost_pico"),
    Measure.CHARGE: Slot._fields.index("charge_pico"),
    Measure.TOKENS: Slot._fields.index("tokens"),
    Measure.REQUESTS: Slot._fields.index("requests"),
    Measure.ERRORS: Slot._fields.index("errors"),
    Measure.REJECTED: Slot._fields.index("rejected"),
}


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


def summary_of(total: DayTotals, active: int) -> Summary:
    return Summary(
        requests=total.calls,
        input_tokens=total.input_tokens,
        cached_tokens=total.cached_tokens,
        output_tokens=total.output_tokens,
        reasoning_tokens=total.reasoning_tokens,
        cost_pico=total.cost_pico,
        charge_pico=total.charge_pico,
        unresolved_pico=total.unresolved_pico,
        active_users=active,
        errors=total.errors,
        rejected=total.rejected,
        unpriced=total.unpriced,
    )


def quantile(values: list[int], share: float) -> int | None:
    """The nearest rank; None of nothing. Sorts `values`."""
    if not values:
        return None
    values.sort()
    return values[min(int(share * len(values)), len(values) - 1)]
