"""Checkpoints: what the trimmed part of each stream came to, customer by customer.

    {p}ck   hash   customer number -> "<charge> <cost> <credit>", pico-USD, signed; a credit of
                   nothing is left out

At every moment what a customer's account has spent is its checkpoint plus the charges of
the entries that are still in the stream. Both sums are over the outer fields of an entry,
those that the scripts wrote together with the balance, whether its details can be read or
not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.event import Kind
from gateway.store.client import Store
from gateway.store.keys import Partition


class Money(NamedTuple):
    """Sums, pico-USD."""

    charge_pico: int = 0
    cost_pico: int = 0
    credit_pico: int = 0

    def plus(self, other: "Money") -> "Money":
        return Money(*map(sum, zip(self, other, strict=True)))


NOTHING: Final = Money()
_NAMES: Final = [b"k", b"id", b"n", b"a", b"c"]
_CREDIT: Final = Kind.CREDIT.encode()
_AMOUNT: Final = b"r"


def money_by_customer(entries: Iterable[Sequence[bytes]]) -> dict[int, Money]:
    """What entries (field, value, field, value ...) add up to; what is no event adds nothing."""
    sums: dict[int, Money] = {}
    for entry in entries:
        if entry[:10:2] != _NAMES:
            continue
        try:
            number, money = int(entry[5]), Money(int(entry[7]), int(entry[9]), credited(entry))
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
    return Money(*map(int, text.split()))


def fields(sums: Mapping[int, Money]) -> list[str]:
    """What to write: field, value, field, value ..."""
    return [part for number, money in sums.items() for part in (str(number), _written(money))]


def credited(entry: Sequence[bytes]) -> int:
    """What an entry (field, value, field, value ...) credits its customer, pico-USD.

    Raises:
        ValueError: it does not say it in a number.
    """
    return int(entry[13]) if entry[1] == _CREDIT and entry[12:13] == [_AMOUNT] else 0


def _written(money: Money) -> str:
    return " ".join(map(str, money if money.credit_pico else money[:2]))
