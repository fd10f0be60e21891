"""A ledger on a real store, in one line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from gateway.clock import Clock, SystemClock
from gateway.customers.directory import Directory
from gateway.customers.profile import Limits
from gateway.customers.windows import Calendar
from gateway.event import Kind, UsageEvent, decode
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold, Ledger
from gateway.ledger.requests import new_request_id
from gateway.ledger.sweeper import Sweeper
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import SoFar
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
        key: Any = None,
        **change,
    ) -> Hold:
        request_id = request_id or new_request_id(self.clock.now_ms())
        bound = amount if isinstance(amount, Bound) else Bound.all_of(amount)
        opening = UsageEvent(request_id=request_id, kind=Kind.ORPHAN, at_ms=self.clock.now_ms())
        return await self.ledger.hold(
            request_id,
            customer,
            app=app,
            key=key,
            change=change,
            bound=lambda _: bound,
            opening=lambda profile: replace(
                opening, app=app, group=profile.group, key=key.identifier if key else None
            ).details(),
        )

    async def sent(self, hold: Hold, so_far: int) -> None:
        """The call goes upstream; it costs `so_far` if nothing more is seen of it."""
        await self.ledger.sent(_so_far(hold, so_far))

    def progress(self, hold: Hold, so_far: int) -> None:
        self.ledger.progress(hold, _so_far(hold, so_far))

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
            key=hold.key.identifier if hold.key else None,
            hold_pico=hold.amount_pico,
            charge_pico=charge,
            cost_pico=charge if cost is None else cost,
        )

    async def lapse(self, hold: Hold) -> int:
        """Let the lease of a hold run out, and sweep; how many holds were expired."""
        await self.store.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        return await self.sweeper.step()

    async def told(self, seconds_max: float = 10) -> None:
        """Until the store has heard of every end."""
        async with asyncio.timeout(seconds_max):
            while self.ledger.endings.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def command(self, *parts):
        return await self.store.command(*parts)

    async def events(self, customer: str) -> list[UsageEvent]:
        entries = await self.store.command(
            "XRANGE", self.directory.partition_of(customer).stream, "-", "+"
        )
        return [decode(e) for _, e in entries]

    async def spent(self, customer: str) -> int:
        profile = await self.directory.load(customer)
        return (await self.ledger.balance(profile)).spent.charge_pico

    async def held(self, customer: str) -> int:
        profile = await self.directory.load(customer)
        return (await self.ledger.balance(profile)).held_pico


def _so_far(hold: Hold, amount: int) -> SoFar:
    return SoFar(
        request_id=hold.request_id,
        charge_pico=amount,
        cost_pico=amount,
        hold_pico=hold.amount_pico,
        markup_ppm=0,
        input_tokens=1,
        output_tokens=0,
    )


class Killed(Exception):
    """Raise it in a bench: its process dies there, and nothing of it is closed."""


@asynccontextmanager
async def bench(
    url: str,
    *,
    defaults: Limits | None = None,
    zone: ZoneInfo = UTC,
    clock: Clock | None = None,
    whole: bool = False,
    wal: Path | None = None,
    **options,
) -> AsyncIterator[Bench]:
    """Connect a ledger to the store at `url`.

    Args:
        whole: With all of a gateway's loops; else only with the one that tells the store
            what it could not be told at once.
        wal: The folder of its log, which is then taken over from whoever died there.
    """
    store = Store(url)
    await store.connect()
    clock = clock or SystemClock()
    directory = Directory(
        store,
        defaults=defaults or Limits(),
        calendar=Calendar(zone),
        clock=clock,
        count=options.get("count", "charge"),
    )
    log = Log(wal) if wal else None
    ledger = Ledger(store, directory, clock, wal=log, **options)
    await ledger.open()
    loops = ledger.run() if whole else ledger.endings.run()
    work = asyncio.create_task(loops)
    try:
        yield Bench(store, directory, ledger, Sweeper(store), clock)
    except Killed:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        if log:
            log.abandon()
    else:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await ledger.close()
    finally:
        work.cancel()
        await store.close()
