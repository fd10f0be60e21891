"""Who a server is: told apart by the run of its process and the history of its data.

A server that came back with another run, or that another took the place of, may have lost
what it had acknowledged. Whoever depends on that asks to be told (`Changes`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

NO_EVICTION = "noeviction"

log = logging.getLogger(__name__)


class Unfit(redis.ConnectionError):
    """A server that cannot be used, in words of ours: they hold no secret."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server says of itself.

    Attributes:
        identity: Run and replication id; another one after a restart or a failover.
        replicas: How many follow it now.
    """

    identity: str
    replicas: int


def read(info: bytes) -> Greeting:
    """Read the answer to ``INFO server replication persistence memory``.

    Raises:
        redis.BusyLoadingError: it is still reading its data.
        Unfit: it throws keys away when its memory is full.
    """
    lines = info.decode(errors="replace").splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    if fields.get("loading") == "1":
        raise redis.BusyLoadingError("the server is reading its data")
    policy = fields.get("maxmemory_policy", NO_EVICTION)
    if policy != NO_EVICTION:
        raise Unfit(f"it evicts keys ({policy}): set maxmemory-policy {NO_EVICTION}")
    return Greeting(
        identity=f"{fields.get('run_id', '')}/{fields.get('master_replid', '')}",
        replicas=int(fields.get("connected_slaves", 0)),
    )


@dataclass(slots=True)
class Changes:
    """What happens on the way to a server, and who wants to know.

    Attributes:
        count: How often a server turned out to be another.
        before_sending: Called before each batch leaves; must not raise.
    """

    count: int = 0
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    before_sending: Callable[[], None] = lambda: None

    def note(self) -> None:
        self.count += 1
        for callback in self.callbacks:
            try:
                callback()
            except Exception:  # the sender must go on, whatever its listeners do
                log.exception("store_change_unheard")
