"""Prospects: whether a call would be admitted now. Nothing is held, and nothing written.

What the scripts decide in one step is worked out here from what the accounts say one after
the other: right for a moment in which nothing else happens, a promise for none.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.fields import Canonical
from gateway.customers.profile import Profile, Terms
from gateway.customers.rates import wait_ms
from gateway.customers.scopes import Scope
from gateway.ledger.bounds import Bound
from gateway.ledger.refusals import rate_limited
from gateway.ledger.results import Balance
from gateway.ledger.rooms import Room, rooms_of
from gateway.ledger.rules import Rules
from gateway.ledger.scope_holds import ScopeHolds


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What would become of a call.

    Attributes:
        granted_pico: What would be held for it; None: it would be refused.
        asked: What it can cost.
        rooms: Of every limit that it would be held to, the tightest first.
        refused: Why, where it is no budget's doing: the code and the message of the error.
    """

    granted_pico: int | None
    asked: Bound
    terms: Terms
    rooms: Sequence[Room] = ()
    refused: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Of one call; amounts in pico-USD.

    Attributes:
        worst_case_pico: What it can cost at most: with the output cap, if there would be
            one. None: nobody knows, and nothing has to be kept.
        input_tokens_max: None: nobody knows.
        output_cap_tokens: What would be written into it, of each choice.
        binding_limit, remaining_pico: The limit with the least room, and that room.
        refused: Why it would be refused: the code and the message of its error.
    """

    admitted: bool
    worst_case_pico: int | None = None
    input_tokens_max: int | None = None
    output_cap_tokens: int | None = None
    binding_limit: str | None = None
    remaining_pico: int | None = None
    refused: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Prospects:
    """Args: `balance` reads a customer's account."""

    directory: Directory
    clock: Clock
    rules: Rules
    scopes: ScopeHolds
    balance: Callable[[Profile], Awaitable[Balance]]

    async def foresee(
        self,
        customer: str,
        *,
        app: str,
        key: Scope | None,
        change: Mapping[str, Canonical],
        bound: Callable[[Terms], Bound],
    ) -> Prospect:
        """What `Ledger.hold` would do with the same call.

        Raises:
            InvalidCall: the change contradicts itself, or `bound` refuses.
            LedgerUnavailable: the store is away.
        """
        profile = await self.directory.load(customer)
        planned = self.directory.plan(profile, change).profile
        now_ms = self.clock.now_ms()
        terms = self.directory.terms(planned, now_ms)
        scopes = self.scopes.limited(planned.group, app, key)
        if scopes:
            terms = replace(terms, shared=True)
        asked = bound(terms)
        its_own = await self.balance(planned)
        refused = self._refused(profile) or _too_fast(customer, terms, its_own, now_ms)
        if refused:
            return Prospect(granted_pico=None, asked=asked, terms=terms, refused=refused)
        accounts = [("", terms, its_own)]
        for scope in scopes:
            of_scope = scope.terms(self.directory.calendar, now_ms)
            account = await self.scopes.balance(scope.name)
            accounts.append((f"{scope.kind}_", of_scope, account))
        granted: int | None = asked.wanted_pico
        rooms: list[Room] = []
        for prefix, of_account, balance in accounts:
            found = list(rooms_of(prefix, of_account, balance, self.rules.count))
            rooms += found
            if found and granted and self.rules.binding:
                left_pico = min(room.left_pico for room in found)
                granted = _grant(left_pico, replace(asked, wanted_pico=granted))
        return Prospect(
            granted_pico=granted,
            asked=asked,
            terms=terms,
            rooms=sorted(rooms, key=lambda room: room.left_pico),
        )

    def _refused(self, profile: Profile) -> tuple[str, str] | None:
        if profile.blocked:
            return "customer_blocked", "This customer is blocked."
        if profile.version == 0 and self.rules.registered_only:
            return "customer_not_registered", "Only customers that are registered may call."
        return None


def _too_fast(customer: str, terms: Terms, balance: Balance, now_ms: int) -> tuple[str, str] | None:
    rate = terms.limits.rate_limit
    wait = wait_ms(balance.tat_us, rate, now_ms) if rate else 0
    if not rate or not wait:
        return None
    error = rate_limited(customer, rate, wait)
    return error.code or "", str(error)


def _grant(left_pico: int, asked: Bound) -> int | None:
    """As ``lib/grants.lua``."""
    if left_pico < asked.least_pico:
        return None
    return min(asked.wanted_pico, max(left_pico // asked.share, asked.least_pico))
