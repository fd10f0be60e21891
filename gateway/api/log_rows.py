"""A call, a reported usage or a refusal as the logs API shows it."""

from typing import Any

from gateway.api.figures import dollars, femto_usd, percent, seconds
from gateway.clock import rfc3339
from gateway.customers.profile import Profile
from gateway.event import UsageEvent
from gateway.rating import ANYWHERE, Rating
from pricing.card import Price
from pricing.cost import LineItem, UnpricedComponent, cost
from pricing.money import usd

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
        "cost": None if event.unpriced else dollars(event.cost_pico),
        "charge": None if event.unpriced else dollars(event.charge_pico),
        "latency": seconds(event.latency_ms),
        "time_to_first_token": seconds(event.first_token_ms),
        "tokens_per_second": _tokens_per_second(event),
        "finish_reason": event.finish_reason,
        "metadata": event.metadata,
        "usage_source": event.source.value if event.source else None,
    }


def one(event: UsageEvent, profile: Profile | None, card: Json | None, rating: Rating) -> Json:
    """A log opened: the row, exact money, and how the amount came about.

    Args:
        card: The customer, as a row of the users list.
    """
    return {
        **row(event, profile),
        "customer": card,
        "cost_usd": None if event.unpriced else usd(event.cost_pico),
        "charge_usd": None if event.unpriced else usd(event.charge_pico),
        "hold_usd": usd(event.hold_pico),
        "output_cap": event.output_cap_tokens,
        "markup_percentage": percent(event.markup_ppm),
        "line_items": [_line(item) for item in line_items(event, rating)],
        "price_id": event.price_id,
        "book_version": event.book_version,
        "served_model": event.served_model,
        "service_tier": event.service_tier,
        "group_identifier": event.group,
        "scope": event.scope,
        "reported_cost_usd": (
            None if event.reported_cost_pico is None else usd(event.reported_cost_pico)
        ),
        "raw_usage": event.raw_usage,
        "error_code": event.error_code,
        "upstream": event.upstream or None,
        "upstream_request_id": event.upstream_request_id,
    }


def line_items(event: UsageEvent, rating: Rating) -> tuple[LineItem, ...]:
    """The bill's lines, worked out again from the stored usage.

    None for what was not priced, and where the price is no longer in the book: lines that
    do not add up to the stored cost would explain nothing.
    """
    price = _price_of(event, rating)
    if price is None or event.unpriced:
        return ()
    try:
        again = cost(
            event.usage,
            price,
            markup_ppm=event.markup_ppm,
            service_tier=event.service_tier,
            scope=event.scope or ANYWHERE,
            completed_ms=event.at_ms + (event.latency_ms or 0),
        )
    except UnpricedComponent:
        return ()
    return again.items if again.cost_pico == event.cost_pico else ()


def _price_of(event: UsageEvent, rating: Rating) -> Price | None:
    if event.price_id is None:
        return None
    models = filter(None, (event.served_model, event.model))
    return rating.named(event.price_id, event.provider, models, event.at_ms)


def _line(item: LineItem) -> Json:
    """`amount` is `quantity` times `rate` by `per`, in USD."""
    return {
        "component": item.component,
        "quantity": item.quantity,
        "rate": femto_usd(item.rate_femto),
        "per": item.per,
        "amount": femto_usd(item.amount_femto),
        "fallback_from": item.fallback_from,
    }


def _tokens_per_second(event: UsageEvent) -> float | None:
    """Output by the time it took: after the first token where that is known."""
    if event.latency_ms is None or not event.usage.output_total:
        return None
    duration_ms = event.latency_ms - (event.first_token_ms or 0)
    return round(event.usage.output_total * 1000 / duration_ms, 3) if duration_ms > 0 else None
