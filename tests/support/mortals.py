"""Commands of ours as processes that share one store, and that can be killed and started again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis

from tests.support.gateways import ADMIN_KEY, Gateway, settings, wait_until

ROOT = Path(__file__).parents[2]
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0


@dataclass
class Mortal:
    """`farebox <arguments>` in a process group of its own, so that a kill leaves no worker behind.

    Attributes:
        port: Where a `serve` listens; the same after every start.
    """

    folder: Path
    name: str
    arguments: list[str]
    port: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Return when it runs; a `serve` has its port then, but may not be ready."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", *self._command()],
                cwd=self.folder,
                env={**os.environ, **self.environment, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        if self.arguments[0] == "serve":
            assert self.process.stdout is not None
            first = self.process.stdout.readline()
            assert first, self.log[-4_000:]
            self.port = int(first.split()[-1].removesuffix("/v1").rsplit(":", 1)[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_ready(self) -> None:
        """Until it serves; of other commands, until a SIGTERM would end them in order."""
        serves = self.arguments[0] == "serve"
        ready = (lambda: is_ready(self.url)) if serves else self._heeds_signals
        wait_until(ready, f"{self.name} is ready", START_SECONDS_MAX)

    def _heeds_signals(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-4_000:]
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [caught] = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught, 16) & 1 << signal.SIGTERM - 1)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_SECONDS_MAX)

    def kill(self) -> None:
        """SIGKILL, to its workers as well."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def _command(self) -> list[str]:
        where = ["--port", str(self.port)] if self.arguments[0] == "serve" else []
        return [self.arguments[0], "--config", "farebox.yaml", *where, *self.arguments[1:]]


@contextmanager
def fleet(
    folder: Path, store_url: str, upstream_url: str, *, gateways: int, workers: int, **changes: Any
) -> Iterator[list[Mortal]]:
    """As many gateways, ready to serve; stopped in the end."""
    configure(folder, store_url, upstream_url, **changes)
    made = [
        Mortal(folder, f"gateway{index}", ["serve", "--workers", str(workers)])
        for index in range(gateways)
    ]
    try:
        for gateway in made:
            gateway.start()
        for gateway in made:
            gateway.wait_ready()
        yield made
        assert [0] * gateways == [gateway.stop() for gateway in made]
    finally:
        for gateway in made:
            gateway.kill()


def configure(folder: Path, store_url: str, upstream_url: str, **changes: Any) -> None:
    config = settings(folder / "data", upstream_url, redis={"url": store_url}, **changes)
    (folder / "farebox.yaml").write_text(json.dumps(config, default=str))


@contextmanager
def reading(gateway: Mortal, upstream: Any, store_url: str) -> Iterator[Gateway]:
    """The shorthands that tests read back with, on one gateway of a fleet."""
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with (
        redis.Redis.from_url(store_url) as store,
        httpx.Client(base_url=gateway.url, headers=headers, trust_env=False, timeout=30) as api,
    ):
        yield Gateway(gateway.url, upstream, store_url, store, gateway.folder / "data", api)


def is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=5).status_code == 200
    return False
