"""What the ledger answers: a hold, a receipt for reported usage, a balance."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.customers.profile import Profile, Terms
from gateway.customers.windows import CUSTOM, KINDS
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
        app: The app that made the call.
        profile: The customer as it was held, after the call's own upsert.
        amount_pico: What is held; less than `wanted_pico` where only part of it fitted.
        orphan_pico: What is posted should the call never end, as far as known at its start.
        spent_period_pico, spent_total_pico, held_pico: Of the customer, before this hold;
            spent is what the limits are about, charge or cost.
        window_ids: The windows that its charge counts in, as the scripts take them.
        opening: Details of the event to post should the call never end.
    """

    request_id: str
    app: str
    partition: Partition
    profile: Profile
    terms: Terms
    amount_pico: int
    wanted_pico: int
    orphan_pico: int
    spent_period_pico: int
    spent_total_pico: int
    held_pico: int
    window_ids: str
    opening: bytes
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
        over_settle_pico: What calls cost above what was reserved for them.
        over_event_pico: What was reported beyond a limit.
    """

    spent: Spent
    held_pico: int
    by_kind: Mapping[str, Spent]
    over_settle_pico: int = 0
    over_event_pico: int = 0

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes], window_ids: str) -> "Balance":
        """Read an account's hash, given the ids of the windows of now.

        Windows that have not been opened yet count as empty. One that is open already and
        has not ended (the clock stepped back, the anchor was moved) counts as that of now.
        """
        ids = window_ids.split()
        return cls(
            spent=Spent(int(fields.get(b"spent", 0)), int(fields.get(b"cost", 0))),
            held_pico=int(fields.get(b"held", 0)),
            by_kind={
                kind: _spent(fields, kind)
                for kind, window_id in zip(KINDS, ids[: len(KINDS)], strict=True)
                if _is_open(fields, kind, int(window_id))
            },
            over_settle_pico=int(fields.get(b"over.settle", 0)),
            over_event_pico=int(fields.get(b"over.event", 0)),
        )


def _spent(fields: Mapping[bytes, bytes], kind: str) -> Spent:
    return Spent(
        int(fields.get(f"{kind}.charge".encode(), 0)), int(fields.get(f"{kind}.cost".encode(), 0))
    )


def _is_open(fields: Mapping[bytes, bytes], kind: str, window_id: int) -> bool:
    opened = int(fields.get(kind.encode(), 0))
    until = int(fields.get(b"custom.until", 0)) if kind == CUSTOM else 0
    return window_id > 0 and (opened >= window_id or 0 < opened < window_id < until)
