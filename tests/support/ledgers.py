"""A ledger on a real store, in one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from gateway.clock import Clock, SystemClock
from gateway.customers.directory import Directory
from gateway.customers.profile import Limits
from gateway.customers.windows import Calendar
from gateway.event import Kind, UsageEvent, decode
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold, Ledger
from gateway.ledger.requests import new_request_id
from gateway.ledger.sweeper import Sweeper
from gateway.store.client import Store

UTC = ZoneInfo("UTC")


@dataclass
class Bench:
    """A ledger and what it stands on, with shorthands for tests."""

    store: Store
    directory: Directory
    ledger: Ledger
    sweeper: Sweeper
    clock: Clock

    async def hold(
        self,
        customer: str,
        amount: int | Bound,
        *,
        request_id: str = "",
        app: str = "app",
        **change,
    ) -> Hold:
        request_id = request_id or new_request_id(self.clock.now_ms())
        bound = amount if isinstance(amount, Bound) else Bound.all_of(amount)
        opening = UsageEvent(request_id=request_id, kind=Kind.ORPHAN, at_ms=self.clock.now_ms())
        return await self.ledger.hold(
            request_id,
            customer,
            app=app,
            change=change,
            bound=lambda _: bound,
            opening=lambda profile: replace(opening, app=app, group=profile.group).details(),
        )

    async def settle(self, hold: Hold, charge: int, cost: int | None = None) -> None:
        await self.ledger.settle(hold, self.event(hold, charge, cost))

    async def release(self, hold: Hold) -> None:
        await self.ledger.release(hold, replace(self.event(hold, 0), kind=Kind.RELEASE))

    def event(self, hold: Hold, charge: int, cost: int | None = None) -> UsageEvent:
        return UsageEvent(
            request_id=hold.request_id,
            kind=Kind.SETTLE,
            at_ms=self.clock.now_ms(),
            app=hold.app,
            group=hold.group,
            hold_pico=hold.amount_pico,
            charge_pico=charge,
            cost_pico=charge if cost is None else cost,
        )

    async def lapse(self, hold: Hold) -> int:
        """Let the lease of a hold run out, and sweep; how many holds were expired."""
        await self.store.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        return await self.sweeper.step()

    async def command(self, *parts):
        return await self.store.command(*parts)

    async def events(self, customer: str) -> list[UsageEvent]:
        entries = await self.store.command(
            "XRANGE", self.directory.partition_of(customer).stream, "-", "+"
        )
        return [decode(dict(zip(e[::2], e[1::2], strict=True))) for _, e in entries]

    async def spent(self, customer: str) -> int:
        profile = await self.directory.load(customer)
        return (await self.ledger.balance(profile)).spent.charge_pico

    async def held(self, customer: str) -> int:
        profile = await self.directory.load(customer)
        return (await self.ledger.balance(profile)).held_pico


@asynccontextmanager
async def bench(
    url: str,
    *,
    defaults: Limits | None = None,
    zone: ZoneInfo = UTC,
    clock: Clock | None = None,
    **options,
) -> AsyncIterator[Bench]:
    store = Store(url)
    await store.connect()
    clock = clock or SystemClock()
    directory = Directory(
        store, defaults=defaults or Limits(), calendar=Calendar(zone), clock=clock
    )
    ledger = Ledger(store, directory, clock, **options)
    try:
        yield Bench(store, directory, ledger, Sweeper(store), clock)
    finally:
        await store.close()
