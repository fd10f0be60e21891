"""The scripts against a model: whatever is done in whatever order, the ledger adds up."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.errors import BudgetExceeded, BudgetInFlight, Conflict, LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.ledger import Hold
from gateway.ledger.requests import new_request_id
from tests.support.ledgers import bench
from tests.support.stores import empty

CUSTOMER = "acme"
AMOUNTS = st.one_of(
    st.integers(0, 10),
    st.integers(2**53 - 3, 2**53 + 3),
    st.integers(0, 2**56),
    st.sampled_from([10**9 - 1, 10**9, 10**9 + 1, 10**18 // 9]),
)
LIMITS = st.one_of(st.none(), st.integers(0, 20), st.integers(2**53 - 2, 2**60))
TERMINAL = (Kind.SETTLE, Kind.RELEASE, Kind.ORPHAN)


class LedgerMachine(RuleBasedStateMachine):
    """A dict of holds and two sums are the whole model."""

    url: str
    holds = Bundle("holds")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        empty(self.url)
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.bench = self.run(self.stack.enter_async_context(bench(self.url)))
        self.limit: int | None = None
        self.open: dict[str, int] = {}
        self.orphans: dict[str, int] = {}
        self.spent = 0

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    @initialize(limit=LIMITS)
    def begin(self, limit: int | None) -> None:
        self.change_limit(limit)

    @rule(limit=LIMITS)
    def change_limit(self, limit: int | None) -> None:
        self.limit = limit
        try:
            self.run(self.bench.directory.create(CUSTOMER, {"total_budget": limit}))
        except Conflict:
            self.run(self.bench.directory.change(CUSTOMER, {"total_budget": limit}))

    @rule(target=holds, amount=AMOUNTS)
    def hold(self, amount: int) -> Hold | None:
        room = None if self.limit is None else self.limit - self.spent
        held = sum(self.open.values())
        try:
            hold: Hold = self.run(self.bench.hold(CUSTOMER, amount))
        except BudgetExceeded:
            assert room is not None
            assert 0 < amount > room
            return None
        except BudgetInFlight:
            assert room is not None
            assert room >= amount > room - held
            return None
        assert amount == 0 or room is None or amount <= room - held
        self.open[hold.request_id] = amount
        return hold

    @rule(target=ended, hold=consumes(holds), charge=AMOUNTS)
    def settle(self, hold: Hold | None, charge: int) -> Hold | None:
        if hold is not None:
            self.run(self.bench.settle(hold, charge))
            del self.open[hold.request_id]
            self.spent += charge
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
            assert self.run(self.bench.lapse(hold)) == 1
            amount = self.open.pop(hold.request_id)
            self.orphans[hold.request_id] = amount
            self.spent += amount
        return hold

    @rule(hold=ended, charge=AMOUNTS)
    def settle_after_the_end(self, hold: Hold | None, charge: int) -> None:
        """The truth replaces what an expired hold was posted as; all else is a repetition."""
        if hold is None:
            return
        self.run(self.bench.settle(hold, charge))
        if hold.request_id in self.orphans:
            self.spent += charge - self.orphans.pop(hold.request_id)

    @rule(hold=ended)
    def hold_after_the_end(self, hold: Hold | None) -> None:
        """A delayed duplicate of a hold does not land after its own end.

        The attempt has failed, so an orphan that it left behind is taken back.
        """
        if hold is not None:
            with pytest.raises(LedgerUnavailable, match="ended already"):
                self.run(self.bench.hold(CUSTOMER, hold.amount_pico, request_id=hold.request_id))
            self.spent -= self.orphans.pop(hold.request_id, 0)

    @rule(charge=AMOUNTS, key=st.sampled_from(["a", "b", None]))
    def report(self, charge: int, key: str | None) -> None:
        receipt = self.run(
            self.bench.ledger.record(
                CUSTOMER,
                lambda _: self.reported(charge),
                idempotency_key=key,
                fingerprint="f",
            )
        )
        if receipt.outcome == "accepted":
            self.spent += charge

    def reported(self, charge: int):
        return UsageEvent(
            request_id=new_request_id(self.bench.clock.now_ms()),
            kind=Kind.EVENT,
            at_ms=self.bench.clock.now_ms(),
            charge_pico=charge,
            cost_pico=charge,
        )

    @invariant()
    def adds_up(self) -> None:
        events = self.run(self.bench.events(CUSTOMER))
        assert self.spent == self.run(self.bench.spent(CUSTOMER))
        assert self.spent == sum(e.charge_pico for e in events)
        assert sum(self.open.values()) == self.run(self.bench.held(CUSTOMER))
        terminal = [e.request_id for e in events if e.kind in TERMINAL]
        assert len(terminal) == len(set(terminal))

    @invariant()
    def every_hold_has_a_lease(self) -> None:
        partition = self.bench.directory.partition_of(CUSTOMER)
        held = self.run(self.bench.command("HKEYS", partition.holds))
        leased = self.run(self.bench.command("ZRANGE", partition.expiries, 0, -1))
        assert set(self.open) == {i.decode() for i in held} == {i.decode() for i in leased}


def test_the_scripts_agree_with_the_model(url: str) -> None:
    """Held = Σ holds, spent = Σ events, one end per call, and no admission beyond a limit."""
    machine = type("Machine", (LedgerMachine,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
