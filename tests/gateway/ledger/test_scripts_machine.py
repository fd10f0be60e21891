"""The scripts against a model: whatever is done in whatever order, the ledger adds up."""

import asyncio
from contextlib import AsyncExitStack, suppress

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
from msgspec.structs import replace

from gateway.errors import BudgetExceeded, BudgetInFlight, Conflict, LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold
from gateway.ledger.requests import new_request_id
from tests.support.books import differences
from tests.support.ledger_model import IN_FLIGHT, REFUSED, Model
from tests.support.ledgers import bench
from tests.support.sizes import sized
from tests.support.stores import empty

CUSTOMERS = st.sampled_from(["acme", "globex", "~anonymous"])
AMOUNTS = st.one_of(
    st.integers(0, 10),
    st.integers(2**53 - 3, 2**53 + 3),
    st.integers(0, 2**56),
    st.integers(8 * 10**18 - 5, 8 * 10**18),
    st.sampled_from([10**14 - 1, 10**14, 10**14 + 1, 10**15 - 1, 10**15, 10**18 // 9]),
)
LIMITS = st.one_of(st.none(), st.integers(0, 20), st.integers(2**53 - 2, 9 * 10**18))
TERMINAL = (Kind.SETTLE, Kind.RELEASE, Kind.ORPHAN)
TWO_DAYS_MS = 49 * 3_600_000


@st.composite
def bounds(draw) -> Bound:
    wanted = draw(AMOUNTS)
    if not wanted:
        return Bound(0, 0)
    least = draw(st.integers(1, wanted) | st.just(wanted))
    return Bound(wanted, least, draw(st.integers(1, 3)), draw(st.integers(0, least)))


class LedgerMachine(RuleBasedStateMachine):
    url: str
    holds = Bundle("holds")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        empty(self.url)
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.bench = self.run(self.stack.enter_async_context(bench(self.url, orphans="progress")))
        self.model = Model()

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def teardown(self) -> None:
        """Whatever was done, `farebox ledger verify` finds nothing, in no window either."""
        found = [d for name in self.model.accounts for d in self.run(differences(self.bench, name))]
        self.run(self.stack.aclose())
        self.loop.close()
        assert [] == found

    @initialize(total=LIMITS, period=LIMITS)
    def begin(self, total: int | None, period: int | None) -> None:
        self.change_limits("acme", total, period)

    @rule(customer=CUSTOMERS, total=LIMITS, period=LIMITS)
    def change_limits(self, customer: str, total: int | None, period: int | None) -> None:
        change = {"total_budget": total, "period_budget": period}
        with suppress(Conflict):
            self.run(self.bench.directory.create(customer, {}))
        self.run(self.bench.directory.change(customer, change))
        if customer != "~anonymous":
            self.model.change_limits(customer, (total, period))

    @rule(customer=CUSTOMERS, bound=bounds(), total=LIMITS)
    def hold_and_change_limits(self, customer: str, bound: Bound, total: int | None) -> None:
        """What a call says of its customer counts, whether it is admitted or not."""
        if customer == "~anonymous":
            return
        with suppress(Conflict):
            self.run(self.bench.directory.create(customer, {}))
        self.run(self.bench.directory.change(customer, {"total_budget": None}))
        period = self.model.account(customer).limits[1]
        self.model.change_limits(customer, (None, period))
        self.model.change_limits(customer, (total, period))
        expected = self.model.grant(customer, bound)
        with suppress(BudgetExceeded, BudgetInFlight):
            hold = self.run(self.bench.hold(customer, bound, total_budget=total))
            assert expected == hold.amount_pico
            self.model.held(customer, hold.request_id, bound)

    @rule(target=holds, customer=CUSTOMERS, bound=bounds())
    def hold(self, customer: str, bound: Bound) -> Hold | None:
        expected = self.model.grant(customer, bound)
        try:
            hold: Hold = self.run(self.bench.hold(customer, bound))
        except BudgetExceeded:
            assert expected is REFUSED
            return None
        except BudgetInFlight:
            assert expected is IN_FLIGHT
            return None
        assert expected == hold.amount_pico
        self.model.held(customer, hold.request_id, bound)
        return hold

    @rule(hold=holds)
    def hold_again(self, hold: Hold | None) -> None:
        """A repeated hold is the one that is there, whatever else has been taken since."""
        if hold is not None:
            name = hold.profile.identifier
            again = self.run(self.bench.hold(name, hold.wanted_pico, request_id=hold.request_id))
            assert hold.amount_pico == again.amount_pico

    @rule(hold=holds, so_far=AMOUNTS)
    def renew(self, hold: Hold | None, so_far: int) -> None:
        if hold is not None:
            self.bench.progress(hold, so_far)
            self.run(self.bench.ledger.renew())
            self.model.progress(hold.request_id, so_far)

    @rule(hold=holds)
    def lose_and_restore(self, hold: Hold | None) -> None:
        """The store comes back without the hold; it is put back, whatever the limits."""
        if hold is None:
            return
        account = hold.partition.account(hold.profile.number)
        name, request_id = hold.profile.identifier, hold.request_id
        held = self.run(self.bench.held(name)) - hold.amount_pico
        for command in (
            ("HSET", account, "held", held),
            ("HDEL", hold.partition.holds, request_id),
            ("ZREM", hold.partition.expiries, request_id),
        ):
            self.run(self.bench.command(*command))
        for _ in range(2):
            assert self.run(self.bench.ledger.restore(hold))

    @rule(target=ended, hold=consumes(holds), charge=AMOUNTS)
    def settle(self, hold: Hold | None, charge: int) -> Hold | None:
        if hold is not None:
            self.run(self.bench.settle(hold, charge))
            self.model.end(hold.request_id, charge)
        return hold

    @rule(target=ended, hold=consumes(holds))
    def release(self, hold: Hold | None) -> Hold | None:
        if hold is not None:
            self.run(self.bench.release(hold))
            self.model.end(hold.request_id, 0)
        return hold

    @rule(target=ended, hold=consumes(holds))
    def expire(self, hold: Hold | None) -> Hold | None:
        if hold is not None:
            assert self.run(self.bench.lapse(hold)) == 1
            self.bench.ledger._leases.end(hold.request_id)
            self.model.expire(hold.request_id)
        return hold

    @rule(hold=ended, charge=AMOUNTS)
    def settle_after_the_end(self, hold: Hold | None, charge: int) -> None:
        """The truth replaces what an expired hold was posted as; all else is a repetition."""
        if hold is not None:
            self.run(self.bench.settle(hold, charge))
            self.model.end(hold.request_id, charge)

    @rule(hold=ended)
    def release_after_the_end(self, hold: Hold | None) -> None:
        if hold is not None:
            self.run(self.bench.release(hold))
            self.model.end(hold.request_id, 0)

    @rule(hold=ended)
    def hold_after_the_end(self, hold: Hold | None) -> None:
        """Neither a delayed duplicate nor a restored hold lands after its own end.

        The attempt has failed, so an orphan that it left behind is taken back.
        """
        if hold is None:
            return
        with pytest.raises(LedgerUnavailable, match="ended already"):
            self.run(self.bench.hold(hold.profile.identifier, 1, request_id=hold.request_id))
        self.model.end(hold.request_id, 0)
        assert not self.run(self.bench.ledger.restore(hold))

    @rule(hold=ended, charge=AMOUNTS)
    def settle_what_nobody_remembers(self, hold: Hold | None, charge: int) -> None:
        """An id of two days ago, never seen: nothing is booked unseen."""
        if hold is not None:
            made_ms = self.bench.clock.now_ms() - TWO_DAYS_MS
            old = replace(hold, request_id=new_request_id(made_ms))
            self.run(self.bench.settle(old, charge))
            self.run(self.bench.release(old))

    @rule(customer=CUSTOMERS, charge=AMOUNTS, key=st.sampled_from(["a", "b", None]))
    def report(self, customer: str, charge: int, key: str | None) -> None:
        receipt = self.run(
            self.bench.ledger.record(
                customer,
                lambda _: self.reported(charge),
                idempotency_key=key,
                fingerprint="f",
            )
        )
        assert self.model.report(customer, key, charge) == (receipt.outcome == "accepted")

    def reported(self, charge: int):
        return UsageEvent(
            request_id=new_request_id(self.bench.clock.now_ms()),
            kind=Kind.EVENT,
            at_ms=self.bench.clock.now_ms(),
            charge_pico=charge,
            cost_pico=charge,
        )

    async def books(self, name: str):
        profile = await self.bench.directory.load(name)
        balance, events = await asyncio.gather(
            self.bench.ledger.balance(profile), self.bench.events(name)
        )
        return balance, [e for e in events if e.customer_number == profile.number]

    @invariant()
    def adds_up(self) -> None:
        for name, account in self.model.accounts.items():
            balance, events = self.run(self.books(name))
            assert account.spent == balance.spent.charge_pico == balance.spent.cost_pico
            assert account.spent == sum(e.charge_pico for e in events)
            assert {account.spent} >= {s.charge_pico for s in balance.by_kind.values()}
            assert sum(h.amount for h in account.holds.values()) == balance.held_pico
            assert account.unresolved == sum(e.unresolved_pico for e in events)
            assert account.over_settle == balance.over_settle_pico
            assert account.over_event == balance.over_event_pico
            assert account.over_limit == balance.over_limit_pico
            terminal = [e.request_id for e in events if e.kind in TERMINAL]
            assert len(terminal) == len(set(terminal))

    @invariant()
    def every_hold_has_a_lease(self) -> None:
        for name, account in self.model.accounts.items():
            partition = self.bench.directory.partition_of(name)
            held = self.run(self.bench.command("HKEYS", partition.holds))
            leased = self.run(self.bench.command("ZRANGE", partition.expiries, 0, -1))
            assert {i.decode() for i in held} == {i.decode() for i in leased}
            assert set(account.holds) == {i.decode() for i in held}


@pytest.mark.parametrize(
    "examples", [10, pytest.param(sized(50, full=100), marks=pytest.mark.slow)]
)
def test_the_scripts_agree_with_the_model(url: str, examples: int) -> None:
    """Held = Σ holds, spent = Σ events, one end per call, and no admission beyond a limit."""
    machine = type("Machine", (LedgerMachine,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
