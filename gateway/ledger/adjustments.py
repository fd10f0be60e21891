"""Adjustments: what a call was charged, corrected after it has ended, through ``adjust.lua``.

An adjustment is an event of its own: the call's is never touched. Its key names the call and
how many adjustments it had before, so that of two who work on the same call with the same
knowledge one is told so; and the fingerprint says by which book, so that the other learns
whether it was the same correction.
"""

from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.errors import LedgerUnavailable
from gateway.event import UsageEvent
from gateway.ledger.admission import TRIES_MAX
from gateway.ledger.once import KEEP_SECONDS, RECORDED, week_of
from gateway.ledger.outcomes import Outcome
from gateway.ledger.results import Recorded
from gateway.ledger.rules import Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.store.client import Store

_OWNER: Final = "~rerate"
"""In the place of an app's id, which cannot begin so."""


@dataclass(frozen=True, slots=True)
class Adjustments:
    store: Store
    directory: Directory
    clock: Clock
    rules: Rules
    scopes: ScopeHolds

    async def record(self, customer: str, event: UsageEvent) -> Recorded:
        """Book the adjustment `event`, in the windows of its time, once."""
        partition = self.directory.partition_of(customer)
        profile = await self.directory.known(customer)
        await self.scopes.announce(event.group, event.app, event.key)
        details = event.details()
        now_ms = self.clock.now_ms()
        for _ in range(TRIES_MAX):
            terms = self.directory.terms(profile, now_ms)
            week = week_of(now_ms)
            outcome, mark = await self.store.script(
                "adjust",
                [
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.stream,
                    *partition.idempotency(now_ms),
                ],
                [
                    event.request_id,
                    profile.number,
                    profile.version,
                    f"{profile.number} {_OWNER}\n{event.request_id}",
                    _fingerprint(event),
                    event.charge_pico,
                    event.cost_pico,
                    self.directory.calendar.ids_shared(event.at_ms, terms.windows),
                    max(terms.windows.from_ms, week.from_ms),
                    min(terms.windows.until_ms, week.until_ms),
                    *terms.told,
                    self.rules.count,
                    details,
                    KEEP_SECONDS,
                ],
            )
            if outcome == Outcome.POLICY:
                profile = await self.directory.known(customer)
            elif outcome == Outcome.STALE:
                now_ms = int(mark)
            else:
                return RECORDED[outcome]
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")


def _fingerprint(event: UsageEvent) -> str:
    """By which price, and by how much: without blanks."""
    price = (event.price_id or "").replace(" ", "_")
    return f"{event.book_version}:{price}:{event.charge_pico}:{event.cost_pico}"
