"""The processes of a chaos run, and their deaths: SIGKILL at random, from a seed."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import redis

from gateway.store.valkey import settings as store_settings
from tests.support.mortals import ROOT, Mortal, configure
from tests.support.stores import SERVERS

UP_SECONDS_MAX = 60.0
LOST_SECONDS_MAX = 1.5
"""How much of the newest an `everysec` store may lose with its machine, and here does."""

PEEK_SECONDS = 0.02


class Victim(Protocol):
    name: str

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def wait_ready(self) -> None: ...


class StoreProcess:
    """A store with the embedded one's settings, that can lose what it has not synced.

    A process that is killed leaves all it has written to the kernel; only a machine that
    dies loses what was not on the disk. So of every other kill we cut the log's newest part.

    Attributes:
        cuts: Bytes cut at each kill; 0 where nothing was.
    """

    name = "store"

    def __init__(self, kind: str, folder: Path, seed: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.socket = folder / "s.sock"
        self.cuts: list[int] = []
        binary = SERVERS[kind]()
        assert binary is not None, f"no {kind} server on this machine"
        self._binary = binary
        self._random = random.Random(seed)
        self._process: subprocess.Popen[bytes] | None = None
        self._sizes: deque[tuple[float, Path, int]] = deque(maxlen=1_000)
        (folder / "store.conf").write_bytes(
            store_settings(folder, self.socket) + b"auto-aof-rewrite-percentage 0\n"
        )

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        with (self.folder / "store.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, str(self.folder / "store.conf")], stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + UP_SECONDS_MAX
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            while True:
                with suppress(redis.RedisError):
                    client.ping()
                    return
                assert time.monotonic() < deadline, (self.folder / "store.log").read_text()[-2_000:]
                time.sleep(0.02)

    def peek(self) -> None:
        """Note how far the log is."""
        for path in (self.folder / "appendonlydir").glob("*.incr.aof"):
            with suppress(FileNotFoundError):
                self._sizes.append((time.monotonic(), path, path.stat().st_size))

    def kill(self, *, spare_the_log: bool = False) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        if not spare_the_log:
            self.cuts.append(self._cut() if self._random.random() < 0.6 else 0)

    def _cut(self) -> int:
        since = time.monotonic() - self._random.uniform(0, LOST_SECONDS_MAX)
        kept = [(path, size) for at, path, size in list(self._sizes) if at <= since]
        if not kept:
            return 0
        path, size = kept[-1]
        torn = min(size + self._random.choice([0, 0, 7, 100]), path.stat().st_size)
        lost = path.stat().st_size - torn
        os.truncate(path, torn)
        self._sizes.clear()
        return lost


@dataclass
class World:
    """Everything that runs; `deaths` counts by name."""

    folder: Path
    store: StoreProcess
    gateways: list[Mortal]
    flusher: Mortal
    truth: Path
    deaths: dict[str, int] = field(default_factory=dict)
    trouble: list[BaseException] = field(default_factory=list)

    @contextmanager
    def dying(self, seed: int) -> Iterator[None]:
        """One thread a victim kills it and starts it again, until the block ends; then all run."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._haunt, args=(victim, f"{seed}:{victim.name}", over))
            for victim in self._victims()
        ]
        threads.append(threading.Thread(target=self._watch_store, args=(over,)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
        if self.trouble:
            raise self.trouble[0]

    def _victims(self) -> list[Victim]:
        return [self.store, *self.gateways, self.flusher]

    def _haunt(self, victim: Victim, seed: str, over: threading.Event) -> None:
        chance = random.Random(seed)
        try:
            while not over.wait(chance.uniform(2.0, 10.0)):
                victim.kill()
                self.deaths[victim.name] = self.deaths.get(victim.name, 0) + 1
                over.wait(chance.uniform(0.05, 1.5))
                victim.start()
                victim.wait_ready()
        except BaseException as exc:  # noqa: BLE001 - raised again in the run's own thread
            self.trouble.append(exc)

    def _watch_store(self, over: threading.Event) -> None:
        while not over.wait(PEEK_SECONDS):
            self.store.peek()


@contextmanager
def world(folder: Path, kind: str, seed: int, **config: Any) -> Iterator[World]:
    store = StoreProcess(kind, folder / "store", f"{seed}:cut")
    truth = folder / "truth"
    provider = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.upstream", str(truth)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert provider.stdout is not None
    upstream_url = f"http://127.0.0.1:{int(provider.stdout.readline())}"
    configure(folder, store.url, upstream_url, **config)
    gateways = [
        Mortal(folder, f"gateway{index}", ["serve"], port=_free_port()) for index in range(2)
    ]
    flusher = Mortal(folder, "flusher", ["flush"])
    made = World(folder, store, gateways, flusher, truth)
    try:
        for one in made._victims():
            one.start()
            one.wait_ready()
        yield made
    finally:
        for mortal in (*gateways, flusher):
            mortal.kill()
        store.kill(spare_the_log=True)
        provider.send_signal(signal.SIGKILL)
        provider.wait()
        provider.stdout.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def keep(folder: Path, where: Path) -> None:
    """Copy a run's files, to be looked at."""
    shutil.copytree(folder, where, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
