"""One run: gateways and workers, faults and deaths, all from one seed; then the reckoning.

At every script the books are checked as far as they can be at any moment; once everything
has come to rest, so is what each call was charged, against what really happened to it.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from gateway.customers.windows import Calendar
from gateway.ledger.bounds import Bound
from gateway.ledger.rules import Rules
from gateway.store import keys
from gateway.store.keys import META, Keyspace
from tests.simulator.books import Books
from tests.simulator.gateway import Gateway, Plan
from tests.simulator.network import Faults, Network
from tests.simulator.oracle import Oracle
from tests.simulator.process import Process, task_factory
from tests.simulator.promises import Wrong
from tests.simulator.reckoning import reckon
from tests.simulator.trace import told
from tests.simulator.virtual_server import Edit, Executed, VirtualServer, as_it_is
from tests.simulator.virtual_time import VirtualClock, VirtualLoop, without_threads
from tests.simulator.worker import SimulatedArchive, Worker

UTC = ZoneInfo("UTC")
PARTITIONS = 2
CUSTOMERS = ("ada", "bob", "cyd")
GATEWAYS, WORKERS = 3, 2
SCALES = (1, 1, 10**6, 2**53 // 20, 2**60 // 40)
REST_SECONDS = 60.0
"""Longer than any pause between two tries."""
HEARTBEAT_SECONDS = 10.0
"""Whoever is idle need not say so every second of virtual time."""


@dataclass(frozen=True)
class Outcome:
    """What a run was, and what was wrong with it."""

    seed: int
    steps: int
    problem: str | None
    trace: list[str] = field(repr=False)
    commands: int = 0
    calls: int = 0
    deaths: int = 0


def simulate(url: str, seed: int, steps: int, edit: Edit = as_it_is) -> Outcome:
    """Run `steps` turns of fate on an emptied server; never raises for a broken promise."""
    with TemporaryDirectory(prefix="fb-") as folder:
        return _simulate(url, seed, steps, edit, Path(folder))


def _simulate(url: str, seed: int, steps: int, edit: Edit, folder: Path) -> Outcome:
    loop = VirtualLoop()
    loop.set_task_factory(task_factory)
    random = Random(seed)
    server = VirtualServer(url, VirtualClock(loop), edit)
    simulation = Simulation(server, random, loop, Path(folder))
    loop.set_exception_handler(simulation.hear)
    problem = None
    with ExitStack() as stack:
        stack.callback(server.close)
        stack.callback(loop.close)
        secret = Random(seed)
        stack.enter_context(patch("gateway.store.link.HEARTBEAT_SECONDS", HEARTBEAT_SECONDS))
        stack.enter_context(without_threads(VirtualClock(loop)))
        # A store begins by spelling all the keys that there may be; once is enough.
        stack.enter_context(patch("gateway.store.keys._tag", lru_cache(keys._tag)))
        stack.enter_context(patch("secrets.randbits", secret.getrandbits))
        stack.enter_context(patch("secrets.token_hex", lambda n: secret.randbytes(n).hex()))
        try:
            loop.run_until_complete(simulation.run(steps))
        except Wrong as exc:
            problem = str(exc)
        finally:
            loop.run_until_complete(simulation.bury())
    return Outcome(
        seed,
        steps,
        problem,
        simulation.trace,
        len(simulation.trace),
        len(simulation.oracle.calls),
        simulation.deaths,
    )


class ScriptFailed(Exception):
    """A script raised: it never may."""


class Simulation:
    def __init__(
        self, server: VirtualServer, random: Random, loop: VirtualLoop, folder: Path
    ) -> None:
        self._folder = folder
        self.server = server
        self.random = random
        self.loop = loop
        self.oracle = Oracle()
        self.archive = SimulatedArchive(random)
        self.trace: list[str] = []
        self.deaths = 0
        self.gateways: list[Gateway] = []
        self.workers: list[Worker] = []
        self._born: list[Process] = []
        self._scale = random.choice(SCALES)
        self.is_calm = random.random() < 0.15
        self.has_logs = random.random() < 0.6
        self.rules = Rules(
            count=random.choice(("charge", "charge", "cost")),
            orphans=random.choice(("hold", "input", "progress")),
        )
        self._faults = random.choice(
            (
                Faults(breaks=0.02, stalls=0.01),
                Faults(breaks=0.1),
                Faults(stalls=0.1),
                Faults(breaks=0.1, stalls=0.1, delay_seconds_max=2.0),
            )
        )
        server.asks(("HSET", META, "partitions", PARTITIONS))
        self.keyspace = Keyspace(PARTITIONS)
        self.books = Books(server, self.keyspace, Calendar(UTC), self.rules)
        server.look_at, server.watch = self.books.look_at, self._watch
        self._wrong: Wrong | None = None
        self._broken: Exception | None = None

    async def run(self, steps: int) -> None:
        for _ in range(GATEWAYS):
            await self._new_gateway()
        for _ in range(WORKERS):
            await self._new_worker()
        for customer in CUSTOMERS:
            self.random.choice(self.gateways).set_limits(customer, self._limits())
        for _ in range(steps):
            await asyncio.sleep(self.random.choice((0, 0, 0.01, 0.1, 1.0)) * self.random.random())
            await self._turn()
            self._raise()
        await self._rest()
        reckon(self)

    async def _turn(self) -> None:
        """One turn of fate."""
        turn = self.random.choices(*zip(*TURNS.items(), strict=True))[0]
        if self.is_calm and turn in DISASTERS:
            return
        await getattr(self, f"_{turn}")()

    async def _call(self) -> None:
        bound = self._bound()
        charge = int(bound.wanted_pico * self.random.choice((0, 0.3, 0.9, 1, 1, 1.3)))
        self.random.choice(self.gateways).take(
            Plan(
                customer=self.random.choice(CUSTOMERS),
                bound=bound,
                charge=charge,
                cost=self.random.choice((charge, charge // 2)),
                seconds=self.random.choice((0.0, 0.1, 2.0, 30.0, 200.0)) * self.random.random(),
                fate=self.random.choice(("served", "served", "served", "unsent", "left")),
                patience=self.random.choice((0.0, 0.01, 1.0, 10.0)) * self.random.random(),
            )
        )

    async def _report(self) -> None:
        gateway = self.random.choice(self.gateways)
        gateway.report(self.random.choice(CUSTOMERS), f"key{self.random.random()}", self._amount(4))

    async def _set_limits(self) -> None:
        gateway = self.random.choice(self.gateways)
        gateway.set_limits(self.random.choice(CUSTOMERS), self._limits())

    async def _pass_time(self) -> None:
        await asyncio.sleep(self.random.choice((1.0, 10.0, 100.0)) * self.random.random())

    async def _kill_gateway(self) -> None:
        victim = self.gateways.pop(self.random.randrange(len(self.gateways)))
        self._kill(victim)
        await self._new_gateway()

    async def _kill_worker(self) -> None:
        victim = self.workers.pop(self.random.randrange(len(self.workers)))
        self._kill(victim)
        await self._new_worker()

    async def _outage(self) -> None:
        """One process is cut off, or frozen: what it does comes too late, if at all."""
        process = self.random.choice([*self.gateways, *self.workers])
        process.network.take_down()
        self._note(f"{process.name} is cut off")
        seconds = self.random.choice((1.0, 20.0, 200.0, 200.0)) * self.random.random()
        self.loop.call_later(seconds, self._heal, process)

    def _heal(self, process: Process) -> None:
        if process.alive:
            process.network.is_down = False

    async def _jump(self) -> None:
        """A clock is set: a gateway's, or the server's."""
        gateway = self.random.choice(self.gateways)
        clock = self.random.choice((self.server.clock, self.server.clock, gateway.clock))
        clock.ahead_ms = self.random.choice((0, -70_000, 70_000, 140_000, 40_000_000))
        self._note(f"a clock is set {clock.ahead_ms} ms ahead")

    async def _forget(self) -> None:
        self.server.forget_scripts()
        self._note("SCRIPT FLUSH")

    async def _fill_disk(self) -> None:
        """The archive's: for a while, most of what is written to it fails."""
        self.archive.fails = 0.7
        self.loop.call_later(30.0, self._free_disk)

    def _free_disk(self) -> None:
        self.archive.fails = 0.0

    def _limits(self) -> dict[str, Any]:
        return {
            "total_budget": self.random.choice((None, self._amount(200), self._amount(40))),
            "period_budget": self.random.choice((None, self._amount(100), self._amount(30))),
            "budget_duration": self.random.choice(("daily", "monthly")),
        }

    def _bound(self) -> Bound:
        """All or nothing, or whatever fits."""
        wanted = self._amount(12)
        least = self.random.choice((wanted, self.random.randint(min(wanted, 1), wanted)))
        share = self.random.choice((1, 1, 2, 3, 8))
        return Bound(wanted, least, share, self.random.randint(0, least))

    def _amount(self, units: int) -> int:
        return self.random.randint(0, units) * self._scale + self.random.choice((0, 0, 1))

    def _kill(self, victim: Process) -> None:
        self._note(f"{victim.name} is killed")
        self.deaths += 1
        victim.kill()

    async def _new_gateway(self) -> None:
        name = f"g{len(self._born)}"
        gateway = Gateway(
            name,
            self._network(name),
            clock=VirtualClock(self.loop),
            oracle=self.oracle,
            random=self.random,
            rules=self.rules,
            folder=self._folder if self.has_logs else None,
        )
        self._born.append(gateway)
        await gateway.spawn(gateway.start())
        self.gateways.append(gateway)

    async def _new_worker(self) -> None:
        name = f"w{len(self._born)}"
        worker = Worker(
            name,
            self._network(name),
            clock=VirtualClock(self.loop),
            archive=self.archive,
            random=self.random,
        )
        self._born.append(worker)
        await worker.spawn(worker.start())
        self.workers.append(worker)

    def _network(self, name: str) -> Network:
        return Network(name, self.server, faults=self._faults, random=self.random)

    async def _rest(self) -> None:
        """No more faults; wait until nothing moves any more."""
        self._note("everything comes to rest")
        self._free_disk()
        for process in self._born:
            process.network.faults = Faults()
            self._heal(process)
        while self._is_busy():
            await asyncio.sleep(5.0)
            self._raise()
        self.server.clock.ahead_ms = 2 * 40_000_000  # leases given by a clock ahead end, too
        await asyncio.sleep(REST_SECONDS)
        self._raise()

    def _is_busy(self) -> bool:
        under_way = any(process.network.under_way for process in self._born)
        return under_way or any(gateway.is_busy for gateway in self.gateways)

    def _watch(self, executed: Executed) -> None:
        line = told(executed)
        if line:
            self._note(line)
        try:
            self.books.follow(executed)
        except Wrong as exc:
            self._wrong = self._wrong or exc

    def hear(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The dead leave loose ends, which nobody awaits; all else is an error of ours."""
        if "handle" in context:
            self._broken = self._broken or context["exception"]

    def _raise(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._wrong is not None:
            raise self._wrong
        if self.server.errors:
            raise ScriptFailed(self.server.errors[0])

    def _note(self, line: str) -> None:
        self.trace.append(f"{self.loop.now:12.6f}  {line}")

    async def bury(self) -> None:
        for _ in range(20):
            left = [task for process in self._born for task in process.bury()]
            if not left:
                return
            await asyncio.wait(left, timeout=1.0)


DISASTERS = frozenset({"outage", "jump", "kill_gateway"})
"""Without them no lease ever runs out."""

TURNS = {
    "call": 60,
    "report": 5,
    "set_limits": 2,
    "pass_time": 5,
    "kill_gateway": 2,
    "kill_worker": 2,
    "outage": 5,
    "jump": 5,
    "forget": 1,
    "fill_disk": 1,
}
