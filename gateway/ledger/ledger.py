"""The ledger: hold an upper bound, settle the truth.

Each verb is one script, so a balance and the event that explains it move together. What a
call may owe is in this process' own log before it owes it, so that neither the death of the
process nor a store that is away, or comes back without its newest writes, loses a charge.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from msgspec.structs import replace

from gateway import crash
from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.fields import Canonical
from gateway.customers.profile import Profile, Terms
from gateway.customers.scopes import NO_SCOPES, Scope, Scopes
from gateway.errors import LedgerUnavailable
from gateway.event import UsageEvent
from gateway.ledger.adjustments import Adjustments
from gateway.ledger.admission import Admission
from gateway.ledger.attempts import Attempt
from gateway.ledger.bounds import Bound
from gateway.ledger.continuity import Continuity
from gateway.ledger.credits import Credits
from gateway.ledger.dead_letters import DeadLetters
from gateway.ledger.endings import Endings, ending_of
from gateway.ledger.entrusted import EntrustedCalls
from gateway.ledger.holding import Holding
from gateway.ledger.leases import LEASE_MS, Leases
from gateway.ledger.loops import for_ever
from gateway.ledger.newcomers import Newcomers
from gateway.ledger.prospects import Prospects
from gateway.ledger.reports import Reported, Reports
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Balance, Hold, Receipt, Recorded, Spent
from gateway.ledger.rules import Count, Orphans, Rules
from gateway.ledger.scope_holds import ScopeHolds
from gateway.ledger.unheld import Unheld, WhenDown
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Ending, SoFar
from gateway.store.client import Store

__all__ = ["Balance", "Bound", "Hold", "Ledger", "Receipt", "Recorded", "Spent"]

RESTORED: Final = 1
RESTORED_AT_ONCE_MAX: Final = 200
LAST_TELLING_SECONDS_MAX: Final = 5.0
"""How long a stop waits for the store; what it has not taken is told at the next start."""

log = logging.getLogger(__name__)


class Ledger:
    """The verbs on money.

    Args:
        binding: False under the policy `soft`: limits are counted, never enforced.
        registered_only: Customers must have been created before they call.
        count: What limits are about, ``charge`` or ``cost``. A hold is a charge, which is
            never less than the cost.
        orphans: What a call counts that never ends: ``hold``, ``input`` or ``progress``.
        scopes: The groups and apps that have limits.
        new_customers_per_day: By app; one that is not named may bring any number.
        reject_status: The status of a refusal for a used-up budget, in the row of its call.
        wal: This process' log; without one, what it owes dies with it.
        when_down: Whether customers with a limit pass while the store is away.

    Attributes:
        endings: How calls ended, on the way to the store.
        adjustments: What corrects a charge after its call has ended.
        entrusted: Calls that no gateway is serving, and that have not ended.
        credits: What customers may spend beside their total budgets.
        prospects: What would become of a call.
        continuity: What happens when the store comes back as another.
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
        new_customers_per_day: Mapping[str, int] | None = None,
        reject_status: int = 402,
        wal: Log | None = None,
        when_down: WhenDown = "closed",
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
        self.scopes = ScopeHolds(store, directory, clock, self.rules, scopes)
        self.credits = Credits(store, directory, clock, wal=wal)
        self.reports = Reports(
            store, directory, clock, self.rules, self.scopes, credits_=self.credits, wal=wal
        )
        self.prospects = Prospects(directory, clock, self.rules, self.scopes, self.balance)
        self.adjustments = Adjustments(store, directory, clock, self.rules, self.scopes)
        self._leases = Leases(store)
        self._wal = wal
        self.dead_letters = DeadLetters(wal.folder if wal else None)
        self.endings = Endings(
            store,
            directory,
            wal,
            self.dead_letters,
            clock,
            announce=self.scopes.announce_again,
            announce_named=self.scopes.announce_named,
        )
        self.entrusted = EntrustedCalls(store, clock, self._leases, self.endings, wal)
        self.unheld = Unheld(
            directory, clock, self.rules, self.scopes, wal=wal, when_down=when_down
        )
        self.continuity = Continuity(
            store,
            self.endings,
            wal,
            clock,
            put_back=self._put_back,
            count_again=self.reports.again,
        )
        self._holding = Holding(
            store,
            Admission(
                store,
                directory,
                clock,
                rules=self.rules,
                scopes=self.scopes,
                newcomers=Newcomers(store, clock, new_customers_per_day or {}),
            ),
            self.scopes,
            endings=self.endings,
            continuity=self.continuity,
            unheld=self.unheld,
        )
        self._noted: dict[str, Ending] = {}
        if wal is not None:
            store.before_sending(wal.flush)

    async def hold(
        self,
        request_id: str,
        customer: str,
        *,
        app: str,
        key: Scope | None = None,
        change: Mapping[str, Canonical],
        bound: Callable[[Terms], Bound],
        opening: Callable[[Profile], bytes],
    ) -> Hold:
        """Reserve what a call can cost, and upsert what the call says of its customer.

        Args:
            app: The app that makes the call.
            key: The temporary key that it is made with, and its limits.
            bound: What the call can cost under these terms; may refuse.
            opening: Details of the event to post should this process never settle, given
                the customer as it is held: it names app, group and key.

        Raises:
            BudgetExceeded, BudgetInFlight, RateLimited: a limit has no room, the customer's,
                or with `recorded` that of its group, app or key.
            PermissionRefused: the customer is blocked, or not registered.
            InvalidCall: the change contradicts itself.
            LedgerUnavailable: nothing is held.
        """
        attempt = Attempt(
            request_id=request_id,
            customer=customer,
            app=app,
            key=key,
            change=change,
            bound=bound,
            opening=opening,
            partition=self._directory.partition_of(customer),
            wal=self._wal,
        )
        hold = await self._holding.hold(attempt)
        self._leases.begin(hold)
        if crash.is_armed:
            crash.at("after_hold")
        return hold

    async def restore(self, hold: Hold) -> bool:
        """Put back the hold of a call that runs, in a store that came back without it.

        Whatever the limits: that money is committed.

        Returns:
            Whether it is held now; not if the call has ended, or is older than 48 h.

        Raises:
            LedgerUnavailable: try again.
        """
        await self.scopes.announce(hold.group, hold.app, hold.key.identifier if hold.key else None)
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
        if outcome != RESTORED:
            return False
        # Only now: without the customer's hold nobody would ever take these off.
        await self.scopes.restore(hold)
        return True

    async def sent(self, so_far: SoFar) -> None:
        """Note that the call is about to be sent, and what it costs if nothing more is seen."""
        if self._wal is not None:
            self._wal.so_far(so_far)
            await self._written("after_sent")

    def progress(self, hold: Hold, so_far: SoFar) -> None:
        """Note what the call has cost up to now: counted should it never end.

        With orphans ``progress`` the store learns it, too, with the next renewal.
        """
        if self._wal is not None:
            self._wal.so_far(so_far)
        if self.rules.orphans == "progress":
            self._leases.raise_orphan(hold.request_id, so_far.charge_pico)

    async def note(self, hold: Hold, event: UsageEvent) -> None:
        """Write down how the call ended: booked from here on, whoever dies."""
        if self._wal is not None and hold.request_id not in self._noted:
            self._noted[hold.request_id] = ending = ending_of(self._leases.current(hold), event)
            self._wal.end(ending)
            await self._written("after_final")

    def settle(self, hold: Hold, event: UsageEvent) -> Coroutine[Any, Any, None]:
        """Book what the call cost and post its event; once, whatever is repeated.

        When the store is away, as soon as it is back.
        """
        return self._end(hold, event)

    def release(self, hold: Hold, event: UsageEvent) -> Coroutine[Any, Any, None]:
        """Give the hold back: nothing was sent, or the upstream refused without usage.

        The event is a ``release``, or a ``refuse`` where another limit had no room.
        """
        return self._end(hold, event)

    async def refuse(self, customer: str, event: UsageEvent) -> None:
        """Post the row of a call that was not admitted. It moves no money."""
        partition = self._directory.partition_of(customer)
        profile = self._directory.last_known(customer)
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
        return await self.reports.record(Reported(customer, event, idempotency_key, fingerprint))

    async def balance(self, profile: Profile) -> Balance:
        """Read an account."""
        account = self._directory.partition_of(profile.identifier).account(profile.number)
        reply = await self._store.command("HGETALL", account)
        windows = self._directory.terms(profile, self._clock.now_ms()).windows
        return Balance.of(dict(zip(reply[::2], reply[1::2], strict=True)), windows.ids)

    async def scope_balance(self, scope: str) -> Balance:
        """Read the account of a group, an app or a temporary key.

        It follows the calls by a moment: what has ended stays held until the flusher comes.

        Args:
            scope: As `gateway.customers.scopes` names it.
        """
        return await self.scopes.balance(scope)

    async def renew(self) -> None:
        """Move the leases of all calls that this process is serving."""
        await self._leases.step()

    async def open(self) -> None:
        """Begin to write the log.

        Raises:
            OSError: its folder cannot be written to.
        """
        if self._wal is not None:
            self._wal.open()

    async def run(self) -> None:
        """Renew leases, tell what is waiting, follow the store's changes; for ever."""
        loops = [self._leases.run, self.endings.run, self.continuity.run]
        if self._wal is not None:
            loops.append(self._wal.keep)
        async with asyncio.TaskGroup() as tasks:
            for loop in loops:
                tasks.create_task(for_ever(loop))

    async def close(self) -> None:
        """Tell the store what it has not heard yet; the rest is told at the next start."""
        try:
            async with asyncio.timeout(LAST_TELLING_SECONDS_MAX):
                await self.endings.step()
                await self.continuity.leave()
        except (LedgerUnavailable, TimeoutError):
            log.warning("calls_left_for_the_next_start count=%d", self.endings.waiting)
        if self._wal is not None:
            await self._wal.close()

    def troubles(self) -> list[str]:
        """What keeps calls from being counted at once, in words; empty: nothing."""
        found = []
        if not self._store.is_up:
            found.append(f"ledger: away; {self.endings.waiting} calls wait to be counted")
        if not self.continuity.is_open:
            found.append("ledger: being restored")
        if self._wal is not None and self._wal.failing:
            found.append("log: cannot be written")
        return found

    async def _put_back(self) -> None:
        """Hold again what runs, for customers that the store may have lost as well."""
        held = [hold for hold in self._leases.live() if hold.is_held]
        for start in range(0, len(held), RESTORED_AT_ONCE_MAX):
            await asyncio.gather(*map(self._hold_again, held[start : start + RESTORED_AT_ONCE_MAX]))
        await self._leases.step()
        await self.entrusted.put_back(self._hold_again)

    async def _hold_again(self, hold: Hold) -> None:
        profile = hold.profile
        number = await self._directory.restore(profile.identifier, profile.number, profile.stored)
        if number is not None and number != profile.number:  # made anew: the call is its now
            hold = replace(hold, profile=profile.numbered(number))
            self._leases.move(hold)
        await self.restore(hold)

    async def _written(self, point: str) -> None:
        assert self._wal is not None
        await self._wal.written()
        if crash.is_armed:
            crash.at(point)

    async def _end(self, hold: Hold, event: UsageEvent) -> None:
        try:
            if self._wal is None:
                ending = ending_of(self._leases.current(hold), event)
            else:
                await self.note(hold, event)
                ending = self._noted.pop(hold.request_id)
            await self.endings.tell_or_keep(ending)
        finally:
            # Even if it failed: a hold that nobody ends any more must not be kept alive.
            self._leases.end(hold.request_id)
