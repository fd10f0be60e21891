"""What a provider says that a call has cost."""

from decimal import Decimal
from typing import Final

from gateway.openai.counts import Block
from pricing.money import PICO_PER_USD

COST_USD_MAX: Final = 1_000_000
"""What is stated above this is no cost."""

PICO_PER_TICK: Final = 100
"""xAI counts in ten-billionths of a dollar."""


def reported_cost_pico(block: Block) -> int | None:
    """The cost stated in a usage block, in pico-USD; None if none is, or none that can be.

    * xAI: ``cost_in_usd_ticks``.
    * Perplexity: ``cost.total_cost``.
    * OpenRouter: ``cost``, its own. With the caller's own key at the provider
      (``is_byok``) that is its fee alone, and ``cost_details.upstream_inference_cost`` comes
      on top; without, the latter says the same once more.
    """
    ticks = block.get("cost_in_usd_ticks")
    if ticks is not None:
        return _pico(ticks, PICO_PER_TICK)
    cost = block.get("cost")
    if isinstance(cost, dict):
        return _pico(cost.get("total_cost"))
    own = _pico(cost)
    if own is None or block.get("is_byok") is False:
        return own
    details = block.get("cost_details")
    beside = _pico(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    if beside is None or (beside == own and block.get("is_byok") is None):
        return own
    return own + beside


def _pico(value: object, unit_pico: int = PICO_PER_USD) -> int | None:
    """Rounded half-even, as all money here."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= COST_USD_MAX * PICO_PER_USD // unit_pico:
        return None
    return round(Decimal(repr(value)) * unit_pico)
