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

from gateway.customers.scopes import Scopes, app_name, group_name
from gateway.customers.windows import Calendar
from gateway.store import keys, scripts
from gateway.store.keys import META, Keyspace
from tests.simulator.books import Books
from tests.simulator.fate import ANY, APPS, CUSTOMERS, Fate, Weather
from tests.simulator.gateway import Gateway
from tests.simulator.losing import Losing
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
GATEWAYS, WORKERS = 3, 2
DAY_MS = 86_400_000
REST_SECONDS = 60.0
"""Longer than any pause between two tries."""
HEARTBEAT_SECONDS = 10.0
"""Whoever is idle need not say so every second of virtual time."""


@dataclass(frozen=True)
class Outcome:
    """What a run was, and what was wrong with it.

    Attributes:
        losses, lost: How often the store lost its newest writes, and how many events.
        trimmed: Entries that were dropped from the streams.
    """

    seed: int
    steps: int
    problem: str | None
    trace: list[str] = field(repr=False)
    commands: int = 0
    calls: int = 0
    deaths: int = 0
    losses: int = 0
    lost: int = 0
    trimmed: int = 0


def simulate(
    url: str, seed: int, steps: int, edit: Edit = as_it_is, weather: Weather = ANY
) -> Outcome:
    """Run `steps` turns of fate on an emptied server; never raises for a broken promise."""
    loop = VirtualLoop()
    loop.set_task_factory(task_factory)
    with TemporaryDirectory(prefix="fb-") as folder:
        server = VirtualServer(url, VirtualClock(loop), edit)
        simulation = Simulation(server, Fate(Random(seed), weather), loop, Path(folder))
        return _outcome(simulation, seed, steps)


def _outcome(simulation: "Simulation", seed: int, steps: int) -> Outcome:
    loop, server = simulation.loop, simulation.server
    loaded = scripts.load_all()
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
        stack.enter_context(patch.object(scripts, "load_all", lambda: loaded))
        stack.enter_context(patch("secrets.randbits", secret.getrandbits))
        stack.enter_context(patch("secrets.token_hex", lambda n: secret.randbytes(n).hex()))
        try:
            loop.run_until_complete(simulation.run(steps))
        except Wrong as exc:
            problem = str(exc)
        finally:
            loop.run_until_complete(simulation.bury())
            simulation.archive.close()
    return Outcome(
        seed,
        steps,
        problem,
        simulation.trace,
        commands=len(simulation.trace),
        calls=len(simulation.oracle.calls),
        deaths=simulation.deaths,
        losses=simulation.losing.count,
        lost=simulation.losing.lost,
        trimmed=sum(trimming.dropped for trimming in simulation.books.trimming),
    )


class ScriptFailed(Exception):
    """A script raised: it never may."""


class Simulation:
    def __init__(self, server: VirtualServer, fate: Fate, loop: VirtualLoop, folder: Path) -> None:
        self._folder = folder
        self.server = server
        self.fate = fate
        self.random = fate.random
        self.loop = loop
        self.oracle = Oracle()
        self.archive = SimulatedArchive(self.random)
        self.trace: list[str] = []
        self.deaths = 0
        self.gateways: list[Gateway] = []
        self.workers: list[Worker] = []
        self._born: list[Process] = []
        self._births: list[asyncio.Task[None]] = []
        self._unborn = 0
        server.asks(("HSET", META, "partitions", PARTITIONS))
        self.keyspace = Keyspace(PARTITIONS)
        groups = {group_name(name): limits for name, limits in fate.groups.items()}
        apps = {app_name(name): limits for name, limits in fate.apps.items()}
        self.books = Books(
            server, self.keyspace, Calendar(UTC), rules=fate.rules, scopes=groups | apps
        )
        self.losing = Losing(server, self.books, fate, loop, note=self._note)
        server.look_at, server.watch = self.books.look_at, self._watch
        # Some runs have much of one thing and little of another: all of all is but one weather.
        self._turns = {turn: weight * fate.temper(turn) for turn, weight in TURNS.items()}
        self._wrong: Wrong | None = None
        self._broken: Exception | None = None

    async def run(self, steps: int) -> None:
        for _ in range(GATEWAYS):
            await self._new_gateway()
        for _ in range(WORKERS):
            await self._new_worker()
        for customer in CUSTOMERS:
            self.random.choice(self.gateways).set_limits(customer, self.fate.limits())
        for _ in range(steps):
            await asyncio.sleep(self.random.choice((0, 0, 0.01, 0.1, 1.0)) * self.random.random())
            await self._turn()
            self._raise()
        await self._rest()
        reckon(self)

    async def _turn(self) -> None:
        """One turn of fate."""
        turn = self.random.choices(*zip(*self._turns.items(), strict=True))[0]
        if self.fate.is_calm and turn in DISASTERS:
            return
        await getattr(self, f"_{turn}")()

    async def _call(self) -> None:
        self.random.choice(self.gateways).take(self.fate.plan())

    async def _report(self) -> None:
        self.random.choice(self.gateways).report(
            self.random.choice(CUSTOMERS),
            f"key{self.random.random()}",
            self.fate.amount(4),
            self.random.choice(APPS),
        )

    async def _set_limits(self) -> None:
        gateway = self.random.choice(self.gateways)
        gateway.set_limits(self.random.choice(CUSTOMERS), self.fate.limits())

    async def _pass_time(self) -> None:
        await asyncio.sleep(self.random.choice((1.0, 10.0, 100.0)) * self.random.random())

    async def _kill_gateway(self) -> None:
        victim = self.gateways.pop(self.random.randrange(len(self.gateways)))
        self._kill(victim)
        if len(self.gateways) > 1 and self.random.random() < 0.5:
            self._unborn += 1
            seconds = self.random.choice((1.0, 10.0, 100.0)) * self.random.random()
            self.loop.call_later(seconds, self._bear)
        else:
            await self._new_gateway()

    def _bear(self) -> None:
        self._births.append(self.loop.create_task(self._bear_one()))

    async def _bear_one(self) -> None:
        await self._new_gateway()
        self._unborn -= 1

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
        clock.ahead_ms = self.random.choice((0, 0, -70_000, 70_000, 140_000, DAY_MS // 2, DAY_MS))
        self._note(f"a clock is set {clock.ahead_ms} ms ahead")

    async def _lose(self) -> None:
        """The store dies, and a part of what it has acknowledged."""
        if self.fate.loses:
            self.losing.begin(self.gateways, self._born)

    async def _forget(self) -> None:
        self.server.forget_scripts()
        self._note("SCRIPT FLUSH")

    async def _fill_disk(self) -> None:
        """The archive's: for a while, most of what is written to it fails."""
        self.archive.fails = 0.7
        self.loop.call_later(30.0, self._free_disk)

    def _free_disk(self) -> None:
        self.archive.fails = 0.0

    async def _lag(self) -> None:
        """A flusher gets to everything but groups and apps, and all trim at the same time."""
        sink = self.random.choice(self.workers).scope_sink
        sink.lags_until = self.loop.now + 100.0 * self.random.random()
        for worker in self.workers:
            worker.spawn(worker.trim())

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
            rules=self.fate.rules,
            scopes=Scopes(groups=self.fate.groups, apps=self.fate.apps),
            folder=self._folder if self.fate.has_logs else None,
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
            hot_hours=self.fate.hot_hours,
        )
        self._born.append(worker)
        await worker.spawn(worker.start())
        self.workers.append(worker)

    def _network(self, name: str) -> Network:
        return Network(name, self.server, faults=self.fate.faults, random=self.random)

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
        self.server.clock.ahead_ms = 3 * DAY_MS // 2  # leases given by a clock ahead end, too
        await asyncio.sleep(REST_SECONDS)
        self._raise()

    def _is_busy(self) -> object:
        under_way = any(process.network.under_way for process in self._born)
        gateways = any(gateway.is_busy for gateway in self.gateways)
        return under_way or gateways or self._unborn or not self.losing.is_over

    def _watch(self, executed: Executed) -> None:
        line = told(executed)
        if line:
            self._note(line)
        try:
            self.books.follow(executed)
            self.losing.follow(executed)
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
    "lose": 3,
    "fill_disk": 1,
    "lag": 1,
}
