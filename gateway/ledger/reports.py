"""Reports: usage that never passed the gateway, through ``event.lua``.

What its sender was told counts is in this process' log before it is told: a store that
comes back without its newest writes gets it again.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.profile import Profile, Terms, Upsert
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, UsageEvent, decode
from gateway.ledger.admission import TRIES_MAX
from gateway.ledger.credits import Credits, is_credit
from gateway.ledger.endings import all_of
from gateway.ledger.once import KEEP_SECONDS, RECORDED, week_of
from gateway.ledger.outcomes import Outcome
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Receipt, Recorded
from gateway.ledger.rules import Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.ledger.wal.debts import Debts
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Counted
from gateway.store.client import Store
from gateway.store.keys import HOUR_MS, TOO_OLD_SECONDS

AGAIN_AT_ONCE_MAX: Final = 200


class Reported(NamedTuple):
    """Usage to be counted.

    Attributes:
        event: The event, given the customer's markup in parts per million. Asked again when
            the customer turns out to be another than was thought.
        idempotency_key: Scoped by the caller to its app; None: counted each time.
        fingerprint: Of the body, without blanks; tells a repetition from a conflict.
    """

    customer: str
    event: Callable[[int], UsageEvent]
    idempotency_key: str | None
    fingerprint: str


class _Question(NamedTuple):
    """What the store is asked, and by what it was decided to ask so."""

    report: Reported
    profile: Profile
    planned: Upsert
    terms: Terms
    event: UsageEvent
    details: bytes
    now_ms: int
    since: int


Decided = tuple[Counted, Receipt]


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

    async def record(self, report: Reported) -> Receipt:
        """As `Ledger.record`."""
        decided = await self._count(report)
        self._note(decided)
        await self._noted()
        return decided[1]

    async def record_all(self, reports: Sequence[Reported]) -> list[Receipt | Exception]:
        """As `record`, many at once; each is counted, or not, for itself.

        Nearly always all that is needed to ask the store is at hand, and a task for each
        report would take longer than the asking.

        Returns:
            For each its receipt, or what `record` would have raised.
        """
        asked = [self._ask_at_once(report) for report in reports]
        outcomes = [await self._heard(sent) for sent in asked]
        late = [i for i, outcome in enumerate(outcomes) if outcome is None]
        counted = await asyncio.gather(
            *(self._count(reports[i]) for i in late), return_exceptions=True
        )
        for i, outcome in zip(late, counted, strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
                raise outcome
            outcomes[i] = outcome
        receipts: list[Receipt | Exception] = []
        for decided in outcomes:
            assert decided is not None, "what was not decided at once has been waited for"
            if isinstance(decided, Exception):
                receipts.append(decided)
            else:
                self._note(decided)
                receipts.append(decided[1])
        await self._noted()
        return receipts

    def _note(self, decided: Decided) -> None:
        counted, receipt = decided
        if self._wal is not None and receipt.outcome is not Recorded.CONFLICT:
            # A duplicate, too: who took it first may have died before it wrote this.
            self._wal.counted(counted)

    async def _noted(self) -> None:
        """Return when what was noted survives this process: before any sender is told."""
        if self._wal is not None:
            await self._wal.written()

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
        event = _event_of(counted)
        again = Reported(counted.customer, lambda _: event, counted.key, counted.fingerprint)
        await self._count(again, as_it_was=True)

    async def _count(self, report: Reported, *, as_it_was: bool = False) -> Decided:
        """Ask until the store has decided.

        Args:
            as_it_was: The event keeps the group that its customer had then.
        """
        customer = report.customer
        profile = self._directory.cached(customer) or await self._directory.load(customer)
        now_ms = self._clock.now_ms()
        for _ in range(TRIES_MAX):
            question = self._question(report, profile, now_ms, as_it_was=as_it_was)
            event = question.event
            await self._scopes.announce(event.group, event.app, event.key)
            outcome, mark = await self._ask(question)
            if outcome == Outcome.POLICY:
                profile = await self._directory.load(customer)
            elif outcome == Outcome.STALE:
                now_ms = int(mark)
            else:
                return self._decided(question, outcome, mark)
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")

    def _ask_at_once(
        self, report: Reported
    ) -> tuple[_Question, asyncio.Future[Any]] | Exception | None:
        """Without waiting for anything first; None: something needed is not at hand."""
        profile = self._directory.cached(report.customer)
        if profile is None:
            return None
        try:
            question = self._question(report, profile, self._clock.now_ms())
            event = question.event
            if not self._scopes.are_announced(event.group, event.app, event.key):
                return None
            return question, self._ask(question)
        except Exception as exc:  # noqa: BLE001 - told to its sender, the others go on
            return exc

    async def _heard(
        self, asked: tuple[_Question, asyncio.Future[Any]] | Exception | None
    ) -> Decided | Exception | None:
        """None: not decided; it needs another profile, or another time."""
        if asked is None or isinstance(asked, Exception):
            return asked
        question, sent = asked
        try:
            outcome, mark = await sent
            if outcome in (Outcome.POLICY, Outcome.STALE):
                return None
            return self._decided(question, outcome, mark)
        except Exception as exc:  # noqa: BLE001 - as above
            return exc

    def _question(
        self, report: Reported, profile: Profile, now_ms: int, *, as_it_was: bool = False
    ) -> _Question:
        since = self._store.changes
        terms = self._directory.terms(profile, now_ms)
        event = report.event(terms.limits.markup_ppm)
        if event.group != profile.group and not as_it_was:
            event = replace(event, group=profile.group)
        planned = self._directory.plan(profile, {})
        return _Question(report, profile, planned, terms, event, event.details(), now_ms, since)

    def _ask(self, question: _Question) -> asyncio.Future[Any]:
        report, profile, planned, terms, event, details, now_ms, since = question
        customer, key = report.customer, report.idempotency_key
        partition = self._directory.partition_of(customer)
        week = week_of(now_ms)
        return self._store.script(
            "event",
            [
                partition.number(customer),
                partition.profile(profile.number),
                partition.account(profile.number),
                partition.stream,
                partition.tombstones(hour_of(event.request_id)),
                partition.changed,
                partition.left(customer),
                *(partition.idempotency(now_ms) if key else ()),
            ],
            [
                event.request_id,
                profile.number,
                profile.told_version,
                f"{profile.number} {key}" if key else "",
                report.fingerprint,
                event.charge_pico,
                event.cost_pico,
                self._directory.calendar.ids_shared(event.at_ms, terms.windows),
                max(terms.windows.from_ms, week.from_ms),
                min(terms.windows.until_ms, week.until_ms),
                *terms.told,
                self._rules.count,
                details,
                KEEP_SECONDS,
                *planned.pairs,
            ],
            since=since,  # its group and its app are known there, and so is the customer
        )

    def _decided(self, question: _Question, outcome: int, mark: bytes) -> Decided:
        """ACCEPTED, DUPLICATE or CONFLICT, as the store has said."""
        report, event, planned = question.report, question.event, question.planned
        if planned.pairs and outcome == Outcome.HELD:
            self._directory.remember(planned.profile, question.since)
        _, event_id, charge = mark.decode().split(" ")
        if event_id == event.request_id:  # the answer to our first sending was lost
            outcome = Outcome.HELD
        counted = Counted(
            request_id=event_id,
            customer=report.customer,
            number=question.profile.number,
            key=report.idempotency_key,
            fingerprint=report.fingerprint,
            charge_pico=int(charge),
            cost_pico=event.cost_pico,
            details=question.details,
        )
        return counted, Receipt(RECORDED[outcome], event_id, int(charge))


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
