"""Alert: one thing worth telling, and what makes it the same thing when it is seen again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from gateway.clock import rfc3339
from gateway.customers.profile import Terms
from gateway.ledger.results import Balance, Spent
from gateway.ledger.rules import Count
from gateway.store.archive.outbox import subject_of
from pricing.money import usd

THRESHOLDS: Final = (50, 80, 100)
"""Percent of a limit."""

FOR_EVER_MS: Final = 0
"""The window of a limit that never opens again."""

_NOTHING: Final = Spent()


class Topic(StrEnum):
    """What webhooks can be about; the ``type`` of their payload."""

    THRESHOLD = "budget.threshold"
    EXCEEDED = "budget.exceeded"
    RESET = "budget.reset"
    UNPRICED = "model.unpriced"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to tell.

    Attributes:
        once: What it is told once for; the same thing seen again has the same.
        subject, limit: Whose budget it is about, and which of its limits; '' for none.
        at_ms: When it was seen.
        until_ms: When the window that it is about ends, `FOR_EVER_MS` for never: then
            a budget is open again.
        data: The payload's ``data``.
    """

    topic: Topic
    once: str
    at_ms: int
    data: Mapping[str, Any]
    subject: str = ""
    limit: str = ""
    until_ms: int = FOR_EVER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose budget it is, at one moment.

    Attributes:
        kind: ``customer`` or ``group``.
        told: What names it in the payload.
    """

    kind: str
    identifier: str
    terms: Terms
    balance: Balance
    count: Count
    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        return subject_of(self.kind, self.identifier)


@dataclass(frozen=True, slots=True)
class _Use:
    """One limit and how much of it is used; amounts in pico-USD."""

    name: str
    limit_pico: int
    spent_pico: int
    start_ms: int
    resets_ms: int


def crossed(subject: Subject, now_ms: int) -> Iterator[Alert]:
    """The thresholds that its spending has reached, by what is spent now."""
    for use in _uses(subject):
        for percent in THRESHOLDS:
            if use.limit_pico > 0 and use.spent_pico * 100 >= use.limit_pico * percent:
                yield _alert(Topic.THRESHOLD, subject, use, now_ms, threshold_percent=percent)


def exceeded(subject: Subject, now_ms: int) -> Iterator[Alert]:
    """That a call was refused: by its tightest limit, as far as can be told afterwards."""
    uses = sorted(_uses(subject), key=lambda use: use.limit_pico - use.spent_pico)
    for use in uses[:1]:
        yield _alert(Topic.EXCEEDED, subject, use, now_ms)


def reset(subject: str, limit: str, until_ms: int, data: Mapping[str, Any]) -> Alert:
    """That a budget which had been told of is open again; `data` as it was told then."""
    kept = {name: data[name] for name in data if name not in _OF_THE_PAST}
    return Alert(
        topic=Topic.RESET,
        once=f"{subject} {limit} {until_ms} {Topic.RESET}",
        at_ms=until_ms,
        subject=subject,
        limit=limit,
        data={**kept, "limit": limit, "window_start": rfc3339(until_ms)},
    )


def unpriced(provider: str, model: str, at_ms: int) -> Alert:
    """That a model was called which has no price; once a day."""
    day = datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
    return Alert(
        topic=Topic.UNPRICED,
        once=f"{Topic.UNPRICED} {provider} {model} {day}",
        at_ms=at_ms,
        data={"provider": provider, "model": model},
    )


_OF_THE_PAST: Final = frozenset(
    {"spent_usd", "held_usd", "resets_at", "window_start", "threshold_percent"}
)


def _uses(subject: Subject) -> Iterator[_Use]:
    terms, balance = subject.terms, subject.balance
    limits = terms.limits
    if limits.period_budget_pico is not None and terms.period_kind is not None:
        window = terms.windows.by_kind[terms.period_kind]
        spent = balance.by_kind.get(terms.period_kind, _NOTHING).of(subject.count)
        yield _Use(
            "period_budget", limits.period_budget_pico, spent, window.start_ms, window.end_ms
        )
    if limits.total_limit_pico is not None:
        spent = balance.spent.of(subject.count)
        yield _Use("total_budget", limits.total_limit_pico, spent, FOR_EVER_MS, FOR_EVER_MS)


def _alert(topic: Topic, subject: Subject, use: _Use, now_ms: int, **more: Any) -> Alert:
    what = " ".join([topic.value, *map(str, more.values())])
    return Alert(
        topic=topic,
        once=f"{subject.name} {use.name} {use.start_ms} {what}",
        at_ms=now_ms,
        subject=subject.name,
        limit=use.name,
        until_ms=use.resets_ms,
        data={
            **subject.told,
            "limit": use.name,
            "limit_usd": usd(use.limit_pico),
            "spent_usd": usd(use.spent_pico),
            "held_usd": usd(subject.balance.held_pico),
            "window_start": rfc3339(use.start_ms) if use.start_ms else None,
            "resets_at": rfc3339(use.resets_ms) if use.resets_ms else None,
            **more,
        },
    )
