"""What a caller is told of its call and of its limits, in the headers of the answer."""

from gateway.clock import rfc3339
from gateway.event import UsageEvent
from gateway.ledger.ledger import Hold, Spent
from gateway.ledger.rules import Count
from gateway.proxy.headers import RawHeaders, ours
from gateway.proxy.tab import Tab
from pricing.money import usd


def standing(hold: Hold, event: UsageEvent | None, count: Count) -> tuple[str | None, str | None]:
    """What the tightest limit has left after the call, USD, and when its next period begins.

    Args:
        event: How the call has ended; None: it runs, and all that it holds is taken.
        count: What limits are about.
    """
    taken = hold.amount_pico
    if event is not None:
        taken = Spent(event.charge_pico, event.cost_pico).of(count)
    remaining, resets_ms = hold.remaining_pico(taken), hold.resets_ms
    return (
        usd(max(remaining, 0)) if remaining is not None else None,
        rfc3339(resets_ms) if resets_ms is not None else None,
    )


def own_headers(tab: Tab, hold: Hold, event: UsageEvent | None, count: Count) -> RawHeaders:
    """The ``x-farebox-*`` headers of an answer."""
    remaining_usd, resets_at = standing(hold, event, count)
    priced = event is not None and not event.unpriced
    return ours(
        request_id=tab.request_id,
        customer=tab.caller.customer,
        remaining_usd=remaining_usd,
        resets_at=resets_at,
        charge_usd=usd(event.charge_pico) if event and priced else None,
        cost_usd=usd(event.cost_pico) if event and priced and tab.app.manage else None,
        output_cap_tokens=tab.output_cap_tokens,
        warnings=(*tab.caller.warnings, *hold.warnings, *tab.warnings),
        overhead_ms=tab.overhead_ms,
    )
