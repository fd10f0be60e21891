"""Stores of several servers, on loopback: a cluster, and a master that Sentinel watches."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
import redis

from gateway.store.keys import CLUSTER_SLOTS
from tests.support.stores import SERVERS, server

HOST = "127.0.0.1"
KINDS = ("valkey", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("redis", "cluster")))
"""Every script runs on both servers in the default run (tests/gateway/store); what is built on
them, on the others when asked."""

NODE_TIMEOUT_MS = 1_000
READY_SECONDS_MAX = 20.0


@contextmanager
def of_kind(kind: str) -> Iterator[str]:
    """Run an empty store of one of `KINDS`; yields its URL."""
    if kind == "cluster":
        with cluster() as nodes:
            yield nodes.url
        return
    if kind == "redis" and which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with server(kind) as url:
        yield url


@dataclass
class Server:
    """One server on a port, and its process."""

    port: int
    process: "subprocess.Popen[bytes]"
    client: redis.Redis = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.client.execute_command("CLUSTER MYID").decode())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class ClusterOfServers:
    """Masters first, then one replica of each, if there are any."""

    masters: list[Server]
    replicas: list[Server]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{s.port}" for s in self.masters[:2])

    def owner(self, slot: int) -> Server:
        nodes = self.masters[0].client.execute_command("CLUSTER SLOTS")
        port = next(entry[2][1] for entry in nodes if entry[0] <= slot <= entry[1])
        return next(s for s in (*self.masters, *self.replicas) if s.port == port)

    def next_to(self, master: Server) -> Server:
        return self.masters[(self.masters.index(master) + 1) % len(self.masters)]

    @contextmanager
    def migrating(self, slot: int, target: Server) -> Iterator[Callable[..., int]]:
        """Move `slot` to `target`; each call of what is yielded moves a few keys: how many."""
        source = self.owner(slot)
        target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target.id)

        def step(count: int = 1) -> int:
            keys = source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, count)
            if keys:
                source.client.execute_command(
                    "MIGRATE", HOST, target.port, "", 0, 5_000, "KEYS", *keys
                )
            return len(keys)

        yield step
        while step(100):
            pass
        for one in (target, source, *self.masters):
            one.client.execute_command("CLUSTER SETSLOT", slot, "NODE", target.id)


@contextmanager
def cluster(kind: str = "valkey", *, replicas: bool = False) -> Iterator[ClusterOfServers]:
    """Run three masters that share the slots, and on wish a replica of each."""
    with ExitStack() as stack:
        count = 6 if replicas else 3
        ports = _free_ports(2 * count)
        servers = [
            stack.enter_context(
                _running(
                    kind,
                    ports[2 * i],
                    *("--cluster-enabled", "yes", "--cluster-port", str(ports[2 * i + 1])),
                    *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
                    *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
                )
            )
            for i in range(count)
        ]
        masters = servers[:3]
        for i, one in enumerate(servers):
            one.client.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
        share = -(-CLUSTER_SLOTS // len(masters))
        for i, one in enumerate(masters):
            last = min((i + 1) * share, CLUSTER_SLOTS) - 1
            one.client.execute_command("CLUSTER ADDSLOTSRANGE", i * share, last)
        for i in range(1, count):
            servers[0].client.execute_command("CLUSTER MEET", HOST, ports[2 * i], ports[2 * i + 1])
        _until(lambda: all(_knows(server, count) for server in servers), "the nodes have met")
        for master, replica in zip(masters, servers[3:], strict=False):
            replica.client.execute_command("CLUSTER REPLICATE", master.id)
            _until(partial(_follows, replica), "the replica follows")
        _until(lambda: all(_is_whole(server) for server in servers), "the cluster is whole")
        yield ClusterOfServers(masters, servers[3:])


def _follows(replica: Server) -> bool:
    return bool(replica.client.info()["master_link_status"] == "up")


def _knows(server: Server, count: int) -> bool:
    nodes = server.client.execute_command("CLUSTER NODES")
    text = nodes if isinstance(nodes, str) else str(nodes)
    info = _cluster_info(server)
    return info["cluster_known_nodes"] == str(count) and "handshake" not in text


def _is_whole(server: Server) -> bool:
    return _cluster_info(server)["cluster_state"] == "ok"


def _cluster_info(server: Server) -> dict[str, str]:
    info = server.client.execute_command("CLUSTER INFO")
    if isinstance(info, dict):
        return {str(k): str(v) for k, v in info.items()}
    text = info.decode() if isinstance(info, bytes) else str(info)
    return dict(line.split(":", 1) for line in text.split())


@dataclass
class WatchedMaster:
    """A master, its replica, and the Sentinel that watches them as ``ledger``."""

    master: Server
    replica: Server
    sentinel: Server

    @property
    def url(self) -> str:
        return f"redis+sentinel://{HOST}:{self.sentinel.port}/ledger"


@contextmanager
def sentinels(kind: str = "valkey") -> Iterator[WatchedMaster]:
    with ExitStack() as stack:
        ports = _free_ports(3)
        at_once = ("--repl-diskless-sync-delay", "0")
        master = stack.enter_context(_running(kind, ports[0], *at_once))
        replica = stack.enter_context(
            _running(kind, ports[1], "--replicaof", f"{HOST} {ports[0]}", *at_once)
        )
        _until(partial(_follows, replica), "the replica follows")
        sentinel = stack.enter_context(
            _running(
                kind,
                ports[2],
                settings=(
                    f"sentinel monitor ledger {HOST} {ports[0]} 1\n"
                    "sentinel down-after-milliseconds ledger 500\n"
                    "sentinel failover-timeout ledger 2000\n"
                ),
            )
        )
        _until(partial(_knows_the_replica, sentinel), "the Sentinel knows the replica")
        yield WatchedMaster(master, replica, sentinel)


def _knows_the_replica(sentinel: Server) -> bool:
    replicas = sentinel.client.execute_command("SENTINEL REPLICAS", "ledger")
    told = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in replicas]
    return [(b"slave", b"ok")] == [(r[b"flags"], r[b"master-link-status"]) for r in told]


@contextmanager
def _running(kind: str, port: int, *options: str, settings: str = "") -> Iterator[Server]:
    binary = SERVERS[kind]()
    assert binary is not None, f"no {kind} server on this machine"
    with TemporaryDirectory(prefix="fb-") as folder:
        arguments = [binary]
        if settings:
            conf = Path(folder) / "sentinel.conf"
            conf.write_text(settings)
            arguments += [str(conf), "--sentinel"]
        else:
            arguments += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        arguments += ["--port", str(port), "--bind", HOST, "--dir", folder, *options]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        client = redis.Redis(HOST, port, protocol=2)
        try:
            _until(lambda: _answers(client), f"a server at {port}")
            yield Server(port, process, client)
        finally:
            client.close()
            process.kill()
            process.wait()


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {READY_SECONDS_MAX:g} s: {what}")
        time.sleep(0.02)
