"""Reports: usage that never passed the gateway, through ``event.lua``."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.errors import LedgerUnavailable
from gateway.event import UsageEvent
from gateway.ledger.admission import TRIES_MAX
from gateway.ledger.outcomes import Outcome, limits_of
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Receipt, Recorded
from gateway.ledger.rules import Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.store.client import Store
from gateway.store.keys import IDEMPOTENCY_SECONDS, WEEK_MS

_RECORDED: Final = {1: Recorded.ACCEPTED, 2: Recorded.DUPLICATE, 3: Recorded.CONFLICT}


class Reports:
    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Clock,
        rules: Rules,
        scopes: ScopeHolds,
    ) -> None:
        self._scopes = scopes
        self._store = store
        self._directory = directory
        self._clock = clock
        self._rules = rules

    async def record(
        self,
        customer: str,
        event: Callable[[int], UsageEvent],
        *,
        idempotency_key: str | None,
        fingerprint: str,
    ) -> Receipt:
        """As `Ledger.record`."""
        partition = self._directory.partition_of(customer)
        profile = self._directory.cached(customer) or await self._directory.load(customer)
        now_ms = self._clock.now_ms()
        for _ in range(TRIES_MAX):
            planned = self._directory.plan(profile, {})
            terms = self._directory.terms(profile, now_ms)
            priced = replace(event(terms.limits.markup_ppm), group=profile.group)
            await self._scopes.announce(priced.group, priced.app)
            week_ms = now_ms - now_ms % WEEK_MS
            outcome, mark = await self._store.script(
                "event",
                [
                    partition.number(customer),
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.stream,
                    partition.tombstones(hour_of(priced.request_id)),
                    *(partition.idempotency(now_ms) if idempotency_key else ()),
                ],
                [
                    priced.request_id,
                    profile.number,
                    profile.version,
                    f"{profile.number} {idempotency_key}" if idempotency_key else "",
                    fingerprint,
                    priced.charge_pico,
                    priced.cost_pico,
                    self._directory.calendar.ids_shared(priced.at_ms, terms.windows),
                    max(terms.windows.from_ms, week_ms),
                    min(terms.windows.until_ms, week_ms + WEEK_MS),
                    *limits_of(terms),
                    self._rules.count,
                    priced.details(),
                    IDEMPOTENCY_SECONDS + WEEK_MS // 1000,
                    *planned.pairs,
                ],
            )
            if outcome == Outcome.POLICY:
                profile = await self._directory.load(customer)
            elif outcome == Outcome.STALE:
                now_ms = int(mark)
            else:
                if planned.pairs and outcome == Outcome.HELD:
                    self._directory.remember(planned.profile)
                _, event_id, charge = mark.decode().split(" ")
                if event_id == priced.request_id:  # the answer to our first sending was lost
                    outcome = Outcome.HELD
                return Receipt(_RECORDED[outcome], event_id, int(charge))
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")
