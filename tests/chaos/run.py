"""One chaos run, from an empty store to the reckoning."""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from gateway.ledger.leases import LEASE_MS
from gateway.store.archive.database import FILE_NAME
from gateway.store.keys import Keyspace
from tests.chaos.load import GROUP, GROUP_LIMIT_USD, Customer, Load
from tests.chaos.reckoning import Findings, reckon
from tests.chaos.world import World, world
from tests.support.gateways import wait_until
from tests.support.mortals import ROOT

QUIET_SECONDS_MAX = 2.5 * LEASE_MS / 1_000
"""The sweeper waits one lease after a store came back, and a hold lives for one more."""

DRY_SECONDS_MAX = 60.0

CUSTOMERS = [
    *(Customer(f"free-{number}") for number in range(5)),
    *(Customer(f"tiny-{number}", limit_usd="0.01") for number in range(5)),
    *(Customer(f"broke-{number}", limit_usd="0.002") for number in range(2)),
    *(Customer(f"member-{number}", group=GROUP) for number in range(4)),
]


@dataclass
class Outcome:
    """What a run was, and what it came to."""

    findings: Findings
    deaths: dict[str, int]
    cuts: list[int]
    quiet_seconds: float
    calls: int
    reports: int
    logs: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        torn = [size for size in self.cuts if size]
        tally = self.findings.tally
        return [
            f"calls {self.calls}, reported events {self.reports}",
            "killed " + ", ".join(f"{name} {n}x" for name, n in sorted(self.deaths.items())),
            f"store's tail lost {len(torn)}x, {sum(torn)} bytes",
            "calls " + ", ".join(f"{name}: {tally[name]}" for name in sorted(tally)),
            f"nothing held after {self.quiet_seconds:.1f} s",
            *(f"FAULT {fault}" for fault in self.findings.faults),
        ]


def chaos(folder: Path, kind: str, *, seconds: float, seed: int) -> Outcome:
    """Run; a fault of the ledger is in the outcome, one of the run itself is raised."""
    groups = {GROUP: {"total_budget": GROUP_LIMIT_USD}}
    with world(folder, kind, seed, groups=groups) as made:
        load = Load([gateway.url for gateway in made.gateways], CUSTOMERS, seed)
        with made.dying(seed):
            asyncio.run(load.run(seconds))
        asyncio.run(load.insist())
        with redis.Redis.from_url(made.store.url) as store:
            quiet_seconds = _quiet(store)
            _dry(store)
            for mortal in (*made.gateways, made.flusher):
                code = mortal.stop()
                assert code == 0, f"{mortal.name} ended with {code}: {mortal.log[-4_000:]}"
            archive = folder / "data" / FILE_NAME
            findings = reckon(load, made.truth, store, archive, cut=any(made.store.cuts))
            findings.faults += _verified(made)
        return Outcome(
            findings,
            made.deaths,
            made.store.cuts,
            quiet_seconds,
            len(load.calls),
            len(load.reports),
            {mortal.name: mortal.log for mortal in (*made.gateways, made.flusher)},
        )


def _quiet(store: Any) -> float:
    """Wait until nothing is held any more; how long that took."""
    started = time.monotonic()
    wait_until(
        lambda: (
            not any(
                store.hlen(partition.holds) + store.hlen(partition.scope_holds)
                for partition in Keyspace().partitions
            )
        ),
        "nothing is held",
        QUIET_SECONDS_MAX,
    )
    return time.monotonic() - started


def _dry(store: Any) -> None:
    """Wait until everything that counts events has come to the end of every stream."""
    partitions = Keyspace().partitions
    scopes = Keyspace().partition_of(f"group:{GROUP}")

    def is_dry() -> bool:
        shared = store.hgetall(scopes.cursors)
        for partition in partitions:
            newest = store.xrevrange(partition.stream, count=1)
            if newest:
                own = store.hmget(partition.cursors, "flush", "archive")
                places = [*own, shared.get(f"g:{partition.index}".encode())]
                if any(place is None or _order(place) < _order(newest[0][0]) for place in places):
                    return False
        return True

    wait_until(is_dry, "the flusher is dry", DRY_SECONDS_MAX)


def _order(stream_id: bytes) -> tuple[int, ...]:
    return tuple(map(int, stream_id.split(b"-")))


def _verified(made: World) -> list[str]:
    """What `farebox ledger verify` says."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "ledger", "verify", "--config", "farebox.yaml"],
        cwd=made.folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return [] if done.returncode == 0 else [f"verify: {done.stdout[-2_000:]}{done.stderr[-500:]}"]
