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
from gateway.customers.fields import Canonical
from gateway.customers.profile import Profile, Terms
from gateway.customers.scopes import NO_SCOPES, Scopes
from gateway.errors import CallerError, LedgerUnavailable
from gateway.event import Status, UsageEvent
from gateway.ledger.admission import Admission
from gateway.ledger.bounds import Bound
from gateway.ledger.leases import LEASE_MS, Attempt, Leases, ending_keys
from gateway.ledger.reports import Reports
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Balance, Hold, Receipt, Recorded, Spent
from gateway.ledger.rules import Count, Orphans, Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.openai.errors import wire_form
from gateway.store.client import Part, Store

__all__ = ["Balance", "Bound", "Hold", "Ledger", "Receipt", "Recorded", "Spent"]

SETTLE_BACKOFF_SECONDS_MAX: Final = 2.0
RESTORED: Final = 1

log = logging.getLogger(__name__)


class _End(IntEnum):
    """What ``settle.lua`` and ``release.lua`` return."""

    DONE = 1
    DUPLICATE = 2
    ADJUSTED = 3
    TOO_OLD = 4


class Ledger:
    """The verbs on money.

    Args:
        binding: False under the policy `soft`: limits are counted, never enforced.
        registered_only: Customers must have been created before they call.
        count: What limits are about, ``charge`` or ``cost``. A hold is a charge, which is
            never less than the cost.
        orphans: What a call counts that never ends: ``hold``, ``input`` or ``progress``.
        scopes: The groups and apps that have limits.
        reject_status: The status of a refusal for a used-up budget, in the row of its call.
        on_too_old: Told of an end that came more than 48 h after its call, when nothing
            remembers whether it had ended before: it has not been booked.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Clock,
        *,
        binding: bool = True,
        registered_only: bool = False,
        count: Count = "charge",
        orphans: Orphans = "hold",
        scopes: Scopes = NO_SCOPES,
        reject_status: int = 402,
        on_too_old: Callable[[Hold, UsageEvent], None] | None = None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self.rules: Final = Rules(
            binding=binding,
            registered_only=registered_only,
            count=count,
            orphans=orphans,
            reject_status=reject_status,
        )
        self._scopes = ScopeHolds(store, directory, clock, self.rules, scopes)
        self._admission = Admission(store, directory, clock, self.rules, self._scopes)
        self._reports = Reports(store, directory, clock, self.rules, self._scopes)
        self._leases = Leases(store)
        self._on_too_old = on_too_old
        self._closing = False

    async def hold(
        self,
        request_id: str,
        customer: str,
        *,
        app: str,
        change: Mapping[str, Canonical],
        bound: Callable[[Terms], Bound],
        opening: Callable[[Profile], bytes],
    ) -> Hold:
        """Reserve what a call can cost, and upsert what the call says of its customer.

        Args:
            app: The app that makes the call.
            bound: What the call can cost under these terms; may refuse.
            opening: Details of the event to post should this process never settle, given
                the customer as it is held: it names app and group.

        Raises:
            BudgetExceeded, BudgetInFlight, RateLimited: a limit has no room, the customer's,
                or with `recorded` that of its group or app.
            PermissionRefused: the customer is blocked, or not registered.
            InvalidCall: the change contradicts itself.
            LedgerUnavailable: nothing is held.
        """
        attempt = Attempt(request_id, self._directory.partition_of(customer))
        try:
            hold, asked = await self._admission.hold(
                attempt, customer, app=app, change=change, bound=bound, opening=opening
            )
        except asyncio.CancelledError:
            if attempt.in_doubt:
                self._leases.withdraw(request_id, attempt.withdrawal(Status.ABORTED))
            raise
        except LedgerUnavailable as exc:
            refused_by_store = isinstance(exc.__cause__, ResponseError)
            if attempt.in_doubt and not refused_by_store:
                self._leases.withdraw(request_id, attempt.withdrawal(Status.ERROR))
            raise
        hold = await self._shared(attempt, hold, asked)
        self._leases.begin(request_id, hold.partition)
        return hold

    async def _shared(self, attempt: Attempt, hold: Hold, asked: Bound) -> Hold:
        """The hold once its group and its app have granted it; else it is ended here."""
        try:
            return await self._scopes.hold(hold, asked)
        except asyncio.CancelledError:
            self._leases.withdraw(hold.request_id, attempt.withdrawal(Status.ABORTED))
            raise
        except CallerError as exc:
            status_code = wire_form(exc, reject_status=self.rules.reject_status)[0]
            refusal = attempt.refusal(
                status_code=status_code, error_code=exc.code, hold_pico=hold.amount_pico
            )
            self._leases.withdraw(hold.request_id, refusal)
            exc.recorded = True
            raise
        except BaseException:
            self._leases.withdraw(hold.request_id, attempt.withdrawal(Status.ERROR))
            raise

    async def restore(self, hold: Hold) -> bool:
        """Put back the hold of a call that runs, in a store that came back without it.

        Whatever the limits: that money is committed.

        Returns:
            Whether it is held now; not if the call has ended, or is older than 48 h.

        Raises:
            LedgerUnavailable: try again.
        """
        await self._scopes.restore(hold)
        outcome = await self._store.script(
            "restore",
            [
                hold.partition.account(hold.profile.number),
                hold.partition.holds,
                hold.partition.expiries,
                hold.partition.tombstones(hour_of(hold.request_id)),
            ],
            [
                hold.request_id,
                hold.profile.number,
                hold.amount_pico,
                max(hold.orphan_pico, self._leases.orphan_pico(hold.request_id)),
                LEASE_MS,
                hold.window_ids,
                hold.opening,
            ],
        )
        return bool(outcome == RESTORED)

    def progress(self, hold: Hold, so_far_pico: int) -> None:
        """Note what the call has cost up to now: counted should it never end.

        Only with orphans ``progress``; the store learns it with the next renewal.
        """
        if self.rules.orphans == "progress":
            self._leases.raise_orphan(hold.request_id, so_far_pico)

    async def settle(self, hold: Hold, event: UsageEvent) -> None:
        """Book what the call cost and post its event; once, whatever is repeated."""
        await self._end(
            "settle",
            hold,
            event,
            [event.charge_pico, event.cost_pico, hold.window_ids, event.details()],
        )

    async def release(self, hold: Hold, event: UsageEvent) -> None:
        """Give the hold back: nothing was sent, or the upstream refused without usage.

        The event is a ``release``, or a ``refuse`` where another limit had no room.
        """
        await self._end("release", hold, event, [hold.window_ids, event.details(), event.kind])

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
        return await self._reports.record(
            customer, event, idempotency_key=idempotency_key, fingerprint=fingerprint
        )

    async def balance(self, profile: Profile) -> Balance:
        """Read an account."""
        account = self._directory.partition_of(profile.identifier).account(profile.number)
        reply = await self._store.command("HGETALL", account)
        windows = self._directory.terms(profile, self._clock.now_ms()).windows
        return Balance.of(dict(zip(reply[::2], reply[1::2], strict=True)), windows.ids)

    async def scope_balance(self, scope: str) -> Balance:
        """Read the account of a group or an app.

        It follows the calls by a moment: what has ended stays held until the flusher comes.

        Args:
            scope: ``group:<identifier>`` or ``app:<id>``; see `gateway.customers.scopes`.
        """
        return await self._scopes.balance(scope)

    async def renew(self) -> None:
        """Move the leases of all calls that this process is serving."""
        await self._leases.step()

    async def keep_leases(self) -> None:
        await self._leases.run()

    def close(self) -> None:
        """From now on a store that is away is given up on at once; leases do the rest."""
        self._closing = True

    async def _end(self, verb: str, hold: Hold, event: UsageEvent, args: list[Part]) -> None:
        """Repeat until the store has taken it: verbs that end a hold are idempotent."""
        partition, number, request_id = hold.partition, hold.profile.number, hold.request_id
        keys = ending_keys(partition, number, request_id)
        pause = 0.05
        try:
            while True:
                try:
                    await self._scopes.announce_again()
                    outcome = await self._store.script(verb, keys, [request_id, number, *args])
                except LedgerUnavailable:
                    if self._closing:
                        log.error("not_settled verb=%s request_id=%s", verb, request_id)  # noqa: TRY400
                        raise
                else:
                    if outcome == _End.TOO_OLD:
                        self._tell_too_old(verb, hold, event)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, SETTLE_BACKOFF_SECONDS_MAX)
        finally:
            # Even if it failed: a hold that nobody ends any more must not be kept alive.
            self._leases.end(request_id)

    def _tell_too_old(self, verb: str, hold: Hold, event: UsageEvent) -> None:
        log.error(
            "too_old verb=%s request_id=%s charge_pico=%d",
            verb,
            hold.request_id,
            event.charge_pico,
        )
        if self._on_too_old is not None:
            self._on_too_old(hold, event)
