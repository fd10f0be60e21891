"""Checkpoints: what the trimmed part of each stream came to, customer by customer.

    {p}ck   hash   customer number -> "<charge> <cost>", pico-USD, signed

At every moment what a customer's account has spent is its checkpoint plus the charges of
the entries that are still in the stream. Both sums are over the outer fields of an entry,
those that the scripts wrote together with the balance, whether its details can be read or
not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.store.client import Store
from gateway.store.keys import Partition


class Money(NamedTuple):
    """Sums, pico-USD."""

    charge_pico: int = 0
    cost_pico: int = 0

    def plus(self, other: "Money") -> "Money":
        return Money(self.charge_pico + other.charge_pico, self.cost_pico + other.cost_pico)


NOTHING: Final = Money()
_NAMES: Final = [b"k", b"id", b"n", b"a", b"c"]


def money_by_customer(entries: Iterable[Sequence[bytes]]) -> dict[int, Money]:
    """What entries (field, value, field, value ...) add up to; what is no event adds nothing."""
    sums: dict[int, Money] = {}
    for entry in entries:
        if entry[:10:2] != _NAMES:
            continue
        try:
            number, money = int(entry[5]), Money(int(entry[7]), int(entry[9]))
        except ValueError:
            continue
        if any(money):
            sums[number] = sums.get(number, NOTHING).plus(money)
    return sums


async def checkpoints(
    store: Store, partition: Partition, numbers: Sequence[int]
) -> dict[int, Money]:
    """Of these customers; nothing for one without trimmed events.

    Raises:
        LedgerUnavailable: the store is away.
    """
    if not numbers:
        return {}
    texts = await store.command("HMGET", partition.checkpoints, *numbers)
    return {number: read(text) for number, text in zip(numbers, texts, strict=True)}


def read(text: bytes | None) -> Money:
    if text is None:
        return NOTHING
    charge, cost = text.split()
    return Money(int(charge), int(cost))


def fields(sums: Mapping[int, Money]) -> list[str]:
    """What to write: field, value, field, value ..."""
    return [
        part
        for number, money in sums.items()
        for part in (str(number), f"{money.charge_pico} {money.cost_pico}")
    ]
