"""Groups and apps on a real store, with the part of the flusher that serves them."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.customers.profile import Limits
from gateway.customers.scopes import Scopes
from gateway.customers.windows import Calendar
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold, Ledger
from gateway.metering.reader import Reader
from gateway.metering.scope_sink import ScopeSink
from tests.support.ledgers import UTC, Bench, bench

SALES = Limits(period_budget_pico=100)


@dataclass
class Shared:
    """A ledger with groups and apps, and the part of the flusher that serves them."""

    bench: Bench
    sink: ScopeSink
    reader: Reader

    @property
    def ledger(self) -> Ledger:
        return self.bench.ledger

    async def hold(
        self, customer: str, amount: int | Bound, group: str | None = "sales", app: str = "app"
    ) -> Hold:
        change = {} if group is None else {"group_identifier": group}
        return await self.bench.hold(customer, amount, app=app, **change)

    async def flush(self) -> None:
        partitions = self.bench.store.keyspace.partitions
        while True:
            places = await self.sink.cursors(partitions)
            starts = [(p, c) for p, c in zip(partitions, places, strict=True) if c is not None]
            tails = list((await self.reader.read(starts)).values())
            if not tails:
                return
            await self.sink.take(tails)

    async def late(self, hold: Hold) -> None:
        """Ask the scopes of a hold once more, whatever became of it."""
        again = replace(hold, scopes=())
        since = self.bench.store.changes
        await self.ledger.scopes.hold(again, Bound.all_of(hold.amount_pico), since=since)

    async def account(self, scope: str = "group:sales") -> tuple[int, int]:
        """Spent and held."""
        balance = await self.ledger.scope_balance(scope)
        return balance.spent.charge_pico, balance.held_pico


@asynccontextmanager
async def shared(url: str, groups=None, apps=None, anchors=None, **options):
    scopes = Scopes({"sales": SALES} if groups is None else groups, apps, anchors)
    async with bench(url, scopes=scopes, **options) as b:
        count = options.get("count", "charge")
        sink = ScopeSink(b.store, Calendar(UTC), b.clock, scopes, count)
        yield Shared(b, sink, Reader(b.store))
