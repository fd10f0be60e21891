"""What the ledger answers: a hold, a receipt for reported usage, a balance."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.customers.profile import Profile, Terms
from gateway.store.keys import Partition


class Recorded(StrEnum):
    """What became of a reported usage."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reservation: what a running call may cost at most.

    Attributes:
        profile: The customer as it was held, after the call's own upsert.
        spent_period_pico, spent_total_pico, held_pico: Of the customer, before this hold.
        window_ids: The windows that its charge counts in, as the scripts take them.
    """

    request_id: str
    partition: Partition
    profile: Profile
    terms: Terms
    amount_pico: int
    spent_period_pico: int
    spent_total_pico: int
    held_pico: int
    window_ids: str
    warnings: tuple[str, ...] = ()

    def remaining_pico(self, charge_pico: int) -> int | None:
        """What is left of the tightest limit once this call has cost `charge_pico`."""
        limits = self.terms.limits
        rooms = [
            limit - spent - self.held_pico - charge_pico
            for limit, spent in (
                (limits.period_budget_pico, self.spent_period_pico),
                (limits.total_budget_pico, self.spent_total_pico),
            )
            if limit is not None
        ]
        return min(rooms, default=None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a reported usage; on a duplicate, of the one that came before."""

    outcome: Recorded
    event_id: str
    charge_pico: int


@dataclass(frozen=True, slots=True)
class Spent:
    charge_pico: int = 0
    cost_pico: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as it stands: exact, never behind.

    Attributes:
        by_kind: What was spent in the windows of now, by window kind.
    """

    spent: Spent
    held_pico: int
    by_kind: Mapping[str, Spent]
