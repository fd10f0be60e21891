"""The words of a refusal: whose limit, how much of it is used, when it opens again."""

from dataclasses import dataclass

from gateway.clock import rfc3339
from gateway.customers.profile import Terms
from gateway.customers.scopes import Scope
from gateway.errors import BudgetExceeded, BudgetInFlight, GatewayError, RateLimited
from pricing.money import PICO_PER_USD, usd

_PERIOD = {
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "year": "yearly",
    "custom": "period",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An account at the moment a call was refused; amounts in pico-USD.

    Attributes:
        scope: Whose account it is; None: the customer's.
    """

    customer: str
    terms: Terms
    spent_period_pico: int
    spent_total_pico: int
    held_pico: int
    needed_pico: int
    scope: Scope | None = None

    @property
    def whose(self) -> str:
        if self.scope is None:
            return f'Customer "{self.customer}"'
        kind = "Temporary key" if self.scope.kind == "key" else self.scope.kind.capitalize()
        return f'{kind} "{self.scope.identifier}"'


def refused(refusal: Refusal, *, in_flight: bool) -> GatewayError:
    """The error for a call that a budget has no room for."""
    limits = refusal.terms.limits
    taken = refusal.held_pico + refusal.needed_pico
    period, total = limits.period_budget_pico, limits.total_limit_pico
    by_period = period is not None and (
        total is None or period - refusal.spent_period_pico <= total - refusal.spent_total_pico
    )
    name, limit, spent = (
        ("period_budget", period, refusal.spent_period_pico)
        if by_period
        else ("total_budget", total, refusal.spent_total_pico)
    )
    assert limit is not None, "a call was refused by a limit that is not there"
    if not by_period:  # as the customer has it: with what others of that name have spent
        limit, spent = limit + limits.carried_pico, spent + limits.carried_pico
    assert spent + taken > limit, "a call was refused that fits"
    resets_ms = refusal.terms.period_resets_ms if by_period else None
    resets_at = rfc3339(resets_ms) if resets_ms is not None else None
    kind = _PERIOD[refusal.terms.period_kind or "custom"] if by_period else "total"
    message = (
        f"{refusal.whose} has used {_cents(spent)} of its {_cents(limit)} USD "
        f"{kind} budget; this call could cost {_cents(refusal.needed_pico)}."
    )
    if in_flight:
        message += " It may fit once the calls in flight are settled."
    elif resets_at:
        message += f" It resets at {resets_at}."
    return (BudgetInFlight if in_flight else BudgetExceeded)(
        message,
        details={
            "customer_identifier": refusal.customer,
            **_scope_fields(refusal.scope),
            "limit": name if refusal.scope is None else f"{refusal.scope.kind}_{name}",
            "limit_usd": usd(limit),
            "spent_usd": usd(spent),
            "held_usd": usd(refusal.held_pico),
            "needed_usd": usd(refusal.needed_pico),
            "resets_at": resets_at,
        },
    )


def _scope_fields(scope: Scope | None) -> dict[str, str]:
    if scope is None:
        return {}
    return {"group_identifier" if scope.kind == "group" else scope.kind: scope.identifier}


def rate_limited(customer: str, per_minute: int, wait_ms: int) -> RateLimited:
    seconds = min(60, max(1, -(-wait_ms // 1000)))
    return RateLimited(
        f'Customer "{customer}" may make {per_minute} calls per minute. Try again in {seconds} s.',
        details={
            "customer_identifier": customer,
            "limit": "rate_limit",
            "retry_after_seconds": seconds,
        },
    )


def _cents(amount_pico: int) -> str:
    """Exact, with at least two decimals."""
    text = usd(amount_pico)
    return f"{text}.00" if amount_pico % PICO_PER_USD == 0 else text + "0" * (text[-2:-1] == ".")
