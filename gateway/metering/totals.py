"""The numbers that are counted, and what one event adds to them.

Every number is a plain sum over events: of a customer's day, or of its life. A customer's
days add up to its lifetime, and both to the events, in any order and any grouping.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import add
from typing import Final, NamedTuple

from gateway.event import FAILED, MONEY_KINDS, Kind, Source, Status, UsageEvent

_UNMEASURED: Final = frozenset({Source.ESTIMATED, Source.MISSING})


class DayTotals(NamedTuple):
    """What is kept for each day: the first numbers of `Totals`, in the same order.

    Stored by position (`pack`): append, never reorder.
    """

    calls: int = 0
    errors: int = 0
    rejected: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_pico: int = 0
    charge_pico: int = 0
    unresolved_pico: int = 0


_DAY_FIELDS: Final = len(DayTotals._fields)


class Totals(NamedTuple):
    """What is kept for a customer's life, where the name does not say it.

    calls: Usage events; refusals and releases are none.
    errors, aborted: Among calls and releases. An orphan stays an error when it is corrected.
    input_tokens, output_tokens: All of them; cached and reasoning tokens are inside.
    charge_pico: All that was charged, the unresolved part included.
    unresolved_pico: Of that, the holds of calls whose end is unknown: upper bounds, which
        belong on no bill. Moves to another source when the truth arrives.
    estimated_pico, event_pico: Of that, by source. `reported_pico` is the rest.
    latency_ms_sum, latency_calls: An average's two halves; so for the first token.
    credit_pico: What was credited, in sum; it is no charge.
    """

    calls: int = 0
    errors: int = 0
    rejected: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_pico: int = 0
    charge_pico: int = 0
    unresolved_pico: int = 0
    aborted: int = 0
    estimated_pico: int = 0
    event_pico: int = 0
    latency_ms_sum: int = 0
    latency_calls: int = 0
    first_token_ms_sum: int = 0
    first_token_calls: int = 0
    credit_pico: int = 0

    @property
    def reported_pico(self) -> int:
        return self.charge_pico - self.unresolved_pico - self.estimated_pico - self.event_pico

    @property
    def of_day(self) -> DayTotals:
        return DayTotals(*self[: len(DayTotals._fields)])


_NOTHING: Final = Totals()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """A customer's counters. `active_days` are days of the reporting zone with a call."""

    totals: Totals = _NOTHING
    first_seen_ms: int | None = None
    last_seen_ms: int | None = None
    active_days: int = 0


def totals_of(event: UsageEvent) -> Totals:
    """What one event adds."""
    if event.kind is Kind.REFUSE:
        return Totals(rejected=1)
    if event.kind is Kind.CREDIT:
        return Totals(credit_pico=event.credit_pico)
    if event.kind not in MONEY_KINDS:
        return Totals(errors=int(event.failed), aborted=int(event.status is Status.ABORTED))
    calls = int(event.is_usage)
    status, source = event.status, event.source
    charge_pico, unresolved_pico = event.charge_pico, event.unresolved_pico
    resolved_pico = charge_pico - unresolved_pico
    latency_ms = event.latency_ms if calls else None
    first_token_ms = event.first_token_ms if calls else None
    return Totals(
        calls,
        calls if status in FAILED else 0,
        0,
        event.unpriced_calls,
        *event.usage.totals,
        event.cost_pico,
        charge_pico,
        unresolved_pico,
        calls if status is Status.ABORTED else 0,
        resolved_pico if source in _UNMEASURED else 0,
        resolved_pico if source is Source.EVENT else 0,
        latency_ms or 0,
        0 if latency_ms is None else 1,
        first_token_ms or 0,
        0 if first_token_ms is None else 1,
    )


def total(parts: Iterable[Totals]) -> Totals:
    return Totals(*map(sum, zip(_NOTHING, *parts, strict=True)))


def plus(day: DayTotals, more: DayTotals) -> DayTotals:
    return DayTotals(*map(add, day, more))


def pack(day: DayTotals) -> str:
    """As text: numbers by position, commas between, zeros empty and dropped at the end.

    ``"12,,,,12000,3000,4000,,21000000000,23100000000"``: short enough for Redis to keep a
    month of them in one compact block.
    """
    return ",".join(str(number) if number else "" for number in day).rstrip(",") or "0"


def unpack(text: bytes | None) -> DayTotals:
    """Read `pack`'s text; None is a day without events. Numbers of a later version are cut."""
    if text is None:
        return DayTotals()
    numbers = [int(number) if number else 0 for number in text.split(b",")]
    return DayTotals(*numbers[:_DAY_FIELDS])
