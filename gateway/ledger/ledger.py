"""The ledger: hold an upper bound, settle the truth.

Each verb is one script, so a balance and the event that explains it move together. Holds
are refused while the store is away; what has been held is settled however long that takes.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

from redis.exceptions import ResponseError

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.fields import PROFILE_FIELDS, Canonical
from gateway.customers.profile import Profile, Terms
from gateway.customers.windows import CUSTOM, KINDS
from gateway.errors import LedgerUnavailable, PermissionRefused
from gateway.event import Status, UsageEvent
from gateway.ledger.leases import LEASE_MS, Attempt, Leases, ending_keys
from gateway.ledger.refusals import Refusal, rate_limited, refused
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Balance, Hold, Receipt, Recorded, Spent
from gateway.store.client import Part, Store
from gateway.store.keys import IDEMPOTENCY_SECONDS, WEEK_MS

__all__ = ["Balance", "Hold", "Ledger", "Receipt", "Recorded", "Spent"]

TRIES_MAX: Final = 16
PROFILE_TRIES_MAX: Final = 4
"""After so many lost races a call no longer insists on its customer's name or metadata."""
SETTLE_BACKOFF_SECONDS_MAX: Final = 2.0

log = logging.getLogger(__name__)


class _Outcome(IntEnum):
    """What ``hold.lua`` and ``event.lua`` return."""

    HELD = 1
    EXCEEDED = 2
    IN_FLIGHT = 3
    RATE_LIMITED = 4
    POLICY = 5
    STALE = 6
    DUPLICATE = 7


class Ledger:
    """The verbs on money.

    Args:
        binding: False under the policy `soft`: limits are counted, never enforced.
        registered_only: Customers must have been created before they call.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Clock,
        *,
        binding: bool = True,
        registered_only: bool = False,
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self.binding: Final = binding
        self._registered_only = registered_only
        self._leases = Leases(store)
        self._closing = False

    async def hold(
        self,
        request_id: str,
        customer: str,
        *,
        change: Mapping[str, Canonical],
        bound: Callable[[Terms], int],
        details: bytes,
    ) -> Hold:
        """Reserve the upper bound of a call, and upsert what the call says of its customer.

        Args:
            bound: The most the call can cost under these terms, pico-USD; may refuse.
            details: The event to post should this process never settle.

        Raises:
            BudgetExceeded, BudgetInFlight, RateLimited: a limit has no room.
            PermissionRefused: the customer is blocked, or not registered.
            InvalidCall: the change contradicts itself.
            LedgerUnavailable: nothing is held.
        """
        attempt = Attempt(request_id, self._directory.partition_of(customer), details)
        try:
            return await self._hold(attempt, customer, change, bound)
        except asyncio.CancelledError:
            if attempt.in_doubt:
                self._leases.withdraw(request_id, attempt.withdrawal(Status.ABORTED))
            raise
        except LedgerUnavailable as exc:
            refused_by_store = isinstance(exc.__cause__, ResponseError)
            if attempt.in_doubt and not refused_by_store:
                self._leases.withdraw(request_id, attempt.withdrawal(Status.ERROR))
            raise

    async def _hold(
        self,
        attempt: Attempt,
        customer: str,
        change: Mapping[str, Canonical],
        bound: Callable[[Terms], int],
    ) -> Hold:
        partition = attempt.partition
        profile = self._directory.cached(customer) or await self._directory.load(customer)
        now_ms = self._clock.now_ms()
        dropped: tuple[str, ...] = ()
        for attempts in range(TRIES_MAX):
            if attempts == PROFILE_TRIES_MAX:
                dropped = tuple(
                    f"{f}: changed too often at once" for f in change if f in PROFILE_FIELDS
                )
                change = {f: value for f, value in change.items() if f not in PROFILE_FIELDS}
            profile = await self._admitted(profile)
            planned = self._directory.plan(profile, change)
            terms = self._directory.terms(planned.profile, now_ms)
            amount = bound(terms)
            limits = terms.limits
            attempt.send_with(profile.number, terms.windows.ids)
            code, in_period, total, held, extra, ids = await self._store.script(
                "hold",
                [
                    partition.number(customer),
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.holds,
                    partition.expiries,
                    partition.tombstones(hour_of(attempt.request_id)),
                ],
                [
                    attempt.request_id,
                    profile.number,
                    profile.version,
                    amount,
                    LEASE_MS,
                    terms.windows.from_ms,
                    terms.windows.until_ms,
                    terms.windows.ids,
                    terms.period_kind or "",
                    _or_empty(limits.period_budget_pico),
                    _or_empty(limits.total_budget_pico),
                    int(self.binding),
                    limits.rate_limit or 0,
                    attempt.details,
                    *planned.pairs,
                ],
            )
            match _Outcome(code):
                case _Outcome.POLICY:
                    profile = await self._directory.load(customer)
                    continue
                case _Outcome.STALE:
                    now_ms = extra
                    continue
                case _Outcome.DUPLICATE:
                    attempt.in_doubt = False
                    raise LedgerUnavailable(f"Request {attempt.request_id} has ended already.")
            if planned.pairs:
                self._directory.remember(planned.profile)
            hold = Hold(
                request_id=attempt.request_id,
                partition=partition,
                profile=planned.profile,
                terms=terms,
                amount_pico=amount,
                spent_period_pico=int(in_period),
                spent_total_pico=int(total),
                held_pico=int(held),
                window_ids=ids.decode(),
                warnings=(*planned.warnings, *dropped),
            )
            if code != _Outcome.HELD:
                raise self._refusal(hold, _Outcome(code), extra)
            self._leases.begin(attempt.request_id, partition)
            return hold
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")

    async def settle(self, hold: Hold, event: UsageEvent) -> None:
        """Book what the call cost and post its event; once, whatever is repeated."""
        await self._end(
            "settle", hold, [event.charge_pico, event.cost_pico, hold.window_ids, event.details()]
        )

    async def release(self, hold: Hold, event: UsageEvent) -> None:
        """Give the hold back: nothing was sent, or the upstream refused without usage."""
        await self._end("release", hold, [hold.window_ids, event.details()])

    async def refuse(self, customer: str, event: UsageEvent) -> None:
        """Post the row of a call that was not admitted. It moves no money."""
        partition = self._directory.partition_of(customer)
        profile = self._directory.cached(customer)
        known = profile is not None and profile.version > 0
        await self._store.script(
            "refuse",
            [partition.stream, partition.tombstones(hour_of(event.request_id))],
            [event.request_id, profile.number if profile and known else 0, event.details()],
        )

    async def record(
        self,
        customer: str,
        event: Callable[[int], UsageEvent],
        *,
        idempotency_key: str | None,
        fingerprint: str,
    ) -> Receipt:
        """Count usage that was reported, never refused for being over a limit.

        Args:
            event: The event, given the customer's markup in parts per million.
            idempotency_key: Scoped by the caller to its app; None: counted each time.
            fingerprint: Of the body, without blanks; tells a repetition from a conflict.

        Raises:
            LedgerUnavailable: nothing was counted.
        """
        partition = self._directory.partition_of(customer)
        profile = self._directory.cached(customer) or await self._directory.load(customer)
        now_ms = self._clock.now_ms()
        for _ in range(TRIES_MAX):
            planned = self._directory.plan(profile, {})
            terms = self._directory.terms(profile, now_ms)
            priced = event(terms.limits.markup_ppm)
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
                    priced.details(),
                    IDEMPOTENCY_SECONDS + WEEK_MS // 1000,
                    *planned.pairs,
                ],
            )
            if outcome == _Outcome.POLICY:
                profile = await self._directory.load(customer)
            elif outcome == _Outcome.STALE:
                now_ms = int(mark)
            else:
                if planned.pairs and outcome == _Outcome.HELD:
                    self._directory.remember(planned.profile)
                _, event_id, charge = mark.decode().split(" ")
                if event_id == priced.request_id:  # the answer to our first sending was lost
                    outcome = _Outcome.HELD
                return Receipt(_RECORDED[outcome], event_id, int(charge))
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")

    async def balance(self, profile: Profile) -> Balance:
        """Read an account; windows that have not been opened yet count as empty.

        A window that is open already and has not ended (the clock stepped back, the anchor
        was moved) counts as that of now.
        """
        account = self._directory.partition_of(profile.identifier).account(profile.number)
        reply = await self._store.command("HGETALL", account)
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        windows = self._directory.terms(profile, self._clock.now_ms()).windows
        ids = windows.ids.split()
        return Balance(
            spent=Spent(int(fields.get(b"spent", 0)), int(fields.get(b"cost", 0))),
            held_pico=int(fields.get(b"held", 0)),
            by_kind={
                kind: _spent(fields, kind)
                for kind, window_id in zip(KINDS, ids[: len(KINDS)], strict=True)
                if _is_open(fields, kind, int(window_id))
            },
        )

    async def renew(self) -> None:
        """Move the leases of all calls that this process is serving."""
        await self._leases.step()

    async def keep_leases(self) -> None:
        await self._leases.run()

    def close(self) -> None:
        """From now on a store that is away is given up on at once; leases do the rest."""
        self._closing = True

    async def _admitted(self, profile: Profile) -> Profile:
        """Ask the store again before refusing by a cached profile."""
        if profile.blocked or (profile.version == 0 and self._registered_only):
            profile = await self._directory.load(profile.identifier)
        name = profile.identifier
        if profile.blocked:
            raise PermissionRefused(f"Customer {name!r} is blocked.", code="customer_blocked")
        if profile.version == 0 and self._registered_only:
            raise PermissionRefused(
                f"Customer {name!r} is not registered. Create it through POST /api/users/ first.",
                code="customer_not_registered",
            )
        return profile

    def _refusal(self, hold: Hold, outcome: _Outcome, wait_ms: int) -> Exception:
        name = hold.profile.identifier
        if outcome is _Outcome.RATE_LIMITED:
            return rate_limited(name, hold.terms.limits.rate_limit or 0, wait_ms)
        return refused(
            Refusal(
                customer=name,
                terms=hold.terms,
                spent_period_pico=hold.spent_period_pico,
                spent_total_pico=hold.spent_total_pico,
                held_pico=hold.held_pico,
                needed_pico=hold.amount_pico,
            ),
            in_flight=outcome is _Outcome.IN_FLIGHT,
        )

    async def _end(self, verb: str, hold: Hold, args: list[Part]) -> None:
        """Repeat until the store has taken it: verbs that end a hold are idempotent."""
        partition, number, request_id = hold.partition, hold.profile.number, hold.request_id
        pause = 0.05
        try:
            while True:
                try:
                    await self._store.script(
                        verb,
                        ending_keys(partition, number, request_id),
                        [request_id, number, *args],
                    )
                except LedgerUnavailable:
                    if self._closing:
                        log.error("not_settled verb=%s request_id=%s", verb, request_id)  # noqa: TRY400
                        raise
                else:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, SETTLE_BACKOFF_SECONDS_MAX)
        finally:
            # Even if it failed: a hold that nobody ends any more must not be kept alive.
            self._leases.end(request_id)


_RECORDED: Final = {1: Recorded.ACCEPTED, 2: Recorded.DUPLICATE, 3: Recorded.CONFLICT}


def _or_empty(amount: int | None) -> Part:
    return "" if amount is None else amount


def _spent(fields: Mapping[bytes, bytes], kind: str) -> Spent:
    return Spent(
        int(fields.get(f"{kind}.charge".encode(), 0)), int(fields.get(f"{kind}.cost".encode(), 0))
    )


def _is_open(fields: Mapping[bytes, bytes], kind: str, window_id: int) -> bool:
    opened = int(fields.get(kind.encode(), 0))
    until = int(fields.get(b"custom.until", 0)) if kind == CUSTOM else 0
    return window_id > 0 and (opened >= window_id or 0 < opened < window_id < until)
