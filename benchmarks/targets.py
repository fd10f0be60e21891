"""What is measured: the gateway, nginx as a plain reverse proxy, and nothing in between.

Each is a context manager that yields a `Target` ready to be called; `nginx` is the yardstick.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Final

from benchmarks import measure
from benchmarks.processes import Cores, free_port, running, wait_ready
from benchmarks.wire import APP_TOKEN

STORE_NAMES: Final = ("valkey", "redis")


@dataclass(frozen=True, slots=True)
class Target:
    """A port to call, and the processes whose use is counted.

    Attributes:
        pids: The processes under test; none for ``direct``.
        store_pids: Those of the embedded store, reported apart.
    """

    name: str
    port: int
    pids: tuple[int, ...] = ()
    store_pids: tuple[int, ...] = ()


@contextmanager
def mock_upstream(folder: Path, cores: Cores) -> Iterator[int]:
    """Run the mock in a process of its own; yield its port."""
    command = [sys.executable, "-m", "benchmarks.mock_upstream"]
    log = folder / "mock.log"
    with running(command, core=cores.mock, log=log, stdout=PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the mock upstream did not start:\n{log.read_text()}")
        yield int(line)


@contextmanager
def direct(mock_port: int, folder: Path, cores: Cores) -> Iterator[Target]:  # noqa: ARG001
    yield Target("direct", mock_port)


@contextmanager
def nginx(mock_port: int, folder: Path, cores: Cores) -> Iterator[Target]:
    """Run nginx with one process, connections kept alive on both sides, no access log."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        raise RuntimeError("the yardstick is missing: apt-get install nginx")
    port, log = free_port(), folder / "nginx.log"
    config = folder / "nginx.conf"
    config.write_text(NGINX_CONF.format(folder=folder, port=port, mock_port=mock_port))
    command = [binary, "-p", str(folder), "-e", str(log), "-c", str(config)]
    with running(command, core=cores.tested, log=folder / "nginx.out") as process:
        wait_ready(process, f"http://127.0.0.1:{port}/", log)
        yield Target("nginx", port, tuple(measure.tree(process.pid)))


@contextmanager
def farebox(mock_port: int, folder: Path, cores: Cores) -> Iterator[Target]:
    """The gateway with everything on: an app token, budgeted customers, the embedded store."""
    port, log = free_port(), folder / "farebox.log"
    config = folder / "farebox.yaml"
    config.write_text(json.dumps(_farebox_config(port, mock_port, folder)))  # YAML holds JSON
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
    with running(command, core=cores.tested, log=log) as process:
        wait_ready(process, f"http://127.0.0.1:{port}/readyz", log)
        family = measure.tree(process.pid)
        store = [pid for pid in family if measure.name(pid).startswith(STORE_NAMES)]
        for pid in store:
            _move(pid, cores.load)
        tested = tuple(pid for pid in family if pid not in store)
        yield Target("farebox", port, tested, tuple(store))


TARGETS: Final[dict[str, Callable[[int, Path, Cores], AbstractContextManager[Target]]]] = {
    "direct": direct,
    "nginx": nginx,
    "farebox": farebox,
}

NGINX_CONF: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 64k;
    keepalive_requests 1000000000;
    upstream mock {{
        server 127.0.0.1:{mock_port};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 3600s;
        }}
    }}
}}
"""


def _farebox_config(port: int, mock_port: int, folder: Path) -> dict[str, object]:
    return {
        "version": 1,
        "server": {"host": "127.0.0.1", "port": port, "drain_delay_seconds": 0},
        "data_dir": str(folder / "farebox-data"),
        "upstreams": [
            {
                "name": "mock",
                "provider": "demo",
                "base_url": f"http://127.0.0.1:{mock_port}/v1",
                "api_key": "none",
                "models": ["*"],
            }
        ],
        "apps": [{"id": "benchmark", "token": APP_TOKEN, "new_customers_per_day": None}],
        "budgets": {"policy": "reject"},
    }


def _move(pid: int, core: int) -> None:
    """Give every thread of the store to the core of the load: it is not what is measured."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})
