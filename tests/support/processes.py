"""A gateway as a user runs it: `python -m gateway serve`, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import redis

from gateway.store.embedded import store_url
from gateway.store.keys import BACKGROUND_LEASE
from tests.support.gateways import ADMIN_KEY, Gateway, settings, wait_until

ROOT = Path(__file__).parents[2]
STOP_SECONDS_MAX = 40.0
START_SECONDS_MAX = 20.0


@dataclass
class Running:
    """The process, and the gateway in it."""

    process: "subprocess.Popen[str]"
    gateway: Gateway

    def stop(self) -> int:
        """SIGTERM; the exit code, once it has gone."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS_MAX)

    def died(self) -> None:
        """It was to kill itself. Its successor need not wait for its lease to run out."""
        assert -signal.SIGKILL == self.process.wait(STOP_SECONDS_MAX)
        self.gateway.store.delete(BACKGROUND_LEASE)

    def kill(self) -> None:
        """SIGKILL; the store it started lives on."""
        self.process.kill()
        self.process.wait()

    def workers_at(self, client_port: int) -> set[int]:
        """The processes of the gateway that hold the other end of a connection to it."""
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {f"socket:[{row[9]}]" for row in table if row[2].endswith(f":{client_port:04X}")}
        holders = set()
        for pid in [self.process.pid, *_children(self.process.pid)]:
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):
                    if str(fd.readlink()) in inodes:
                        holders.add(pid)
        return holders

    @property
    def store_pid(self) -> int:
        return int(self.gateway.store.info("server")["process_id"])


@contextmanager
def farebox(
    folder: Path,
    upstream: Any,
    upstream_url: str,
    *,
    workers: int = 1,
    crash_at: str = "",
    ready: bool = True,
    changes: Mapping[str, Any] | None = None,
    **more: Any,
) -> Iterator[Running]:
    """Serve from `folder`; what is still alive at the end, store included, is killed.

    Args:
        ready: Wait until it takes calls.
        changes, more: Replace the top-level keys of the configuration.
        crash_at: The process kills itself at this point; see `gateway.crash`.
    """
    changes = {**(changes or {}), **more}
    config = settings(folder / "data", upstream_url, **changes)
    (folder / "farebox.yaml").write_text(json.dumps(config, default=str))
    arguments = ["serve", "--config", "farebox.yaml", "--port", "0", "--workers", str(workers)]
    with ExitStack() as stack, (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "gateway", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FAREBOX_CRASH_AT": crash_at},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, (folder / "log").read_text()
        url = first.split()[-1].removesuffix("/v1")
        where = changes.get("redis", {}).get("url") or store_url(folder / "data")
        store = redis.Redis.from_url(where)
        stack.callback(store.close)
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        api = stack.enter_context(
            httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30)
        )
        gateway = Gateway(url, upstream, where, store, folder / "data", api)
        if ready:
            wait_until(lambda: _ready(gateway), "the gateway is ready", START_SECONDS_MAX)
        stack.callback(_end_store, gateway, process)
        yield Running(process, gateway)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _ready(gateway: Gateway) -> bool:
    with suppress(httpx.TransportError):
        return gateway.api.get("/readyz").status_code == 200
    return False


def _end_store(gateway: Gateway, process: "subprocess.Popen[str]") -> None:
    with suppress(redis.RedisError, ProcessLookupError):
        pid = int(gateway.store.info("server")["process_id"])
        process.kill()
        process.wait()
        os.kill(pid, signal.SIGKILL)
