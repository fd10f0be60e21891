"""What a check finds: differences, as data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from pricing.money import usd

DIFFERENCES_MAX: Final = 10_000
"""Of one check; what is beyond is counted, not kept."""


class Finding(StrEnum):
    """What does not add up."""

    SPENT = "spent"
    """An account's `spent` or `cost` is not the sum of the customer's events."""

    WINDOW = "window"
    """An account's open windows, or what was spent in them, are not what its events say; or
    what lies outside one is less than nothing or more than all."""

    HELD = "held"
    """An account's `held` is not the sum of its holds."""

    HOLD_WITHOUT_EXPIRY = "hold_without_expiry"
    EXPIRY_WITHOUT_HOLD = "expiry_without_hold"

    HOLD_UNREADABLE = "hold_unreadable"

    COUNTER = "counter"
    """A lifetime counter or a day is not the fold of the events up to the cursor."""

    ENDED_TWICE = "ended_twice"
    """One request id has several events that end it."""

    PRICE = "price"
    """An event's amount is not what its tokens cost by the price it names."""

    ROSTER = "roster"
    """A row of the users list, or its place in an order, is not what the customer's profile
    and counters say."""

    ARCHIVE = "archive"
    """The archive's rows are not what the stream says, as far as its cursor has come."""


class Unit(StrEnum):
    USD = "usd"
    COUNT = "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that ought to be another number.

    Attributes:
        customer_number: None where no customer is concerned.
        customer: Its identifier; None once it is deleted.
        subject: Which field, window, day or request.
        expected, found: Pico-USD, or a count; see `unit`.
    """

    finding: Finding
    partition: int
    subject: str
    expected: int
    found: int
    unit: Unit = Unit.USD
    customer_number: int | None = None
    customer: str | None = None

    @property
    def amount(self) -> int:
        """By how much too much was found; negative: too little."""
        return self.found - self.expected

    @property
    def key(self) -> tuple[str, int, int | None, str]:
        """Two differences with the same key are one, seen at two times."""
        return (self.finding.value, self.partition, self.customer_number, self.subject)

    def named(self, customer: str | None) -> "Difference":
        return replace(self, customer=customer)

    def to_json(self) -> dict[str, Any]:
        """Money as decimal strings of USD, counts as numbers.

        A customer's number is a string, since it passes 2^53.
        """
        customer = None
        if self.customer_number is not None:
            customer = {"number": str(self.customer_number), "identifier": self.customer}
        return {
            "kind": self.finding.value,
            "partition": self.partition,
            "customer": customer,
            "subject": self.subject,
            "unit": self.unit.value,
            "expected": self._shown(self.expected),
            "found": self._shown(self.found),
            "difference": self._shown(self.amount),
        }

    def _shown(self, number: int) -> str | int:
        return usd(number) if self.unit is Unit.USD else number


def drift_pico(differences: Iterable[Difference]) -> int:
    """The amounts of money by which the books are off, all taken as positive, pico-USD."""
    return sum(abs(d.amount) for d in differences if d.unit is Unit.USD)
