"""Admission: one call's way through ``hold.lua``, with what the customer is at that moment.

The caller's view of the customer is a cached one. The script refuses to decide by an old
one (POLICY, STALE); then it is loaded, the bound is asked again, and the hold tried again.
"""

from dataclasses import replace
from typing import Final

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.fields import PROFILE_FIELDS
from gateway.customers.profile import ANONYMOUS, Profile, Terms, Upsert
from gateway.errors import GatewayError, LedgerUnavailable, PermissionRefused
from gateway.ledger.attempts import Attempt
from gateway.ledger.bounds import Bound
from gateway.ledger.leases import LEASE_MS
from gateway.ledger.newcomers import Newcomers
from gateway.ledger.outcomes import Outcome
from gateway.ledger.refusals import Refusal, rate_limited, refused
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Hold
from gateway.ledger.rules import Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.store.client import Part, Store

HELD, POLICY, STALE, DUPLICATE = map(
    int, (Outcome.HELD, Outcome.POLICY, Outcome.STALE, Outcome.DUPLICATE)
)
"""To compare a reply with; to look up a member of an enum takes longer than the comparison."""

TRIES_MAX: Final = 16
PROFILE_TRIES_MAX: Final = 4
"""After so many lost races a call no longer insists on its customer's name or metadata."""


class Admission:
    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Clock,
        *,
        rules: Rules,
        scopes: ScopeHolds,
        newcomers: Newcomers,
    ) -> None:
        self._newcomers = newcomers
        self._scopes = scopes
        self._store = store
        self._directory = directory
        self._clock = clock
        self._rules = rules
        self.reject_status = rules.reject_status

    async def hold(self, attempt: Attempt) -> tuple[Hold, Bound]:
        """The customer's own hold, as `Ledger.hold` has it, and what was asked for it.

        `attempt` says, whatever happens, whether a hold may be there.
        """
        customer, change = attempt.customer, attempt.change
        profile = self._directory.cached(customer) or await self._directory.load(customer)
        now_ms = self._clock.now_ms()
        dropped: tuple[str, ...] = ()
        for tries in range(TRIES_MAX):
            if tries == PROFILE_TRIES_MAX:
                dropped = tuple(
                    f"{f}: changed too often at once" for f in change if f in PROFILE_FIELDS
                )
                change = {f: value for f, value in change.items() if f not in PROFILE_FIELDS}
            profile = await self._admitted(profile, attempt.app)
            planned = self._directory.plan(profile, change)
            terms = self._directory.terms(planned.profile, now_ms)
            if self._scopes.concern(planned.profile.group, attempt.app, attempt.key):
                terms = await self._shared(terms, planned.profile.group, attempt)
            asked = attempt.bound(terms)
            details = attempt.opening(planned.profile)
            await attempt.send_with(profile.number, terms.windows.ids, details)
            code, granted, in_period, total, held, extra, ids = await self._store.script(
                "hold",
                self._keys(attempt, profile, planned),
                self._args(attempt, profile, planned, terms, asked),
                since=attempt.since,
            )
            if code == POLICY:
                attempt.over()
                profile = await self._directory.load(customer)
                continue
            if code == STALE:
                attempt.over()
                now_ms = extra
                continue
            if code == DUPLICATE:
                # It may have been ours: held, its reply lost, and expired meanwhile. So it stays
                # in doubt and is withdrawn, which changes nothing where it ended otherwise.
                attempt.answered = True
                raise LedgerUnavailable(f"Request {attempt.request_id} has ended already.")
            if planned.pairs:
                self._directory.remember(planned.profile, attempt.since)
                attempt.wrote(planned)
            if code != HELD:
                attempt.over()
                refusal = Refusal(
                    customer=customer,
                    terms=terms,
                    spent_period_pico=int(in_period),
                    spent_total_pico=int(total),
                    held_pico=int(held),
                    needed_pico=asked.least_pico,
                )
                raise _refusal(refusal, Outcome(code), extra)
            amount_pico = int(granted)
            hold = Hold(
                request_id=attempt.request_id,
                app=attempt.app,
                key=attempt.key,
                partition=attempt.partition,
                profile=planned.profile,
                terms=terms,
                amount_pico=amount_pico,
                wanted_pico=asked.wanted_pico,
                orphan_pico=self._rules.orphan_pico(amount_pico, asked),
                spent_period_pico=int(in_period),
                spent_total_pico=int(total),
                held_pico=int(held),
                window_ids=ids.decode(),
                opening=attempt.details,
                warnings=(*planned.warnings, *dropped),
            )
            return hold, asked
        attempt.answered = True
        attempt.over()
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")

    async def _shared(self, terms: Terms, group: str | None, attempt: Attempt) -> Terms:
        """The terms of a call that may count on further scopes, once those are known."""
        app, key = attempt.app, attempt.key
        await self._scopes.announce(group, app, key.identifier if key else None)
        return replace(terms, shared=True) if self._scopes.limit(group, app, key) else terms

    @staticmethod
    def _keys(attempt: Attempt, profile: Profile, planned: Upsert) -> list[str]:
        partition = attempt.partition
        return [
            partition.number(profile.identifier),
            partition.profile(profile.number),
            partition.account(profile.number),
            partition.holds,
            partition.expiries,
            partition.tombstones(hour_of(attempt.request_id)),
            *((partition.left(profile.identifier), partition.changed) if planned.pairs else ()),
        ]

    def _args(
        self, attempt: Attempt, profile: Profile, planned: Upsert, terms: Terms, asked: Bound
    ) -> list[Part]:
        return [
            attempt.request_id,
            profile.number,
            profile.told_version,
            asked.wanted_pico,
            asked.least_pico,
            asked.share,
            "" if self._rules.orphans == "hold" else asked.input_pico,
            LEASE_MS,
            terms.windows.from_ms,
            terms.windows.until_ms,
            terms.windows.ids,
            *terms.told,
            int(self._rules.binding),
            self._rules.count,
            terms.limits.rate_limit or 0,
            attempt.details,
            *((*self._directory.told(profile), *planned.pairs) if planned.pairs else ()),
        ]

    async def _admitted(self, profile: Profile, app: str) -> Profile:
        """Ask the store again before refusing by a cached profile."""
        if profile.version and not profile.blocked:  # nearly every call
            return profile
        registered_only = self._rules.registered_only
        if profile.blocked or registered_only or self._newcomers.concern(app):
            profile = await self._directory.load(profile.identifier)
        name = profile.identifier
        if profile.blocked:
            raise PermissionRefused(f"Customer {name!r} is blocked.", code="customer_blocked")
        if profile.version == 0 and registered_only:
            raise PermissionRefused(
                f"Customer {name!r} is not registered. Create it through POST /api/users/ first.",
                code="customer_not_registered",
            )
        if profile.version == 0 and name != ANONYMOUS:
            await self._newcomers.admit(app, name)
        return profile


def _refusal(refusal: Refusal, outcome: Outcome, wait_ms: int) -> GatewayError:
    if outcome is Outcome.RATE_LIMITED:
        return rate_limited(refusal.customer, refusal.terms.limits.rate_limit or 0, wait_ms)
    return refused(refusal, in_flight=outcome is Outcome.IN_FLIGHT)
