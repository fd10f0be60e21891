"""What accounts come to while something runs: `spent` and `held`, read in one command.

A process of its own, so that whoever drives the load leaves it its share of time:
``python -m tests.support.sampling URL WHOSE...`` until its input is closed; then it prints
JSON, what it saw of each. WHOSE is a customer, or the key of an account.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from gateway.store.keys import Keyspace

PAUSE_SECONDS = 0.001
ROOT = Path(__file__).parents[2]


@dataclass
class Samples:
    """By customer or key, filled in at the end.

    Attributes:
        most_pico: The largest sum of spent and held in any sample.
        count: How many samples there were.
    """

    most_pico: dict[str, int] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)


@contextmanager
def sampled(store_url: str, *whose: str) -> Iterator[Samples]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.sampling", store_url, *whose],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    samples = Samples()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "sampling\n"
        yield samples
        out, _ = process.communicate(timeout=60)
        for name, (most, count) in json.loads(out).items():
            samples.most_pico[name], samples.count[name] = most, count
    finally:
        process.kill()
        process.communicate()


class _Watched:
    def __init__(self, name: str) -> None:
        self.name = name
        self.most_pico = self.count = 0
        self._key = name if name.startswith("{") else None

    def look(self, store: "redis.Redis") -> None:
        if self._key is None:
            partition = Keyspace().partition_of(self.name)
            number = store.get(partition.number(self.name))
            if number is None:
                return
            self._key = partition.account(int(number))
        amounts = store.hmget(self._key, "spent", "held")
        self.most_pico = max(self.most_pico, sum(int(amount or 0) for amount in amounts))
        self.count += 1


def main(url: str, *whose: str) -> None:
    over = threading.Event()
    threading.Thread(target=_await_end, args=(over,), daemon=True).start()
    watched = [_Watched(name) for name in whose]
    with redis.Redis.from_url(url) as store:
        print("sampling", flush=True)  # noqa: T201 - told to whoever waits
        while not over.is_set():
            for one in watched:
                with suppress(redis.RedisError):  # a store that is being killed
                    one.look(store)
            time.sleep(PAUSE_SECONDS)
    print(json.dumps({one.name: (one.most_pico, one.count) for one in watched}))  # noqa: T201


def _await_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
