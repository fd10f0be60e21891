"""A group over several partitions against a model: whatever happens in whatever order."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.customers.profile import Limits
from gateway.customers.scopes import Scopes
from gateway.customers.windows import Calendar
from gateway.errors import BudgetExceeded, BudgetInFlight, LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold
from gateway.ledger.requests import new_request_id
from gateway.metering.reader import Reader
from gateway.metering.scope_sink import ScopeSink
from tests.gateway.ledger.scopes import Shared, shared
from tests.support.ledgers import UTC
from tests.support.sizes import sized
from tests.support.stores import empty

GROUPS = {"even": Limits(period_budget_pico=100), "odd": Limits(total_budget_pico=2**60)}
APPS = {"bot": Limits(period_budget_pico=150)}
SCOPES = ("group:even", "group:odd", "app:bot")
CUSTOMERS = st.integers(0, 5)
AMOUNTS = st.one_of(st.integers(0, 60), st.integers(2**53 - 2, 2**54))
TERMINAL = {Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.ORPHAN}


def scopes_of(event: UsageEvent) -> set[str]:
    return {f"group:{event.group}"} | ({"app:bot"} if event.app == "bot" else set())


class ScopesMachine(RuleBasedStateMachine):
    """Two flushers of which any may lag, die or repeat; holds that come late; orphans."""

    url: str
    holds = Bundle("holds")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        empty(self.url)
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        entering = self.stack.enter_async_context(shared(self.url, GROUPS, APPS))
        self.shared: Shared = self.run(entering)
        self.bench = self.shared.bench
        self.sinks = [self.fresh_sink() for _ in range(2)]
        self.reader = Reader(self.bench.store)
        self.open: dict[str, Hold] = {}

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def teardown(self) -> None:
        for request_id in list(self.open):
            self.run(self.bench.settle(self.open.pop(request_id), 1))
        self.run(self.shared.flush())
        truth = self.truth()
        for scope in SCOPES:
            assert (truth[scope], 0) == self.run(self.shared.account(scope)), scope
        self.run(self.stack.aclose())
        self.loop.close()

    def fresh_sink(self) -> ScopeSink:
        scopes = Scopes(GROUPS, APPS)
        return ScopeSink(self.bench.store, Calendar(UTC), self.bench.clock, scopes)

    def events(self) -> list[UsageEvent]:
        customers = {self.bench.directory.partition_of(f"c{n}"): f"c{n}" for n in range(6)}
        return [e for name in customers.values() for e in self.run(self.bench.events(name))]

    def truth(self) -> dict[str, int]:
        events = self.events()
        return {s: sum(e.charge_pico for e in events if s in scopes_of(e)) for s in SCOPES}

    @rule(target=holds, n=CUSTOMERS, wanted=AMOUNTS, part=st.integers(1, 3), bot=st.booleans())
    def hold(self, n: int, wanted: int, part: int, bot: bool) -> Hold | None:
        least = -(-wanted // part)
        group, app = ("odd" if n % 2 else "even"), ("bot" if bot else "app")
        names = [f"group:{group}", *(["app:bot"] if bot else [])]
        before = {name: self.run(self.shared.account(name)) for name in names}
        try:
            hold: Hold = self.run(self.shared.hold(f"c{n}", Bound(wanted, least), group, app))
        except (BudgetExceeded, BudgetInFlight):
            return None
        self.open[hold.request_id] = hold
        for name, (spent, held) in before.items():
            limits = GROUPS[group] if name.startswith("group") else APPS["bot"]
            limit = limits.period_budget_pico or limits.total_budget_pico
            assert limit is not None
            assert wanted == 0 or spent + held + hold.amount_pico <= limit
        return hold

    @rule(target=ended, hold=consumes(holds), share=st.integers(0, 3))
    def settle(self, hold: Hold | None, share: int) -> Hold | None:
        """Of nothing, of a part of the hold, of more than it."""
        if hold is not None:
            self.run(self.bench.settle(hold, hold.amount_pico * share // 2))
            del self.open[hold.request_id]
        return hold

    @rule(target=ended, hold=consumes(holds))
    def release(self, hold: Hold | None) -> Hold | None:
        if hold is not None:
            self.run(self.bench.release(hold))
            del self.open[hold.request_id]
        return hold

    @rule(target=ended, hold=consumes(holds))
    def expire(self, hold: Hold | None) -> Hold | None:
        if hold is not None:
            assert 1 == self.run(self.bench.lapse(hold))
            del self.open[hold.request_id]
        return hold

    @rule(hold=ended, charge=st.integers(0, 60))
    def settle_after_the_end(self, hold: Hold | None, charge: int) -> None:
        if hold is not None:
            self.run(self.bench.settle(hold, charge))

    @rule(hold=ended, flushed=st.booleans())
    def hold_late(self, hold: Hold | None, flushed: bool) -> None:
        """A scope's hold that was delayed: taken off by its end, or refused because of it."""
        if hold is not None and hold.amount_pico:
            if flushed:
                self.flush(0)
            try:
                self.run(self.shared.late(hold))
            except (BudgetExceeded, BudgetInFlight, LedgerUnavailable):
                return

    @rule(n=CUSTOMERS, charge=AMOUNTS, bot=st.booleans())
    def report(self, n: int, charge: int, bot: bool) -> None:
        now_ms = self.bench.clock.now_ms()
        event = UsageEvent(
            request_id=new_request_id(now_ms),
            kind=Kind.EVENT,
            at_ms=now_ms,
            charge_pico=charge,
            app="bot" if bot else "app",
        )
        self.run(
            self.bench.ledger.record(
                f"c{n}", lambda _: event, idempotency_key=None, fingerprint="f"
            )
        )

    @rule(which=st.integers(0, 1))
    def flush(self, which: int) -> None:
        self.run(self.step(self.sinks[which]))

    @rule(which=st.integers(0, 1))
    def flush_what_is_read_already(self, which: int) -> None:
        """A zombie: what it read, another has taken meanwhile."""
        tails = self.run(self.read(self.sinks[which]))
        self.run(self.step(self.sinks[1 - which]))
        if tails:
            self.run(self.sinks[which].take(tails))

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        self.sinks[which] = self.fresh_sink()

    @rule(which=st.integers(0, 1))
    def read_again(self, which: int) -> None:
        """As after a change of the store: from ten minutes before, everything once more."""
        self.sinks[which].store_changed()
        self.run(self.step(self.sinks[which]))

    async def read(self, sink: ScopeSink):
        partitions = self.bench.store.keyspace.partitions
        places = await sink.cursors(partitions)
        starts = [(p, c) for p, c in zip(partitions, places, strict=True) if c is not None]
        return list((await self.reader.read(starts)).values())

    async def step(self, sink: ScopeSink) -> None:
        if tails := await self.read(sink):
            await sink.take(tails)

    @invariant()
    def every_call_ends_once(self) -> None:
        ended = [e.request_id for e in self.events() if e.kind in TERMINAL]
        assert len(ended) == len(set(ended))

    @invariant()
    def what_passes_a_limit_has_a_cause(self) -> None:
        for scope in SCOPES:
            balance = self.run(self.bench.ledger.scope_balance(scope))
            kind, _, name = scope.partition(":")
            limits = GROUPS[name] if kind == "group" else APPS[name]
            limit = limits.period_budget_pico or limits.total_budget_pico
            assert limit is not None
            beyond = balance.over_settle_pico + balance.over_event_pico
            assert balance.spent.charge_pico + balance.held_pico <= limit + beyond

    @precondition(lambda self: self.open)
    @invariant()
    def what_runs_is_held(self) -> None:
        """No flusher takes off what has not ended."""
        for scope in SCOPES:
            _, held = self.run(self.shared.account(scope))
            running = [h for hold in self.open.values() for h in hold.scopes]
            assert sum(h.amount_pico for h in running if h.scope.name == scope) <= held


@pytest.mark.parametrize(
    "examples", [10, pytest.param(sized(100, full=500), marks=pytest.mark.slow)]
)
def test_the_accounts_of_groups_agree_with_the_model(url: str, examples: int) -> None:
    """Never admitted beyond a limit; spent = Σ events that name it; nothing held at the end."""
    machine = type("Machine", (ScopesMachine,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
