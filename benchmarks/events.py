"""Measure reported usage: ``python -m benchmarks.events``.

Starts a gateway of its own, sends batches of a thousand events over HTTP, and says how much
processor time the gateway took for each until all were answered. Its flusher, which folds
and archives in the same process, is at work meanwhile and counts, too.
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

from benchmarks import measure
from benchmarks.processes import Cores
from benchmarks.targets import Target, farebox
from benchmarks.wire import APP_TOKEN

BATCH: Final = 1_000
CUSTOMERS: Final = 2_000
NO_UPSTREAM: Final = 9
"""The port of one that nobody calls."""


def main() -> int:
    options = _options()
    with (
        TemporaryDirectory(prefix="farebox-benchmark-") as folder,
        farebox(NO_UPSTREAM, Path(folder), Cores.of_this_machine()) as target,
    ):
        _send(target, options, 2, "warm")
        before = measure.cpu_ns(target.pids), measure.cpu_ns(target.store_pids)
        began = time.perf_counter()
        _send(target, options, options.batches, "run")
        seconds = time.perf_counter() - began
        after = measure.cpu_ns(target.pids), measure.cpu_ns(target.store_pids)
    events = BATCH * options.batches
    own, store = ((late - early) / 1e3 / events for late, early in zip(after, before, strict=True))
    print("| events in batches of 1,000 | |\n| --- | ---: |")
    print(f"| processor time an event, gateway | {own:.0f} µs |")
    print(f"| processor time an event, store | {store:.0f} µs |")
    print(f"| events a second and core of the gateway | {1e6 / own:,.0f} |")
    print(f"| events a second, by the clock | {events / seconds:,.0f} |")
    return 0


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
