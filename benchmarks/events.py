"""Measure reported usage: ``python -m benchmarks.events``.

Starts a gateway of its own, sends batches of a thousand events over HTTP, and says how much
processor time the gateway took for each until all were answered. First with its flusher at
work in the same process, which folds and archives what came before; then with the lease of
that work taken away from it, as a worker has it that does not flush.
"""

import http.client
import json
import random
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import redis

from benchmarks import measure
from benchmarks.processes import Cores
from benchmarks.targets import Target, farebox
from benchmarks.wire import APP_TOKEN
from gateway.store.keys import BACKGROUND_LEASE
from gateway.store.lease import RENEW_SECONDS
from gateway.store.valkey import socket_path

BATCH: Final = 1_000
CUSTOMERS: Final = 2_000
NO_UPSTREAM: Final = 9
"""The port of one that nobody calls."""

LINES: Final = (
    "processor time an event, gateway",
    "processor time an event, store",
    "events a second and core of the gateway",
    "events a second, by the clock",
)
UNITS: Final = (" µs", " µs", "", "")


def main() -> int:
    options = _options()
    with (
        TemporaryDirectory(prefix="farebox-benchmark-") as folder,
        farebox(NO_UPSTREAM, Path(folder), Cores.of_this_machine()) as target,
    ):
        _send(target, options, 2, "warm")
        with_flusher = _measured(target, options, "with")
        _take_lease(Path(folder) / "farebox-data")
        without = _measured(target, options, "without")
    print("| events in batches of 1,000 | with its flusher | without |\n| --- | ---: | ---: |")
    for what, unit, *figures in zip(LINES, UNITS, with_flusher, without, strict=True):
        print(f"| {what} | {' | '.join(f'{figure:,.0f}{unit}' for figure in figures)} |")
    return 0


def _measured(target: Target, options: Namespace, name: str) -> tuple[float, float, float, float]:
    """As `LINES` has it."""
    before = measure.cpu_ns(target.pids), measure.cpu_ns(target.store_pids)
    began = time.perf_counter()
    _send(target, options, options.batches, name)
    seconds = time.perf_counter() - began
    after = measure.cpu_ns(target.pids), measure.cpu_ns(target.store_pids)
    events = BATCH * options.batches
    own, store = ((late - early) / 1e3 / events for late, early in zip(after, before, strict=True))
    return own, store, 1e6 / own, events / seconds


def _take_lease(data_dir: Path) -> None:
    """From now on the gateway has no background work; return once it has noticed."""
    with redis.Redis(unix_socket_path=str(socket_path(data_dir))) as store:
        store.set(BACKGROUND_LEASE, "benchmark", px=3_600_000)
    time.sleep(RENEW_SECONDS + 1)


def _send(target: Target, options: Namespace, batches: int, name: str) -> None:
    chance = random.Random(1)
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=300)
    headers = {"Authorization": f"Bearer {APP_TOKEN}", "Content-Type": "application/json"}
    for batch in range(batches):
        events = [
            {
                "appId": options.app,
                "eventType": "text_gen",
                "consumerId": f"customer-{chance.randrange(CUSTOMERS)}",
                "inputTokens": chance.randrange(5_000),
                "outputTokens": chance.randrange(500),
                "model": "demo-small",
                "eventId": f"{name}-{batch}-{index}",
            }
            for index in range(BATCH)
        ]
        connection.request("POST", "/v1/events", json.dumps(events), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 202 or answer["accepted"] != BATCH:
            raise RuntimeError(f"{response.status}: {json.dumps(answer)[:500]}")
    connection.close()


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--app", default="benchmark")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
