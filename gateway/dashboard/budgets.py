"""Budget: how much of its limits a customer has used, and when it will have used them up."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.customers.profile import Profile, Terms
from gateway.customers.windows import CUSTOM, KIND_OF
from gateway.ledger.ledger import Balance
from gateway.ledger.rules import Count

NEAR: Final = 80
"""Percent of a limit from which it is near."""

WORDS: Final = {
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "year": "yearly",
    CUSTOM: "own period",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a customer, and what was spent of it.

    Attributes:
        name: ``period_budget`` or ``total_budget``.
        window: Start and end of the period, Unix ms; None of a total.
    """

    name: str
    words: str
    limit_pico: int
    spent_pico: int
    held_pico: int
    window: tuple[int, int] | None = None

    @property
    def share(self) -> float:
        """Percent used, what is held included. A limit of zero is used up."""
        used = self.spent_pico + self.held_pico
        return 100 * used / self.limit_pico if self.limit_pico > 0 else 100.0

    @property
    def left_pico(self) -> int:
        return self.limit_pico - self.spent_pico - self.held_pico

    @property
    def tone(self) -> str:
        return "bad" if self.share >= 100 else "warn" if self.share >= NEAR else "ok"

    def runs_out_ms(self, now_ms: int) -> int | None:
        """When it is used up at the pace of this period; None: not before its end."""
        if self.window is None or self.spent_pico <= 0 or self.share >= 100:
            return None
        start_ms, end_ms = self.window
        elapsed = max(now_ms - start_ms, 1)
        at_ms = start_ms + elapsed * self.limit_pico // self.spent_pico
        return at_ms if now_ms < at_ms < end_ms else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A customer's money, as it stands.

    Attributes:
        period_pico: Spent in the window of now, whether it is limited or not.
        limits: Those that it has, the tightest first.
        share: Percent used of the tightest; 0 without one.
    """

    limits: tuple[Limit, ...]
    spent_pico: int
    held_pico: int
    period_pico: int
    period_words: str
    period_window: tuple[int, int]

    @property
    def tightest(self) -> Limit | None:
        return self.limits[0] if self.limits else None

    share: float


def standing(profile: Profile, terms: Terms, balance: Balance, count: Count) -> Standing:
    kind = CUSTOM if profile.anchor else KIND_OF[terms.limits.budget_duration]
    window = terms.windows.by_kind[kind]
    spent_in = balance.by_kind.get(kind)
    period = spent_in.of(count) if spent_in else 0
    found = _limits(terms, balance, count, kind, period)
    limits = tuple(sorted(found, key=lambda limit: -limit.share))
    return Standing(
        limits=limits,
        share=limits[0].share if limits else 0.0,
        spent_pico=balance.spent.charge_pico,
        held_pico=balance.held_pico,
        period_pico=period,
        period_words=WORDS[kind],
        period_window=(window.start_ms, window.end_ms),
    )


def _limits(
    terms: Terms, balance: Balance, count: Count, kind: str, period: int
) -> Iterator[Limit]:
    limits = terms.limits
    if limits.period_budget_pico is not None:
        window = terms.windows.by_kind[kind]
        yield Limit(
            name="period_budget",
            words=WORDS[kind],
            limit_pico=limits.period_budget_pico,
            spent_pico=period,
            held_pico=balance.held_pico,
            window=(window.start_ms, window.end_ms),
        )
    if limits.total_limit_pico is not None:
        yield Limit(
            name="total_budget",
            words="in total",
            limit_pico=limits.total_limit_pico,
            spent_pico=balance.spent.of(count),
            held_pico=balance.held_pico,
        )
