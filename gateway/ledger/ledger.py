"""The ledger: hold an upper bound, settle the truth.

Each verb is one script, so a balance and the event that explains it move together. Holds
are refused while the store is away; what has been held is settled however long that takes.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.fields import Canonical
from gateway.customers.profile import Profile, Terms
from gateway.customers.windows import KINDS
from gateway.errors import LedgerUnavailable, PermissionRefused
from gateway.event import UsageEvent
from gateway.ledger.refusals import Refusal, rate_limited, refused
from gateway.ledger.requests import hour_of
from gateway.store.client import Part, Store
from gateway.store.keys import IDEMPOTENCY_SECONDS, WEEK_MS, Partition

LEASE_MS: Final = 60_000
RENEW_SECONDS: Final = 20.0
TRIES_MAX: Final = 8
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


class Recorded(StrEnum):
    """What became of a reported usage."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reservation: what a running call may cost at most.

    Attributes:
        profile: The customer as it was held, after the call's own upsert.
        spent_period_pico, spent_total_pico, held_pico: Of the customer, before this hold.
    """

    request_id: str
    partition: Partition
    profile: Profile
    terms: Terms
    amount_pico: int
    spent_period_pico: int
    spent_total_pico: int
    held_pico: int
    warnings: tuple[str, ...] = ()

    def remaining_pico(self, charge_pico: int) -> int | None:
        """What is left of the tightest limit once this call has cost `charge_pico`."""
        limits = self.terms.limits
        rooms = [
            limit - spent - self.held_pico - charge_pico
            for limit, spent in (
                (limits.period_budget_pico, self.spent_period_pico),
                (limits.total_budget_pico, self.spent_total_pico),
            )
            if limit is not None
        ]
        return min(rooms, default=None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a reported usage; on a duplicate, of the one that came before."""

    outcome: Recorded
    event_id: str
    charge_pico: int


@dataclass(frozen=True, slots=True)
class Spent:
    charge_pico: int = 0
    cost_pico: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as it stands: exact, never behind.

    Attributes:
        by_kind: What was spent in the windows of now, by window kind.
    """

    spent: Spent
    held_pico: int
    by_kind: Mapping[str, Spent]


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
        self._binding = binding
        self._registered_only = registered_only
        self._live: dict[str, Partition] = {}
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
        partition = self._directory.partition_of(customer)
        profile = self._directory.cached(customer) or await self._directory.load(customer)
        now_ms = self._clock.now_ms()
        for _ in range(TRIES_MAX):
            profile = await self._admitted(profile)
            planned = self._directory.plan(profile, change)
            terms = self._directory.terms(planned.profile, now_ms)
            amount = bound(terms)
            limits = terms.limits
            code, in_period, total, held, extra = await self._store.script(
                "hold",
                [
                    partition.number(customer),
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.holds,
                    partition.expiries,
                    partition.tombstones(hour_of(request_id)),
                ],
                [
                    request_id,
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
                    int(self._binding),
                    limits.rate_limit or 0,
                    details,
                    int(planned.moves_anchor),
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
                    raise LedgerUnavailable(f"Request {request_id} has ended already.")
            if planned.pairs:
                self._directory.remember(planned.profile)
            hold = Hold(
                request_id=request_id,
                partition=partition,
                profile=planned.profile,
                terms=terms,
                amount_pico=amount,
                spent_period_pico=int(in_period),
                spent_total_pico=int(total),
                held_pico=int(held),
                warnings=planned.warnings,
            )
            if code != _Outcome.HELD:
                raise self._refusal(hold, _Outcome(code), extra)
            self._live[request_id] = partition
            return hold
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")

    async def settle(self, hold: Hold, event: UsageEvent) -> None:
        """Book what the call cost and post its event; once, whatever is repeated."""
        partition, number = hold.partition, hold.profile.number
        hour = hour_of(hold.request_id)
        await self._insist(
            "settle",
            [
                partition.account(number),
                partition.holds,
                partition.expiries,
                partition.stream,
                partition.tombstones(hour),
                partition.orphans(hour),
            ],
            [
                hold.request_id,
                number,
                event.charge_pico,
                event.cost_pico,
                hold.terms.windows.ids,
                event.details(),
            ],
        )
        self._live.pop(hold.request_id, None)

    async def release(self, hold: Hold, event: UsageEvent) -> None:
        """Give the hold back: nothing was sent, or the upstream refused without usage."""
        partition, number = hold.partition, hold.profile.number
        await self._insist(
            "release",
            [
                partition.account(number),
                partition.holds,
                partition.expiries,
                partition.stream,
                partition.tombstones(hour_of(hold.request_id)),
            ],
            [hold.request_id, number, event.details()],
        )
        self._live.pop(hold.request_id, None)

    async def refuse(self, customer: str, event: UsageEvent) -> None:
        """Post the row of a call that was not admitted. It moves no money."""
        profile = self._directory.cached(customer)
        known = profile is not None and profile.version > 0
        await self._store.command(
            *("XADD", self._directory.partition_of(customer).stream, "*"),
            *("k", "refuse", "id", event.request_id),
            *("n", profile.number if profile and known else 0),
            *("a", 0, "c", 0, "e", event.details()),
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
            planned = self._directory.plan(profile, {}) if profile.version == 0 else None
            terms = self._directory.terms(profile, now_ms)
            priced = event(terms.limits.markup_ppm)
            outcome, mark = await self._store.script(
                "event",
                [
                    partition.number(customer),
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.stream,
                    *(partition.idempotency(now_ms) if idempotency_key else ()),
                ],
                [
                    priced.request_id,
                    profile.number,
                    int(planned is not None),
                    f"{profile.number} {idempotency_key}" if idempotency_key else "",
                    fingerprint,
                    priced.charge_pico,
                    priced.cost_pico,
                    self._directory.calendar.ids_shared(priced.at_ms, terms.windows),
                    terms.windows.from_ms,
                    terms.windows.until_ms,
                    priced.details(),
                    IDEMPOTENCY_SECONDS + WEEK_MS // 1000,
                    *(planned.pairs if planned else ()),
                ],
            )
            if outcome == _Outcome.POLICY:
                profile = await self._directory.load(customer)
            elif outcome == _Outcome.STALE:
                now_ms = int(mark)
            else:
                if planned and outcome == 1:
                    self._directory.remember(planned.profile)
                _, event_id, charge = mark.decode().split(" ")
                return Receipt(_RECORDED[outcome], event_id, int(charge))
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")

    async def balance(self, profile: Profile) -> Balance:
        """Read an account; windows that have not been opened yet count as empty."""
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
                for kind, window_id in zip(KINDS, ids, strict=True)
                if fields.get(kind.encode()) == window_id.encode()
            },
        )

    async def renew(self) -> None:
        """Move the leases of all calls that this process is serving."""
        by_partition: dict[Partition, list[str]] = {}
        for request_id, partition in self._live.items():
            by_partition.setdefault(partition, []).append(request_id)
        await asyncio.gather(
            *(
                self._store.script("renew", [partition.expiries], [LEASE_MS, *ids])
                for partition, ids in by_partition.items()
            )
        )

    async def keep_leases(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self.renew()
            except LedgerUnavailable:
                log.warning("leases_not_renewed live=%d", len(self._live))

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

    async def _insist(self, verb: str, keys: list[str], args: list[Part]) -> Any:
        """Repeat until the store has taken it: verbs that end a hold are idempotent."""
        pause = 0.05
        while True:
            try:
                return await self._store.script(verb, keys, args)
            except LedgerUnavailable:
                if self._closing:
                    log.error("not_settled verb=%s request_id=%s", verb, args[0])  # noqa: TRY400
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, SETTLE_BACKOFF_SECONDS_MAX)


_RECORDED: Final = {1: Recorded.ACCEPTED, 2: Recorded.DUPLICATE, 3: Recorded.CONFLICT}


def _or_empty(amount: int | None) -> Part:
    return "" if amount is None else amount


def _spent(fields: Mapping[bytes, bytes], kind: str) -> Spent:
    return Spent(
        int(fields.get(f"{kind}.charge".encode(), 0)), int(fields.get(f"{kind}.cost".encode(), 0))
    )
