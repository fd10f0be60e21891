"""Rules: what the operator has decided about all limits."""

from dataclasses import dataclass
from typing import Literal

from gateway.customers.profile import Count
from gateway.ledger.bounds import Bound

__all__ = ["Count", "Orphans", "Rules"]

Orphans = Literal["hold", "input", "progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Set once, for all customers.

    Attributes:
        binding: False under the policy `soft`: limits are counted, never enforced.
        registered_only: Customers must have been created before they call.
        count: What limits are about: what customers are charged, or what it cost.
        orphans: What a call counts that never ends, until the truth is known: what was
            held for it, the bound of its input, or the input's bound and what came of its
            answer.
        reject_status: What a client is told whose budget is used up, for the call's row.
    """

    binding: bool = True
    registered_only: bool = False
    count: Count = "charge"
    orphans: Orphans = "hold"
    reject_status: int = 402

    def orphan_pico(self, amount_pico: int, bound: Bound) -> int:
        """What to post of a call that was held and never ended, pico-USD."""
        if self.orphans == "hold":
            return amount_pico
        return min(amount_pico, bound.input_pico)
