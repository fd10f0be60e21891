"""A customer as the users API shows it: the row of a list, and the detail.

Two sources, which may differ for a moment: money comes from the ledger's account, which is
exact, and everything that is counted comes from the counters, which trail by a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

from gateway.api.figures import average_seconds, dollars, dollars_or_none, percent
from gateway.clock import rfc3339
from gateway.customers.profile import Profile, Terms
from gateway.customers.windows import CUSTOM, KIND_OF
from gateway.ledger.ledger import Balance, Spent
from gateway.ledger.rules import Count
from gateway.metering.roster.rows import Row, row_of
from gateway.metering.totals import Lifetime
from gateway.store.archive import ModelUse
from gateway.store.keys import Partition
from pricing.money import usd

TOP_MODELS: Final = 10
NO_MODELS: Final = "The archive cannot be read now: top_models and total_cache_hits are left out."

Json = dict[str, Any]

_NOTHING = Spent()


def row(listed: Row) -> Json:
    return {
        "id": str(listed.number),  # a string: more digits than a JavaScript number keeps
        "customer_identifier": listed.identifier,
        "name": listed.name,
        "email": listed.email,
        "first_seen": _time(listed.first_seen_ms),
        "last_active_timeframe": _time(listed.last_seen_ms),
        "active_days": listed.active_days,
        "number_of_requests": listed.requests,
        "total_tokens": listed.total_tokens,
        "total_cost": dollars(listed.charge_pico),
        "average_latency": average_seconds(listed.latency_ms_sum, listed.latency_calls),
        "average_ttft": average_seconds(listed.first_token_ms_sum, listed.first_token_calls),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A customer and its numbers, as they stand at `now_ms`.

    Attributes:
        models: The most called first; None: the archive cannot be read now.
        count: What limits are about, charge or cost.
    """

    partition: Partition
    profile: Profile
    lifetime: Lifetime
    balance: Balance
    terms: Terms
    models: Sequence[ModelUse] | None
    now_ms: int
    zone: tzinfo
    count: Count = "charge"


def detail(standing: Standing) -> Json:
    profile, totals = standing.profile, standing.lifetime.totals
    limits = standing.terms.limits
    spent = standing.balance.spent.charge_pico
    return {
        **row(row_of(standing.partition, profile, standing.lifetime)),
        **_period(standing),
        "total_budget": dollars_or_none(limits.total_budget_pico),
        "total_usage": dollars(spent),
        "total_requests": totals.calls,
        "total_prompt_tokens": totals.input_tokens,
        "total_completion_tokens": totals.output_tokens,
        **_by_model(standing.models),
        "average_monthly_cost": _average_monthly_cost(standing),
        "last_active": _time(standing.lifetime.last_seen_ms),
        "created_at": _time(profile.whole("created_ms")),
        "updated_at": _time(profile.whole("updated_ms")),
        "metadata": profile.metadata,
        "group_identifier": profile.text("group_identifier"),
        "markup_percentage": percent(limits.markup_ppm),
        "rate_limit": limits.rate_limit,
        "blocked": profile.blocked,
        "pinned": sorted(profile.pinned),
        **remaining(standing.terms, standing.balance, _period_kind(standing), standing.count),
        "credits_usd": usd(limits.credit_pico),
        "carried_over_usd": usd(limits.carried_pico),
        **overshoot(standing.balance),
        "usage_sources": {
            "reported_usd": usd(totals.reported_pico + totals.event_pico),
            "estimated_usd": usd(totals.estimated_pico),
            "unresolved_usd": usd(totals.unresolved_pico),
            "unpriced_requests": totals.unpriced,
        },
        "warnings": [NO_MODELS] if standing.models is None else [],
    }


def _by_model(models: Sequence[ModelUse] | None) -> Json:
    """What only the archive knows."""
    if models is None:
        return {"total_cache_hits": None, "top_models": None}
    return {
        "total_cache_hits": sum(used.cache_hits for used in models),
        "top_models": {used.model: used.requests for used in models[:TOP_MODELS]},
    }


def _period(standing: Standing) -> Json:
    """The window of now that a period budget counts in, whether there is one or not."""
    kind = _period_kind(standing)
    window = standing.terms.windows.by_kind[kind]
    limits = standing.terms.limits
    return {
        "period_budget": dollars_or_none(limits.period_budget_pico),
        "budget_duration": limits.budget_duration.value,
        "total_period_usage": dollars(_spent_in(standing, kind)),
        "period_start": rfc3339(window.start_ms),
        "period_end": rfc3339(window.end_ms),
    }


def _period_kind(standing: Standing) -> str:
    if standing.profile.anchor is not None:
        return CUSTOM
    return KIND_OF[standing.terms.limits.budget_duration]


def _spent_in(standing: Standing, kind: str) -> int:
    return standing.balance.by_kind.get(kind, _NOTHING).charge_pico


def remaining(terms: Terms, balance: Balance, kind: str, count: Count) -> Json:
    """What is spent and held, and left of the limit with the least room; below zero: overspent.

    Args:
        kind: Of the window that a period budget counts in.
    """
    limits = terms.limits
    rooms: list[tuple[int, int | None]] = []
    if limits.period_budget_pico is not None:
        spent = balance.by_kind.get(kind, _NOTHING).of(count)
        rooms.append((limits.period_budget_pico - spent, terms.period_resets_ms))
    if limits.total_limit_pico is not None:
        rooms.append((limits.total_limit_pico - balance.spent.of(count), None))
    room, resets_ms = min(rooms, key=lambda pair: pair[0], default=(None, None))
    return {
        "spent_usd": usd(balance.spent.charge_pico),
        "held_usd": usd(balance.held_pico),
        "remaining_usd": None if room is None else usd(room - balance.held_pico),
        "resets_at": _time(resets_ms),
    }


def overshoot(balance: Balance) -> Json:
    """What was booked beyond the limits, by its cause."""
    return {
        "overshoot_usd": {
            "settle": usd(balance.over_settle_pico),
            "event": usd(balance.over_event_pico),
            "limit": usd(balance.over_limit_pico),
        }
    }


def _average_monthly_cost(standing: Standing) -> float:
    """The charge by calendar months, from the one first seen in to the one of now."""
    first_ms = standing.lifetime.first_seen_ms
    if first_ms is None:
        return 0.0
    first = datetime.fromtimestamp(first_ms / 1000, standing.zone)
    now = datetime.fromtimestamp(standing.now_ms / 1000, standing.zone)
    months = 12 * (now.year - first.year) + now.month - first.month + 1
    return dollars(standing.lifetime.totals.charge_pico) / max(months, 1)


def _time(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else rfc3339(instant_ms)
