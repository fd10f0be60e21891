"""The start-up audit: what a store's settings promise, in plain words.

Each server of the store is asked for its INFO and settings. What makes money wrong in
silence is a fault: too old a version, evicted keys, under `durability: strict` an answer
before the disk has it. What only bounds the promise is said, as a warning where an
operator could do better. Settings that the server does not tell are unknown, not assumed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis
from redis.asyncio.connection import AbstractConnection

from gateway.store import slots
from gateway.store.address import Address, Kind, parse
from gateway.store.identity import NO_EVICTION, Unfit
from gateway.store.sentinel import Sentinels, asked
from gateway.store.wire import packed

REDIS_VERSION_MIN: Final = (7, 0)
VALKEY_VERSION_MIN: Final = (7, 2)

EMBEDDED_STANDARD: Final = (
    "a power failure can take back up to 2 s, a kill of the store nothing that reached the system"
)
EMBEDDED_STRICT: Final = "each write is on disk before it is answered"
_SETTINGS: Final = ("append*", "save", "min-replicas-to-write", "min-slaves-to-write")


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing that the store promises, or does not; `text` holds no secret."""

    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Guarantees:
    promises: tuple[Promise, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the store must not be used."""
        return tuple(p.text for p in self.promises if p.verdict is Verdict.FAULT)


async def audited(url: str, *, strict: bool = False) -> Guarantees:
    """Ask the servers of the store at `url`. Nothing is written.

    Raises:
        redis.RedisError, OSError, TimeoutError: the store cannot be reached.
    """
    address = parse(url)
    promises: list[Promise] = []
    if address.kind is Kind.ONE:
        promises += await _of_server(address.connection(), strict=strict, alone=True)
    elif address.kind is Kind.SENTINEL:
        promises += await _of_server(await Sentinels(address).locate(), strict=strict)
    else:
        told = await _told(address)
        if not told.is_whole:
            text = "the cluster is not whole (cluster_state): calls are refused until it is"
            promises.append(Promise(Verdict.WARNING, text))
        for node in sorted(told.slots.masters, key=str):
            promises += await _of_server(address.connection(node), strict=strict)
    return Guarantees(tuple(dict.fromkeys(promises)))  # equal servers say a thing once


async def _told(address: Address) -> slots.Told:
    problem: Exception = Unfit("no server of the cluster answers")
    for node in address.nodes:
        try:
            return await slots.told(address.connection(node), node)
        except redis.ResponseError:
            problem = Unfit(f"{node} does not tell its slots: is it a cluster's?")
        except (redis.RedisError, OSError, TimeoutError) as exc:
            problem = exc
    raise problem


async def _of_server(
    connection: AbstractConnection, *, strict: bool, alone: bool = False
) -> Iterator[Promise]:
    info = await _answer(connection, packed("INFO"))
    settings = await _answer(connection, packed("CONFIG", "GET", *_SETTINGS))
    return judged(_fields(info), _pairs(settings), strict=strict, alone=alone)


async def _answer(connection: AbstractConnection, command: bytes) -> Any:
    """None where the server refuses: its user may not, or the command has been renamed."""
    try:
        (reply,) = await asked(connection, command)
    except redis.ResponseError:
        return None
    return reply


def judged(
    info: Mapping[str, str] | None,
    settings: Mapping[str, str] | None,
    *,
    strict: bool = False,
    alone: bool = False,
) -> Iterator[Promise]:
    """What one server promises by its INFO and its settings; None where it does not tell.

    Args:
        alone: The URL takes it for a store of one server.
    """
    if alone and info and info.get("cluster_enabled") == "1":
        text = "it belongs to a cluster: write redis.url as redis+cluster://"
        yield Promise(Verdict.FAULT, text)
    if info is None:
        yield Promise(
            Verdict.WARNING,
            "the server does not tell its INFO: its version and whether it evicts keys are "
            f"unknown, and each reconnect counts as a restart; allow INFO, and see to "
            f"maxmemory-policy {NO_EVICTION}",
        )
    else:
        yield from _version(info)
        yield from _memory(info)
        yield from _replicas(info, settings)
    yield from _disk(info or {}, settings, strict=strict)


def _version(info: Mapping[str, str]) -> Iterator[Promise]:
    valkey = info.get("valkey_version")
    name, least = ("Valkey", VALKEY_VERSION_MIN) if valkey else ("Redis", REDIS_VERSION_MIN)
    version = valkey or info.get("redis_version", "?")
    numbers = version.split(".")[:2]
    known = all(part.isdigit() for part in numbers)
    if not known:
        yield Promise(Verdict.WARNING, f"{name} {version}: an unknown version")
    elif tuple(map(int, numbers)) < least:
        needed = ".".join(map(str, least))
        yield Promise(Verdict.FAULT, f"{name} {version} is too old: {needed} or newer is needed")
    else:
        yield Promise(Verdict.OK, f"{name} {version}")


def _memory(info: Mapping[str, str]) -> Iterator[Promise]:
    policy = info.get("maxmemory_policy")
    if policy is None:
        text = f"whether it evicts keys is unknown: see to maxmemory-policy {NO_EVICTION}"
        yield Promise(Verdict.WARNING, text)
    elif policy != NO_EVICTION:
        text = f"it evicts keys ({policy}): set maxmemory-policy {NO_EVICTION}"
        yield Promise(Verdict.FAULT, text)
    elif info.get("maxmemory", "0") == "0":
        yield Promise(Verdict.OK, "no key is evicted; its memory has no bound of its own")
    else:
        text = "no key is evicted; when its memory is full, new calls are refused, running ones end"
        yield Promise(Verdict.OK, text)


def _replicas(info: Mapping[str, str], settings: Mapping[str, str] | None) -> Iterator[Promise]:
    if info.get("connected_slaves", "0") == "0":
        yield Promise(Verdict.OK, "no replica: while it is away, limits cannot be checked")
        return
    least = (settings or {}).get("min-replicas-to-write")
    if least == "0":
        yield Promise(
            Verdict.WARNING,
            "replicated, but a master cut off from its replicas goes on admitting calls: set "
            "min-replicas-to-write 1. A failover can take back the last writes; the gateways' "
            "own logs replay them",
        )
    else:
        text = (
            "replicated; a failover can take back the last writes, the gateways' logs replay them"
        )
        yield Promise(Verdict.OK if least else Verdict.WARNING, text)


def _disk(
    info: Mapping[str, str], settings: Mapping[str, str] | None, *, strict: bool
) -> Iterator[Promise]:
    told = settings or {}
    appends = {"1": "yes", "0": "no"}.get(info.get("aof_enabled", ""), told.get("appendonly"))
    fsync = told.get("appendfsync")
    if strict and (appends == "no" or fsync not in {None, "always"}):
        yield Promise(
            Verdict.FAULT,
            f"durability strict needs the disk before the answer, but appendonly is {appends} and "
            f"appendfsync {fsync}: set appendonly yes and appendfsync always, or durability "
            "standard",
        )
    elif appends == "no" and told.get("save") == "":
        text = "nothing is kept on disk: a restart takes back everything; set appendonly yes"
        yield Promise(Verdict.WARNING, text)
    elif appends == "no":
        text = "only snapshots on disk: a crash takes back all since the last; set appendonly yes"
        yield Promise(Verdict.WARNING, text)
    elif appends is None or fsync is None:
        text = "it does not tell how it writes to disk (CONFIG GET): what a crash takes is unknown"
        yield Promise(Verdict.WARNING, text)
    else:
        yield _FSYNC[fsync]


_FSYNC: Final = {
    "always": Promise(
        Verdict.OK, "append-only file, on disk before each answer: a crash takes none"
    ),
    "everysec": Promise(
        Verdict.OK,
        "append-only file, on disk every second: a power failure can take back up to 2 s; the "
        "gateways' own logs replay them",
    ),
    "no": Promise(
        Verdict.WARNING,
        "append-only file, on disk when the system likes: a power failure can take back half a "
        "minute; set appendfsync everysec",
    ),
}


def _fields(info: bytes | None) -> Mapping[str, str] | None:
    if info is None:
        return None
    lines = info.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _pairs(reply: list[bytes] | None) -> Mapping[str, str] | None:
    if reply is None:
        return None
    texts: Iterable[str] = [part.decode(errors="replace") for part in reply]
    return dict(zip(*[iter(texts)] * 2, strict=True))
