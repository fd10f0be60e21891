"""A call, a reported usage or a refusal as the logs API shows it."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.api.figures import dollars, percent, seconds
from gateway.arithmetic import Arithmetic, arithmetic_json, item_json
from gateway.clock import rfc3339
from gateway.customers.profile import Profile
from gateway.event import Kind, UsageEvent
from gateway.store.archive import Payload
from pricing.money import usd

ROW_FIELDS: Final = (
    *("unique_id", "timestamp", "customer_identifier", "customer_email", "model", "provider_id"),
    *("app", "endpoint", "status", "status_code", "failed", "stream"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("cost", "charge", "latency", "time_to_first_token", "tokens_per_second"),
    *("finish_reason", "metadata", "usage_source"),
)

Json = dict[str, Any]


def row(event: UsageEvent, profile: Profile | None) -> Json:
    """`profile`: of the customer; None once it is deleted, or for a refused stranger."""
    usage = event.usage
    return {
        "unique_id": event.request_id,
        "timestamp": rfc3339(event.at_ms),
        "customer_identifier": profile.identifier if profile else None,
        "customer_email": profile.text("email") if profile else None,
        "model": event.model or None,
        "provider_id": event.provider or None,
        "app": event.app or None,
        "endpoint": event.endpoint or None,
        "status": event.status.value,
        "status_code": event.status_code,
        "failed": event.failed,
        "stream": event.stream,
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "cached_tokens": usage.cached_total,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost": dollars(event.cost_pico) if event.amounts_known else None,
        "charge": dollars(event.charge_pico) if event.amounts_known else None,
        "latency": seconds(event.latency_ms),
        "time_to_first_token": seconds(event.first_token_ms),
        "tokens_per_second": _tokens_per_second(event),
        "finish_reason": event.finish_reason,
        "metadata": event.metadata,
        "usage_source": event.source.value if event.source else None,
    }


def one(
    event: UsageEvent,
    profile: Profile | None,
    card: Json | None,
    found: Arithmetic,
    adjustments: Sequence[UsageEvent] = (),
) -> Json:
    """A log opened: the row, exact money, and how the amount came about.

    The amounts of the lines and ``arithmetic.rounding_usd`` are ``cost_usd``, exactly; where
    there are no lines, ``arithmetic.explanation`` says why.

    Args:
        card: The customer, as a row of the users list.
        adjustments: What was added to it later.
    """
    return {
        **row(event, profile),
        "kind": event.kind.value,
        "customer": card,
        "cost_usd": usd(event.cost_pico) if event.amounts_known else None,
        "charge_usd": usd(event.charge_pico) if event.amounts_known else None,
        "hold_usd": usd(event.hold_pico),
        "credit_usd": usd(event.credit_pico) if event.kind is Kind.CREDIT else None,
        "output_cap": event.output_cap_tokens,
        "markup_percentage": percent(event.markup_ppm),
        "line_items": [item_json(item) for item in found.items],
        "arithmetic": arithmetic_json(found),
        "price_id": event.price_id,
        "book_version": event.book_version,
        "adjusts": event.adjusts,
        "adjustments": [_adjustment(adjustment) for adjustment in adjustments],
        "upstream_model": event.upstream_model,
        "served_model": event.served_model,
        "service_tier": event.service_tier,
        "group_identifier": event.group,
        "scope": event.scope,
        "reported_cost_usd": (
            None if event.reported_cost_pico is None else usd(event.reported_cost_pico)
        ),
        "raw_usage": event.raw_usage,
        "usage_cut": event.usage_cut,
        "error_code": event.error_code,
        "upstream": event.upstream or None,
        "upstream_request_id": event.upstream_request_id,
    }


def payload_json(payload: Payload) -> Json:
    """What was asked and answered, where it was kept; what is no text shows marks."""
    return {
        "request": payload.request.decode("utf-8", "replace"),
        "answer": payload.answer.decode("utf-8", "replace"),
        "cut": payload.cut,
    }


def _adjustment(event: UsageEvent) -> Json:
    """What an adjustment adds, under which price."""
    return {
        "unique_id": event.request_id,
        "cost_usd": usd(event.cost_pico),
        "charge_usd": usd(event.charge_pico),
        "price_id": event.price_id,
        "book_version": event.book_version,
    }


def _tokens_per_second(event: UsageEvent) -> float | None:
    """Output by the time it took: after the first token where that is known."""
    if event.latency_ms is None or not event.usage.output_total:
        return None
    duration_ms = event.latency_ms - (event.first_token_ms or 0)
    return round(event.usage.output_total * 1000 / duration_ms, 3) if duration_ms > 0 else None
