"""What the last check of each partition found, kept in the store: every worker answers alike."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import orjson

from gateway.audit.check import Checked, Sum
from gateway.audit.differences import drift_pico
from gateway.clock import rfc3339
from gateway.store.client import Store
from gateway.store.keys import AUDIT

_SUM_FIELDS: Final = tuple(field.name for field in fields(Sum))
KEPT_MAX: Final = 100
"""Differences kept of a partition; what is beyond is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Of one partition.

    Attributes:
        found: How many differences there are; the first `KEPT_MAX` are in `differences`.
        drift_pico: The sum of those that are money, each taken as positive.
    """

    checked_ms: int
    found: int
    drift_pico: int
    differences: Sequence[Mapping[str, Any]]
    sum: Sum

    @property
    def keys(self) -> set[tuple[Any, ...]]:
        """Which differences these are, to tell those that are new."""
        return {key_of(difference) for difference in self.differences}


def key_of(difference: Mapping[str, Any]) -> tuple[Any, ...]:
    customer = difference["customer"] or {}
    return (difference["kind"], customer.get("number"), difference["subject"])


def record_of(checked: Checked) -> Record:
    return Record(
        checked_ms=checked.checked_ms,
        found=checked.found,
        drift_pico=drift_pico(checked.differences),
        differences=[d.to_json() for d in checked.differences[:KEPT_MAX]],
        sum=checked.sum,
    )


async def keep(store: Store, partition: int, record: Record) -> None:
    await store.command("HSET", AUDIT, partition, orjson.dumps(asdict(record, dict_factory=_json)))


async def records(store: Store) -> dict[int, Record]:
    """Partition index -> its record; partitions that were never checked are missing.

    Raises:
        LedgerUnavailable: the store is away.
    """
    reply = await store.command("HGETALL", AUDIT)
    return {
        int(index): _record(orjson.loads(text))
        for index, text in zip(reply[::2], reply[1::2], strict=True)
    }


def summary(found: Mapping[int, Record], partitions: int) -> dict[str, Any]:
    """The answer of ``GET /api/audit``.

    ``ok`` is false once there is a difference, null until every partition has been checked
    once, else true. ``checked_at`` is when the least recent of these checks was made: all
    was well then or later. ``partitions`` are those that have been checked.
    """
    whole = len(found) >= partitions
    differing = any(record.found for record in found.values())
    oldest_ms = min((record.checked_ms for record in found.values()), default=0)
    return {
        "ok": False if differing else (True if whole else None),
        "checked_at": rfc3339(oldest_ms) if whole else None,
        "partitions": len(found),
        "differences": [d for index in sorted(found) for d in found[index].differences],
    }


def _json(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Amounts as text: JSON's integers end where orjson's do, at 64 bits."""
    return {name: str(v) if name.endswith("_pico") else v for name, v in pairs}


def _record(document: Mapping[str, Any]) -> Record:
    return Record(
        checked_ms=document["checked_ms"],
        found=document["found"],
        drift_pico=int(document["drift_pico"]),
        differences=document["differences"],
        # A worker of another version may have written it.
        sum=Sum(**{name: int(document["sum"].get(name, 0)) for name in _SUM_FIELDS}),
    )
