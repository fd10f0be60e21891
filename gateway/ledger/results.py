"""What the ledger answers: a hold, a receipt for reported usage, a balance."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import add
from typing import Final, NamedTuple

from msgspec import Struct

from gateway.customers.fields import Canonical
from gateway.customers.profile import Profile, Terms
from gateway.customers.scopes import Scope
from gateway.customers.windows import KINDS
from gateway.ledger.rules import Count
from gateway.store.keys import Partition

NO_WINDOWS: Final = b"0 0 0 0 0 0"
"""Of an account that has opened none yet."""

HALF_SECONDS: Final = (43_200, 302_400, 1_209_600, 15_768_000)
"""Of the shortest day, week, month and year: one that begins sooner after the open one is the
same in another zone. As ``lib/ids.lua``."""


class Recorded(StrEnum):
    """What became of a reported usage."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeHold:
    """What a group, an app or a key holds of a call; the sums are its own, before this hold."""

    scope: Scope
    terms: Terms
    amount_pico: int
    spent_period_pico: int
    spent_total_pico: int
    held_pico: int


class Hold(Struct, frozen=True, kw_only=True):
    """A reservation: what a running call may cost at most.

    Attributes:
        app: The app that made the call.
        profile: The customer as it was held, after the call's own upsert.
        amount_pico: What the call may cost; less than `wanted_pico` where only part of that
            fitted. The customer may hold more, where a scope granted less.
        orphan_pico: What is posted should the call never end, as far as known at its start.
        spent_period_pico, spent_total_pico, held_pico: Of the customer, before this hold;
            spent is what the limits are about, charge or cost.
        window_ids: The windows that its charge counts in, as the scripts take them.
        opening: Details of the event to post should the call never end.
        key: The temporary key that it was made with, if any.
        is_held: False for a call that passed while the store was away: nothing is reserved,
            and nothing is known of the account.
        change: What such a call says of its customer, to be written with its end.
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
    scopes: tuple[ScopeHold, ...] = ()
    warnings: tuple[str, ...] = ()
    key: Scope | None = None
    is_held: bool = True
    change: Mapping[str, Canonical] | None = None

    @property
    def group(self) -> str | None:
        return self.profile.group

    def remaining_pico(self, taken_pico: int) -> int | None:
        """What is left of the tightest limit once this call has taken so much of it."""
        if not self.is_held:
            return None
        tightest = self._tightest
        return tightest.amount_pico - taken_pico if tightest else None

    @property
    def resets_ms(self) -> int | None:
        """When the next period of whose limit is the tightest begins, Unix ms, if ever."""
        tightest = self._tightest
        return tightest.resets_ms if tightest else None

    @property
    def _tightest(self) -> "_Room | None":
        accounts: tuple[Hold | ScopeHold, ...] = (self, *self.scopes)
        rooms = [room for account in accounts for room in _rooms(account)]
        return min(rooms, key=lambda room: room.amount_pico, default=None)


class _Room(NamedTuple):
    """What a limit had left before the call, and when its account's next period begins."""

    amount_pico: int
    resets_ms: int | None


def _rooms(account: Hold | ScopeHold) -> Iterator[_Room]:
    terms = account.terms
    for limit, spent in (
        (terms.limits.period_budget_pico, account.spent_period_pico),
        (terms.limits.total_limit_pico, account.spent_total_pico),
    ):
        if limit is not None:
            yield _Room(limit - spent - account.held_pico, terms.period_resets_ms)


class Receipt(Struct, frozen=True):
    """The answer to a reported usage; on a duplicate, of the one that came before."""

    outcome: Recorded
    event_id: str
    charge_pico: int


@dataclass(frozen=True, slots=True)
class Spent:
    charge_pico: int = 0
    cost_pico: int = 0

    def of(self, count: Count) -> int:
        """The one of the two that limits are about."""
        return self.cost_pico if count == "cost" else self.charge_pico


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as it stands: exact, never behind.

    Attributes:
        by_kind: What was spent in the windows of now, by window kind.
        over_settle_pico: What calls cost above what was reserved for them.
        over_event_pico: What was reported beyond a limit.
        over_limit_pico: What limits that were lowered have left beyond them.
        tat_us: How far its rate has been used, as `gateway.customers.rates` has it.
    """

    spent: Spent
    held_pico: int
    by_kind: Mapping[str, Spent]
    over_settle_pico: int = 0
    over_event_pico: int = 0
    over_limit_pico: int = 0
    tat_us: int = 0

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes], window_ids: str) -> "Balance":
        """Read an account's hash, given the ids of the windows of now.

        Windows that have not been opened yet count as empty. One that is open already and
        has not ended (the clock stepped back, the anchor or the zone was moved) counts as that
        of now.
        """
        *ids, _ = map(int, window_ids.split())
        *opened, until = map(int, fields.get(b"windows", NO_WINDOWS).split())
        untils = [*map(add, opened, HALF_SECONDS), until]
        return cls(
            spent=Spent(int(fields.get(b"spent", 0)), int(fields.get(b"cost", 0))),
            held_pico=int(fields.get(b"held", 0)),
            by_kind={
                kind: _spent(fields, kind)
                for kind, now, open_id, end in zip(KINDS, ids, opened, untils, strict=True)
                if now and (open_id >= now or 0 < open_id < now < end)
            },
            over_settle_pico=int(fields.get(b"over.settle", 0)),
            over_event_pico=int(fields.get(b"over.event", 0)),
            over_limit_pico=int(fields.get(b"over.limit", 0)),
            tat_us=int(fields.get(b"tat", 0)),
        )


def _spent(fields: Mapping[bytes, bytes], kind: str) -> Spent:
    """Of the totals, what does not lie outside the kind's window."""
    return Spent(
        *(
            int(fields.get(total, 0)) - int(fields.get(f"{kind}.past.{amount}".encode(), 0))
            for total, amount in ((b"spent", "charge"), (b"cost", "cost"))
        )
    )
