"""Unheld calls: admitted while the store is away, counted when it is back.

Who has a limit is refused then, unless the operator has said otherwise: nobody knows what
is left of it. Others have nothing to be held to; their calls pass into this process' log,
and their ends are booked, once, when there is a store again.
"""

from dataclasses import replace
from typing import Final, Literal

from gateway.clock import Clock
from gateway.customers.directory import Directory, new_profile
from gateway.ledger.attempts import Attempt
from gateway.ledger.results import Hold
from gateway.ledger.rules import Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Intent

WhenDown = Literal["closed", "open"]

WARNING: Final = "ledger unavailable: this call is counted later"


class Unheld:
    """Decides who passes, by what was last known of the customer.

    Attributes:
        passed: How many calls have.
    """

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        rules: Rules,
        scopes: ScopeHolds,
        *,
        wal: Log | None,
        when_down: WhenDown,
    ) -> None:
        self._scopes = scopes
        self._directory = directory
        self._clock = clock
        self._rules = rules
        self._wal = wal
        self._when_down = when_down
        self.passed = 0

    @property
    def passes_all(self) -> bool:
        """Whether a call is admitted whatever its customer's limits."""
        return self._when_down == "open" and self._wal is not None and not self._wal.failing

    def admit(self, attempt: Attempt) -> Hold | None:
        """A hold of nothing, or None: the call must be refused."""
        if self._wal is None or self._wal.failing:
            return None  # nothing would remember it
        customer = attempt.customer
        profile = self._directory.last_known(customer) or new_profile(customer)
        if profile.blocked or (profile.version == 0 and self._rules.registered_only):
            return None
        planned = self._directory.plan(profile, attempt.change)
        terms = self._directory.terms(planned.profile, self._clock.now_ms())
        if self._scopes.limit(planned.profile.group, attempt.app, attempt.key):
            terms = replace(terms, shared=True)
        if terms.limited and self._rules.binding and self._when_down == "closed":
            return None
        asked = attempt.bound(terms)
        details = attempt.opening(planned.profile)
        self._wal.intend(
            Intent(
                request_id=attempt.request_id,
                customer=customer,
                number=0,
                window_ids=terms.windows.ids,
                opening=details,
                change=dict(attempt.change),
            )
        )
        self.passed += 1
        return Hold(
            request_id=attempt.request_id,
            app=attempt.app,
            key=attempt.key,
            partition=attempt.partition,
            profile=planned.profile,
            terms=terms,
            amount_pico=asked.wanted_pico,
            wanted_pico=asked.wanted_pico,
            orphan_pico=0,
            spent_period_pico=0,
            spent_total_pico=0,
            held_pico=0,
            window_ids=terms.windows.ids,
            opening=details,
            warnings=(*planned.warnings, WARNING),
            is_held=False,
            change=dict(attempt.change),
        )
