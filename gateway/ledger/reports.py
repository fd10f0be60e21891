"""Reports: usage that never passed the gateway, through ``event.lua``.

What its sender was told counts is in this process' log before it is told: a store that
comes back without its newest writes gets it again.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.profile import Profile, Terms
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, UsageEvent, decode
from gateway.ledger.admission import TRIES_MAX
from gateway.ledger.credits import Credits, is_credit
from gateway.ledger.endings import all_of
from gateway.ledger.outcomes import Outcome
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Receipt, Recorded
from gateway.ledger.rules import Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.ledger.wal.debts import Debts
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Counted
from gateway.store.client import Store
from gateway.store.keys import HOUR_MS, IDEMPOTENCY_SECONDS, TOO_OLD_SECONDS, WEEK_MS

AGAIN_AT_ONCE_MAX: Final = 200

_RECORDED: Final = {1: Recorded.ACCEPTED, 2: Recorded.DUPLICATE, 3: Recorded.CONFLICT}


class Reports:
    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Clock,
        rules: Rules,
        scopes: ScopeHolds,
        *,
        credits_: Credits,
        wal: Log | None = None,
    ) -> None:
        self._credits = credits_
        self._scopes = scopes
        self._store = store
        self._directory = directory
        self._clock = clock
        self._rules = rules
        self._wal = wal

    async def record(
        self,
        customer: str,
        event: Callable[[int], UsageEvent],
        *,
        idempotency_key: str | None,
        fingerprint: str,
    ) -> Receipt:
        """As `Ledger.record`."""

        def priced(profile: Profile, terms: Terms) -> UsageEvent:
            return replace(event(terms.limits.markup_ppm), group=profile.group)

        counted, receipt = await self._count(customer, priced, idempotency_key, fingerprint)
        if self._wal is not None and receipt.outcome is not Recorded.CONFLICT:
            # A duplicate, too: who took it first may have died before it wrote this.
            self._wal.counted(counted)
            if self._wal.strict:
                await self._wal.synced()
            else:
                self._wal.flush()
        return receipt

    async def again(self, debts: Debts) -> None:
        """Count what a store that has lost its newest writes may lack; once, as ever.

        Raises:
            LedgerUnavailable: some may still be lacking.
        """
        # An older one may have been counted and forgotten: its tombstone is gone.
        oldest_hour = self._clock.now_ms() // HOUR_MS - TOO_OLD_SECONDS * 1000 // HOUR_MS
        reports = [c for c in debts.reports if hour_of(c.request_id) > oldest_hour]
        for start in range(0, len(reports), AGAIN_AT_ONCE_MAX):
            some = reports[start : start + AGAIN_AT_ONCE_MAX]
            customers = {counted.customer: counted.number for counted in some}
            deleted = set()
            for name, number in customers.items():
                known = debts.profiles.get(name)
                stored = known.stored if known is not None and known.number == number else {}
                if await self._directory.restore(name, number, stored) is None:
                    deleted.add(name)
            await all_of(self._count_once_more(c) for c in some if c.customer not in deleted)

    async def _count_once_more(self, counted: Counted) -> None:
        if is_credit(counted):
            await self._credits.again(counted, _event_of(counted, Kind.CREDIT))
            return

        def as_it_was(_profile: Profile, _terms: Terms) -> UsageEvent:
            return _event_of(counted)

        await self._count(counted.customer, as_it_was, counted.key, counted.fingerprint)

    async def _count(
        self,
        customer: str,
        event: Callable[[Profile, Terms], UsageEvent],
        idempotency_key: str | None,
        fingerprint: str,
    ) -> tuple[Counted, Receipt]:
        partition = self._directory.partition_of(customer)
        profile = self._directory.cached(customer) or await self._directory.load(customer)
        now_ms = self._clock.now_ms()
        for _ in range(TRIES_MAX):
            planned = self._directory.plan(profile, {})
            terms = self._directory.terms(profile, now_ms)
            since = self._store.changes
            priced = event(profile, terms)
            details = priced.details()
            await self._scopes.announce(priced.group, priced.app, priced.key)
            week_ms = now_ms - now_ms % WEEK_MS
            outcome, mark = await self._store.script(
                "event",
                [
                    partition.number(customer),
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.stream,
                    partition.tombstones(hour_of(priced.request_id)),
                    partition.changed,
                    partition.left(customer),
                    *(partition.idempotency(now_ms) if idempotency_key else ()),
                ],
                [
                    priced.request_id,
                    profile.number,
                    profile.told_version,
                    f"{profile.number} {idempotency_key}" if idempotency_key else "",
                    fingerprint,
                    priced.charge_pico,
                    priced.cost_pico,
                    self._directory.calendar.ids_shared(priced.at_ms, terms.windows),
                    max(terms.windows.from_ms, week_ms),
                    min(terms.windows.until_ms, week_ms + WEEK_MS),
                    *terms.told,
                    self._rules.count,
                    details,
                    IDEMPOTENCY_SECONDS + WEEK_MS // 1000,
                    *planned.pairs,
                ],
                since=since,  # its group and its app are known there, and so is the customer
            )
            if outcome == Outcome.POLICY:
                profile = await self._directory.load(customer)
            elif outcome == Outcome.STALE:
                now_ms = int(mark)
            else:
                if planned.pairs and outcome == Outcome.HELD:
                    self._directory.remember(planned.profile, since)
                _, event_id, charge = mark.decode().split(" ")
                if event_id == priced.request_id:  # the answer to our first sending was lost
                    outcome = Outcome.HELD
                counted = Counted(
                    request_id=event_id,
                    customer=customer,
                    number=profile.number,
                    key=idempotency_key,
                    fingerprint=fingerprint,
                    charge_pico=int(charge),
                    cost_pico=priced.cost_pico,
                    details=details,
                )
                return counted, Receipt(_RECORDED[outcome], event_id, int(charge))
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")


def _event_of(counted: Counted, kind: Kind = Kind.EVENT) -> UsageEvent:
    return decode(
        [
            *(b"k", kind.encode()),
            *(b"id", counted.request_id.encode()),
            *(b"n", b"%d" % counted.number),
            *(b"a", b"%d" % counted.charge_pico),
            *(b"c", b"%d" % counted.cost_pico),
            *(b"e", counted.details),
        ]
    )
