"""Scope holds: a call's share of what its group, its app and its temporary key may spend.

They live in other partitions than the customer, so they are made one after the other: first
the customer's hold, then these, each granting no more than the one before. The customer's
hold is what ends, in one event that names all three; from that event the flusher takes
these off (`gateway.metering.scope_sink`). So one that is refused, or whose reply is lost,
needs nothing but that the customer's hold is ended.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

import orjson
from msgspec import structs

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.scopes import Scope, Scopes, key_name
from gateway.errors import LedgerUnavailable
from gateway.ledger.bounds import Bound
from gateway.ledger.outcomes import Outcome
from gateway.ledger.refusals import Refusal, refused
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Balance, Hold, ScopeHold
from gateway.ledger.rooms import rooms_of
from gateway.ledger.rules import Rules
from gateway.ledger.scope_registry import ScopeRegistry
from gateway.store.client import Store

TRIES_MAX: Final = 4


class ScopeHolds:
    def __init__(
        self, store: Store, directory: Directory, clock: Clock, rules: Rules, scopes: Scopes
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._rules = rules
        self._scopes = scopes
        self._registry = ScopeRegistry(store)

    def concern(self, group: str | None, app: str, key: Scope | None) -> bool:
        """Whether there may be anything to do here for a call of these."""
        return self._scopes.count_for(group, app, key) or bool(self._registry.in_doubt)

    def limit(self, group: str | None, app: str, key: Scope | None) -> bool:
        """Whether a call of these needs room in any."""
        return any(scope.limits.limited for scope in self._scopes.counted(group, app, key))

    def limited(self, group: str | None, app: str, key: Scope | None) -> list[Scope]:
        """Those of a call that have limits, in the order in which they are asked."""
        return [s for s in self._scopes.counted(group, app, key) if s.limits.limited]

    async def announce(self, group: str | None, app: str, key: str | None) -> None:
        """Before an event may name them; of a temporary key its id is enough.

        Raises:
            LedgerUnavailable: none may.
        """
        await self._registry.ensure(self._named(group, app, key))

    def are_announced(self, group: str | None, app: str, key: str | None) -> bool:
        """Whether `announce` would have nothing to do."""
        return self._registry.has(self._named(group, app, key))

    def _named(self, group: str | None, app: str, key: str | None) -> list[str]:
        of_key = Scope(key_name(key)) if key else None
        return [scope.name for scope in self._scopes.counted(group, app, of_key)]

    async def announce_again(self) -> None:
        """After the store has changed, as far as it takes it: what ends now still names them."""
        if self._registry.in_doubt:
            with suppress(LedgerUnavailable):
                await self._registry.ensure(())

    async def announce_named(self, details: bytes) -> None:
        """Before an event with these details is posted for a call that was not held here.

        Raises:
            LedgerUnavailable: it may not.
        """
        told = orjson.loads(details)
        await self.announce(told.get("group"), told.get("app", ""), told.get("key"))

    async def hold(self, hold: Hold, asked: Bound, *, since: int) -> Hold:
        """The customer's hold, with what its group, app and key grant of it.

        Args:
            since: The store's `changes` when the customer's hold was asked for.

        Raises:
            BudgetExceeded, BudgetInFlight: one of them has no room.
            LedgerUnavailable: it may have been held, or not.
        """
        if not self._rules.binding or not hold.amount_pico:
            return hold
        for scope in self._scopes.counted(hold.group, hold.app, hold.key):
            if scope.limits.limited:
                held = await self._held(hold, scope, asked, since)
                hold = structs.replace(
                    hold, amount_pico=held.amount_pico, scopes=(*hold.scopes, held)
                )
        return hold

    async def restore(self, hold: Hold) -> None:
        """Put back what a store has lost, whatever the limits; not what has ended.

        The customer's hold is there, and the scopes are announced.

        Raises:
            LedgerUnavailable: try again.
        """
        for held in hold.scopes:
            everything = Bound.all_of(held.amount_pico)
            unlimited, since = held.scope.unlimited, self._store.changes
            await self._ask(hold.request_id, unlimited, everything, since)

    async def balance(self, name: str) -> Balance:
        """Read a scope's account; `name` as `gateway.customers.scopes` makes it."""
        account = self._store.keyspace.partition_of(name).scope_account(name)
        reply = await self._store.command("HGETALL", account)
        anchor = self._scopes.named(name).anchor
        windows = self._directory.calendar.at(self._clock.now_ms(), anchor)
        return Balance.of(dict(zip(reply[::2], reply[1::2], strict=True)), windows.ids)

    async def limit_changed(self, before: Scope, after: Scope) -> None:
        """Count what a lowered limit has left beyond it, as ``lowered.lua`` does of customers.

        It is told to people and decides nothing: a call that ends meanwhile may be missing.
        """
        balance, now_ms = await self.balance(after.name), self._clock.now_ms()
        lowered = self._beyond(after, balance, now_ms) - self._beyond(before, balance, now_ms)
        if lowered > 0:
            account = self._store.keyspace.partition_of(after.name).scope_account(after.name)
            await self._store.command("HINCRBY", account, "over.limit", lowered)

    def _beyond(self, scope: Scope, balance: Balance, now_ms: int) -> int:
        terms = scope.terms(self._directory.calendar, now_ms)
        rooms = rooms_of("", terms, balance, self._rules.count)
        return max((-room.left_pico for room in rooms if room.left_pico < 0), default=0)

    async def _held(self, hold: Hold, scope: Scope, asked: Bound, since: int) -> ScopeHold:
        bound = replace(asked, wanted_pico=hold.amount_pico)
        outcome, held = await self._ask(hold.request_id, scope, bound, since)
        if outcome is Outcome.HELD:
            return held
        if outcome is Outcome.DUPLICATE:
            raise LedgerUnavailable(f"Request {hold.request_id} has ended already.")
        raise refused(
            Refusal(
                customer=hold.profile.identifier,
                terms=held.terms,
                spent_period_pico=held.spent_period_pico,
                spent_total_pico=held.spent_total_pico,
                held_pico=held.held_pico,
                needed_pico=bound.least_pico,
                scope=scope,
            ),
            in_flight=outcome is Outcome.IN_FLIGHT,
        )

    async def _ask(
        self, request_id: str, scope: Scope, bound: Bound, since: int
    ) -> tuple[Outcome, ScopeHold]:
        """HELD, EXCEEDED, IN_FLIGHT or DUPLICATE, and how the account stood before."""
        home = self._store.keyspace.partition_of(scope.name)
        now_ms = self._clock.now_ms()
        for _ in range(TRIES_MAX):
            terms = scope.terms(self._directory.calendar, now_ms)
            code, granted, in_period, total, before, now_ms = await self._store.script(
                "scope_hold",
                [
                    home.scope_account(scope.name),
                    home.scope_holds,
                    home.scope_tombstones(hour_of(request_id)),
                ],
                [
                    scope.name,
                    request_id,
                    bound.wanted_pico,
                    bound.least_pico,
                    bound.share,
                    terms.windows.from_ms,
                    terms.windows.until_ms,
                    terms.windows.ids,
                    *terms.told,
                    self._rules.count,
                    scope.anchor_text,
                ],
                since=since,
            )
            if code != Outcome.STALE:
                held = ScopeHold(
                    scope=scope,
                    terms=terms,
                    amount_pico=int(granted),
                    spent_period_pico=int(in_period),
                    spent_total_pico=int(total),
                    held_pico=int(before),
                )
                return Outcome(code), held
        raise LedgerUnavailable("The store's clock does not agree with itself.")
