"""Every Redis key: name, type, lifetime, writer. Nothing else spells a key.

A customer lives in exactly one partition (first 8 bytes of the identifier's SHA-256, mod
N), and all keys of a partition carry its hash tag: account, holds, stream, counters and
cursor share a cluster slot, and one script can touch them all. Tags are chosen so that
partition i of N falls into the i-th N-th of the 16,384 slots.

Below the mapping `number`, keys carry the customer's *number* (random, never reused), so
that deleting a customer removes the mapping and the profile and edits no event.
`docs/redis-keys.md` describes each key to operators; a test holds it against `KEYS`.
"""

import re
from binascii import crc_hqx
from hashlib import sha256
from typing import Final, NamedTuple

PARTITIONS: Final = 64
"""Fixed when a store is first used, and then read back from `META`."""

PARTITIONS_MAX: Final = 4_096
CLUSTER_SLOTS: Final = 16_384
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS

TOO_OLD_SECONDS: Final = 48 * 3600
"""The age of an id from which nothing remembers whether it has ended."""

TOMBSTONE_SECONDS: Final = TOO_OLD_SECONDS + 2 * 3600
"""A bucket has the ids of an hour, by clocks that may differ by another."""

NEWCOMERS_SECONDS: Final = 48 * 3600
"""Beyond its day, by clocks that differ."""

IDEMPOTENCY_SECONDS: Final = 35 * 24 * 3600
IDEMPOTENCY_WEEKS: Final = 6
"""Week buckets that can hold a key of the last 35 days."""

FOUND_MAX: Final = 50_000
"""Whose partition is remembered: it takes longer to work out than all keys of a call."""

BACKGROUND_SECONDS: Final = TOO_OLD_SECONDS
"""How long it is known which call a response belongs to that is made in the background."""

META: Final = "{fb}meta"
BACKGROUND_LEASE: Final = "{fb}lease:background"
GATEWAYS: Final = "{fb}gateways"
ROSTER_ROWS: Final = "{fb}rows"
ROSTER_GONE: Final = "{fb}gone"
SCOPES: Final = "{fb}scopes"
GROUPS: Final = "{fb}groups"
AUDIT: Final = "{fb}audit"
TALLIES: Final = "{fb}tallies"
_LOGINS: Final = "{fb}login:"
TEMPORARY_KEYS: Final = "{fb}keys"

ACCOUNTS_PATTERN: Final = "{fb*}[ag]:*"
BOOKS_PATTERN: Final = "{fb*}[acg]*:*"
PROFILES_PATTERN: Final = "{fb*}p:*"
"""For SCAN: every account; those with all counters; every profile."""


class KeySpec(NamedTuple):
    name: str
    type: str
    lifetime: str
    writer: str


KEYS: Final = (
    KeySpec("{p}n:<customer>", "string", "until deleted", "hold, event, profile"),
    KeySpec("{p}p:<number>", "hash", "until deleted", "hold, event, profile, credit"),
    KeySpec(
        "{p}a:<number>",
        "hash",
        "for ever",
        "hold, restore, settle, release, expire, event, adjust, credit, profile",
    ),
    KeySpec(
        "{p}h", "hash", "while calls run", "hold, restore, renew; settle, release, expire remove"
    ),
    KeySpec(
        "{p}hx", "zset", "while calls run", "hold, restore, renew; settle, release, expire remove"
    ),
    KeySpec(
        "{p}ev",
        "stream",
        "hot_hours",
        "settle, release, expire, event, adjust, credit, refuse; trim removes",
    ),
    KeySpec("{p}d:<hour>", "set", "50 h", "settle, release, expire, refuse, event"),
    KeySpec("{p}o:<hour>", "hash", "50 h", "expire; settle, release remove"),
    KeySpec("{p}k:<week>", "hash", "35 to 42 days", "event, adjust, credit"),
    KeySpec("{p}cur", "hash", "for ever", "apply, scope_apply, trim"),
    KeySpec("{p}ck", "hash", "for ever", "trim"),
    KeySpec("{p}c:<number>", "hash", "for ever", "apply, rebuild"),
    KeySpec("{p}cd:<number>:<yyyymm>", "hash", "for ever", "apply, rebuild"),
    KeySpec(
        "{p}r",
        "zset",
        "for ever",
        "hold, event, profile, delete, apply, rebuild, mark; written removes",
    ),
    KeySpec("{p}x:<hash>", "hash", "for ever", "delete"),
    KeySpec("{p}x", "zset", "50 h", "delete"),
    KeySpec("{p}g:<scope>", "hash", "for ever", "scope_hold, scope_apply, scope_expire"),
    KeySpec("{p}gh", "hash", "while calls run", "scope_hold; scope_apply, scope_expire remove"),
    KeySpec("{p}gd:<hour>", "hash", "50 h", "scope_apply"),
    KeySpec("{p}t:<key>", "hash", "35 days beyond its end", "keys API, key_use, key_change"),
    KeySpec(META, "hash", "for ever", "first start"),
    KeySpec(BACKGROUND_LEASE, "string", "15 s", "lease, for the worker that flushes and sweeps"),
    KeySpec(GATEWAYS, "hash", "while gateways run", "each gateway"),
    KeySpec(ROSTER_ROWS, "hash", "until deleted", "index"),
    KeySpec("{fb}ix:<order>", "zset", "until deleted", "index"),
    KeySpec(ROSTER_GONE, "zset", "a day", "index"),
    KeySpec(AUDIT, "hash", "for ever", "auditor"),
    KeySpec(TALLIES, "hash", "for ever", "every worker"),
    KeySpec(f"{_LOGINS}<link>", "string", "a day", "the dashboard's login"),
    KeySpec("{fb}background:<response>", "string", "48 h", "the gateway that the call came by"),
    KeySpec(TEMPORARY_KEYS, "zset", "until deleted", "keys API"),
    KeySpec(GROUPS, "hash", "until deleted", "groups API"),
    KeySpec("{fb}new:<app>:<day>", "set", "48 h", "arrive"),
    KeySpec(SCOPES, "set", "for ever", "the first call or event of a scope"),
)


def background(response: str) -> str:
    """Of a response that is made in the background, by its id at the provider."""
    return f"{{fb}}background:{response}"


def newcomers(app: str, day: int) -> str:
    """The customers that an app has brought in a day; `day` counts from 1970, UTC."""
    return f"{{fb}}new:{app}:{day}"


class Partition:
    """The keys of one partition."""

    __slots__ = (
        "changed",
        "checkpoints",
        "cursors",
        "expiries",
        "gone",
        "holds",
        "index",
        "scope_holds",
        "stream",
        "tag",
    )

    def __init__(self, index: int, tag: str) -> None:
        self.index = index
        self.tag = tag
        self.holds = f"{tag}h"
        self.expiries = f"{tag}hx"
        self.stream = f"{tag}ev"
        self.cursors = f"{tag}cur"
        self.checkpoints = f"{tag}ck"
        self.scope_holds = f"{tag}gh"
        self.changed = f"{tag}r"
        self.gone = f"{tag}x"

    def number(self, customer: str) -> str:
        return f"{self.tag}n:{customer}"

    def profile(self, number: int) -> str:
        return f"{self.tag}p:{number}"

    def account(self, number: int) -> str:
        return f"{self.tag}a:{number}"

    def left(self, customer: str) -> str:
        """What is left of deleted customers of that name; the name cannot be read from it."""
        return f"{self.tag}x:{sha256(customer.encode()).hexdigest()}"

    def tombstones(self, hour: int) -> str:
        return f"{self.tag}d:{hour}"

    def orphans(self, hour: int) -> str:
        return f"{self.tag}o:{hour}"

    def idempotency(self, now_ms: int) -> list[str]:
        """The bucket of now, then those of the weeks before it that still count."""
        week = now_ms // WEEK_MS
        return [f"{self.tag}k:{week - age}" for age in range(IDEMPOTENCY_WEEKS)]

    def counters(self, number: int) -> str:
        return f"{self.tag}c:{number}"

    def days(self, number: int, month: str) -> str:
        """The month's days of a customer; `month` is ``yyyymm`` in the reporting zone."""
        return f"{self.tag}cd:{number}:{month}"

    def scope_account(self, scope: str) -> str:
        """Of a group or an app; `scope` as `gateway.customers.scopes` names it."""
        return f"{self.tag}g:{scope}"

    def temporary_key(self, key: str) -> str:
        return f"{self.tag}t:{key}"

    def scope_tombstones(self, hour: int) -> str:
        return f"{self.tag}gd:{hour}"


def roster_order(name: str) -> str:
    """The customers of the roster in one order; `name` as `gateway.metering.roster` has it."""
    return f"{{fb}}ix:{name}"


class WrongPartitions(Exception):
    """The store has another number of partitions than it was begun with.

    The message says where it stands and how it is set right.
    """

    def __init__(self, said: str, reason: str) -> None:
        super().__init__(
            f"{META}, field partitions, is {said}, {reason}. It is fixed when a store is first"
            " used, and has been changed by hand since. Stop every gateway, and set it back:"
            f" HSET {META} partitions {PARTITIONS} (or what it was, where that was another)."
        )


class Keyspace:
    """The partitions of a store, and which of them a customer or a scope lives in."""

    def __init__(self, partitions: int = PARTITIONS) -> None:
        self.partitions = tuple(Partition(i, _tag(i, partitions)) for i in range(partitions))
        self._found: dict[str, Partition] = {}

    @classmethod
    def of(cls, partitions: bytes) -> "Keyspace":
        """As the store has their number.

        Raises:
            WrongPartitions: it is none.
        """
        if not partitions.isdigit() or not 0 < int(partitions) <= PARTITIONS_MAX:
            said = repr(partitions.decode(errors="replace"))
            raise WrongPartitions(said, f"not a number from 1 to {PARTITIONS_MAX}")
        return cls(int(partitions))

    def check(self, key: bytes, partition: int) -> None:
        """That a key of that partition is where these partitions have it.

        Raises:
            WrongPartitions: it is of a store of another number of them.
        """
        count = len(self.partitions)
        if partition >= count or not key.startswith(self.partitions[partition].tag.encode()):
            tag = key[: key.index(b"}") + 1].decode()
            raise WrongPartitions(str(count), f"but there are keys of {tag}, which is none of them")

    def partition_of(self, customer: str) -> Partition:
        found = self._found.get(customer)
        if found is None:
            digest = sha256(customer.encode()).digest()
            found = self.partitions[int.from_bytes(digest[:8]) % len(self.partitions)]
            if len(self._found) >= FOUND_MAX:
                self._found.clear()
            self._found[customer] = found
        return found


class Book(NamedTuple):
    """Whose account or counters a key holds: a customer's, or those of a group or an app.

    `month` only for the days of a customer.
    """

    partition: int
    number: int | None
    month: str | None = None
    scope: str | None = None


_BOOK: Final = re.compile(rb"\{fb(\d+)\.\d+\}(?:(?:a|c|cd):(\d+)(?::(\d{6}))?|g:(.+))", re.DOTALL)


def book_of(key: bytes) -> Book | None:
    """What a key found by one of the patterns is; None for any other key."""
    found = _BOOK.fullmatch(key)
    if found is None:
        return None
    partition, number, month, scope = found.groups()
    if scope is not None:
        return Book(int(partition), None, scope=scope.decode())
    return Book(int(partition), int(number), month.decode() if month else None)


def login_key(link: str) -> str:
    """Says that a link that signs in once has done so."""
    return _LOGINS + link


_PROFILE: Final = re.compile(rb"\{fb(\d+)\.\d+\}p:(\d+)")


def profile_of(key: bytes) -> tuple[int, int] | None:
    """The partition's index and the customer's number; None for any other key."""
    found = _PROFILE.fullmatch(key)
    return (int(found[1]), int(found[2])) if found else None


def _tag(index: int, partitions: int) -> str:
    """The first ``fb<index>.<k>`` whose slot lies in this partition's share of the slots."""
    width = CLUSTER_SLOTS // partitions
    k = 0
    while crc_hqx(f"fb{index}.{k}".encode(), 0) % CLUSTER_SLOTS // width != index:
        k += 1
    return f"{{fb{index}.{k}}}"
