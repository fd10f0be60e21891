"""A simulated gateway process: the real ledger, and calls that live as the pipeline's do."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from gateway.customers.directory import Directory
from gateway.customers.profile import Limits, Profile
from gateway.customers.scopes import Scopes
from gateway.customers.windows import Calendar
from gateway.errors import CallerError, LedgerUnavailable
from gateway.event import Kind, Status, UsageEvent, details_of
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Hold, Ledger, Recorded
from gateway.ledger.requests import new_request_id
from gateway.ledger.rules import Rules
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import SoFar
from gateway.store.client import Store
from tests.simulator.network import Network
from tests.simulator.oracle import Call, Oracle
from tests.simulator.process import Process
from tests.simulator.virtual_time import VirtualClock

UTC = ZoneInfo("UTC")


class SimulatedStore(Store):
    """The real one, on a network of ours."""

    def __init__(self, network: Network) -> None:
        super().__init__("unix:///nowhere")
        for link in self._way.links:
            assert hasattr(link._wire, "_locate"), "the seam has moved"
            link._wire._locate = network.locate  # type: ignore[assignment]

    def beat(self) -> None:
        """Ask whether the server is the same, as every second without being told."""
        for link in self._way.links:
            link._beat_due = True
            link._wake.set()

    def stop_timers(self) -> None:
        for link in self._way.links:
            if link._timer is not None:
                link._timer.cancel()


@dataclass(frozen=True)
class Plan:
    """What is to become of a call, should nothing come in between.

    Attributes:
        fate: `served`; `unsent`: the upstream was never reached; `left`: its client leaves
            while it is being held or served.
        change: What it says of its customer.
        charge, cost: What it truly comes to, once it is sent.
    """

    customer: str
    app: str
    change: Mapping[str, str]
    bound: Bound
    charge: int
    cost: int
    seconds: float
    fate: str
    patience: float


class Gateway(Process):
    def __init__(
        self,
        name: str,
        network: Network,
        *,
        clock: VirtualClock,
        oracle: Oracle,
        random: Random,
        rules: Rules,
        scopes: Scopes,
        folder: Path | None,
    ) -> None:
        super().__init__(name, network)
        self._folder = folder
        self.rules = rules
        self.scopes = scopes
        self.clock = clock
        self.oracle = oracle
        self.random = random
        self.open: set[asyncio.Task[None]] = set()
        self.managing = 0

    def stop_timers(self) -> None:
        self.store.stop_timers()

    def beat(self) -> None:
        self.store.beat()

    def kill(self) -> None:
        if self.wal is not None:
            self.wal.abandon()
            self.wal.flush = _nothing  # type: ignore[method-assign]
        super().kill()

    @property
    def is_busy(self) -> bool:
        return bool(self.open or self.ledger.endings.waiting)

    @property
    def token(self) -> str:
        """Its name in the list of gateways."""
        return self.ledger.continuity._gateway

    @property
    def told(self) -> str | None:
        """The store that it has last told what it lacked."""
        return self.ledger.continuity._identity

    @property
    def has_passed_unheld(self) -> bool:
        """The ends of such calls make their customers anew."""
        return self.ledger.unheld.passed > 0

    def live(self) -> Iterable[Hold]:
        """The calls that it serves."""
        return self.ledger._leases.live()

    async def start(self) -> None:
        self.wal = Log(self._folder) if self._folder else None
        self.store = SimulatedStore(self.network)
        await self.store.connect()
        self.directory = Directory(
            self.store, defaults=Limits(), calendar=Calendar(UTC), clock=self.clock
        )
        self.ledger = Ledger(
            self.store,
            self.directory,
            self.clock,
            count=self.rules.count,
            orphans=self.rules.orphans,
            scopes=self.scopes,
            wal=self.wal,
        )
        await self.ledger.open()
        self.spawn(self.ledger.run())

    def take(self, plan: Plan) -> None:
        """Begin a call; its client may leave."""
        call = self.spawn(self._serve(plan))
        self._keep(call)
        if plan.fate == "left":
            asyncio.get_running_loop().call_later(plan.patience, call.cancel)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self.open.add(task)
        task.add_done_callback(self.open.discard)

    async def _serve(self, plan: Plan) -> None:
        request_id = new_request_id(self.clock.now_ms())
        call = self.oracle.call(request_id, plan.customer, self.name)
        try:
            hold = await self._hold(plan, request_id)
        except CallerError as exc:
            if not exc.recorded:
                self._conclude(self._refuse(plan.customer, request_id, exc))
            return
        except LedgerUnavailable:
            return
        call.asked = 0
        try:
            if plan.fate != "unsent":
                call.sent, call.asked, call.cost = True, plan.charge, plan.cost
                await self._note_so_far(call, hold, plan.bound.input_pico)
            await asyncio.sleep(plan.seconds / 2)
            if call.sent:
                await self._note_so_far(call, hold, plan.charge // 2)
            await asyncio.sleep(plan.seconds / 2)
        finally:
            if self.alive:
                await asyncio.shield(self._conclude(self._end(call, hold)))

    async def _hold(self, plan: Plan, request_id: str) -> Hold:
        def opening(profile: Profile) -> bytes:
            known = {"at_ms": self.clock.now_ms(), "app": plan.app, "group": profile.group}
            return details_of(known)

        return await self.ledger.hold(
            request_id,
            plan.customer,
            app=plan.app,
            change=plan.change,
            bound=lambda _: plan.bound,
            opening=opening,
        )

    def _conclude(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.spawn(work)
        self._keep(task)
        return task

    async def _note_so_far(self, call: Call, hold: Hold, charge: int) -> None:
        """What the call costs should nothing more be heard of it; never more than is held."""
        charge = min(charge, hold.amount_pico)
        call.so_far.append(charge)
        so_far = SoFar(
            request_id=hold.request_id,
            charge_pico=charge,
            cost_pico=charge,
            hold_pico=hold.amount_pico,
            markup_ppm=0,
            input_tokens=0,
            output_tokens=0,
        )
        if len(call.so_far) == 1:
            await self.ledger.sent(so_far)
        else:
            self.ledger.progress(hold, so_far)

    async def _end(self, call: Call, hold: Hold) -> None:
        charge = call.asked or 0
        event = UsageEvent(
            request_id=hold.request_id,
            kind=Kind.SETTLE if call.sent else Kind.RELEASE,
            at_ms=self.clock.now_ms(),
            app=hold.app,
            group=hold.group,
            hold_pico=hold.amount_pico,
            charge_pico=charge,
            cost_pico=call.cost,
            status=Status.OK if call.sent else Status.ERROR,
        )
        await self.ledger.note(hold, event)
        call.noted = True
        await (self.ledger.settle if call.sent else self.ledger.release)(hold, event)

    async def _refuse(self, customer: str, request_id: str, error: CallerError) -> None:
        event = UsageEvent(
            request_id=request_id,
            kind=Kind.REFUSE,
            at_ms=self.clock.now_ms(),
            status=Status.REJECTED,
            error_code=error.code,
        )
        with suppress(LedgerUnavailable):
            await self.ledger.refuse(customer, event)

    def report(self, customer: str, key: str, charge: int, app: str) -> None:
        """Send a usage event under a key, until there is a receipt."""
        self._keep(self.spawn(self._report(customer, key, charge, app)))

    async def _report(self, customer: str, key: str, charge: int, app: str) -> None:
        report = self.oracle.report(customer, key, charge)
        while not report.received:
            with suppress(LedgerUnavailable):
                receipt = await self.ledger.record(
                    customer, self._reported(charge, app), idempotency_key=key, fingerprint="f"
                )
                report.received = receipt.outcome in (Recorded.ACCEPTED, Recorded.DUPLICATE)
            await asyncio.sleep(self.random.random())

    def _reported(self, charge: int, app: str):
        event = UsageEvent(
            request_id=new_request_id(self.clock.now_ms()),
            kind=Kind.EVENT,
            at_ms=self.clock.now_ms(),
            app=app,
            charge_pico=charge,
            cost_pico=charge,
        )
        return lambda _: event

    def set_limits(self, customer: str, limits: dict[str, Any]) -> None:
        """A change by management, somewhere in between."""
        self._keep(self.spawn(self._set_limits(customer, limits)))

    async def _set_limits(self, customer: str, limits: dict[str, Any]) -> None:
        self.managing += 1
        with suppress(LedgerUnavailable, CallerError):
            profile = await self.directory.load(customer)
            write = self.directory.change if profile.version else self.directory.create
            await write(customer, limits)
        self.managing -= 1


def _nothing() -> None:
    """What a dead process does."""
