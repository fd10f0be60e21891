"""Fate: how much is wanted, limited, charged; all of it drawn from one seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gateway.customers.profile import Limits
from gateway.customers.windows import Duration
from gateway.ledger.bounds import Bound
from gateway.ledger.rules import Rules
from tests.simulator.gateway import Plan
from tests.simulator.network import Faults

CUSTOMERS = ("ada", "bob", "cyd")
GROUPS = ("east", "west")
APPS = ("main", "bot")
"""`bot` may have a limit."""

SCALES = (1, 1, 10**6, 2**53 // 20, 2**60 // 40)
HOT_HOURS = (0.001, 0.01, 0.1, 48.0)
FAULTS = (
    Faults(breaks=0.02, stalls=0.01),
    Faults(breaks=0.1),
    Faults(stalls=0.1),
    Faults(breaks=0.1, stalls=0.1, delay_seconds_max=2.0),
)


@dataclass(frozen=True)
class Weather:
    """What a run is sure to be like; None: as it comes.

    Attributes:
        harsh: The network is as bad as it ever is.
        turns: How much more often than else something happens.
    """

    calm: bool | None = None
    logs: bool | None = None
    loses: bool | None = None
    shared: bool | None = None
    harsh: bool = False
    turns: Mapping[str, float] = field(default_factory=dict)


ANY = Weather()


class Fate:
    """What kind of a run it is, and all that it draws.

    Attributes:
        is_calm: No gateway dies and nothing is cut off.
        has_logs: Gateways have logs, and disks that outlive them.
        loses: The store comes back without its newest writes, now and then.
        groups, apps: The limits of those that have any, in this run.
    """

    def __init__(self, random: Random, weather: Weather = ANY) -> None:
        self.random = random
        self._weather = weather
        self._scale = random.choice(SCALES)
        self._strangers = 0
        self.is_calm = self._is(0.2, weather.calm)
        self.has_logs = self._is(0.6, weather.logs)
        self.loses = self._is(0.4, weather.loses)
        self.rules = Rules(
            count=random.choice(("charge", "charge", "cost")),
            orphans=random.choice(("hold", "input", "progress")),
        )
        drawn = random.choice(FAULTS)
        self.faults = FAULTS[-1] if weather.harsh else drawn
        self.hot_hours = random.choice(HOT_HOURS)
        self.has_groups = self._is(0.5, weather.shared)
        self.groups = {"east": self._shared(150)} if self.has_groups else {}
        self.apps = {"bot": self._shared(200)} if self._is(0.4, weather.shared) else {}

    def customer(self) -> str:
        """Mostly one who is known; now and then one whom nobody has seen."""
        if self.random.random() < 0.04:
            self._strangers += 1
        strangers = (f"stranger{self._strangers}",) * (self._strangers > 0)
        return self.random.choice((*CUSTOMERS, *CUSTOMERS, *strangers))

    def temper(self, turn: str) -> float:
        """How much more often than in other runs something happens."""
        return self.random.choice((0.2, 1.0, 1.0, 4.0)) * self._weather.turns.get(turn, 1.0)

    def plan(self) -> Plan:
        random = self.random
        bound = self._bound()
        charge = int(bound.wanted_pico * random.choice((0, 0.3, 0.9, 1, 1, 1.3)))
        return Plan(
            customer=self.customer(),
            app=random.choice(APPS),
            change={"email": f"{random.randint(0, 9)}@a.b"} if random.random() < 0.15 else {},
            bound=bound,
            charge=charge,
            cost=random.choice((charge, charge // 2)),
            seconds=random.choice((0.0, 0.1, 2.0, 30.0, 200.0)) * random.random(),
            fate=random.choice(("served", "served", "served", "unsent", "left")),
            patience=random.choice((0.0, 0.01, 1.0, 10.0)) * random.random(),
        )

    def limits(self) -> dict[str, Any]:
        """Of a customer, and its group."""
        random = self.random
        told: dict[str, Any] = {
            "total_budget": random.choice((None, self.amount(200), self.amount(40))),
            "period_budget": random.choice((None, self.amount(100), self.amount(30))),
            "budget_duration": random.choice(("daily", "monthly")),
        }
        if self.has_groups:
            told["group_identifier"] = random.choice((*GROUPS, "east", None))
        return told

    def _is(self, share: float, sure: bool | None) -> bool:
        drawn = self.random.random() < share
        return drawn if sure is None else sure

    def _shared(self, units: int) -> Limits:
        random = self.random
        return Limits(
            period_budget_pico=random.choice((None, self.amount(units))),
            total_budget_pico=self.amount(3 * units),
            budget_duration=random.choice((Duration.DAILY, Duration.MONTHLY)),
        )

    def _bound(self) -> Bound:
        """All or nothing, or whatever fits."""
        wanted = self.amount(12)
        least = self.random.choice((wanted, self.random.randint(min(wanted, 1), wanted)))
        share = self.random.choice((1, 1, 2, 3, 8))
        return Bound(wanted, least, share, self.random.randint(0, least))

    def amount(self, units: int) -> int:
        return self.random.randint(0, units) * self._scale + self.random.choice((0, 0, 1))
