"""Checkpoints: what the trimmed part of each stream came to, customer by customer.

    {p}ck   hash   customer number -> "<charge> <cost> <credit>", pico-USD, signed; a credit of
                   nothing is left out. Behind it, after a "|", what of that counts in windows
                   (`gateway.metering.window_sums`), where that is known

At every moment what a customer's account has spent is its checkpoint plus the charges of
the entries that are still in the stream, in all and in each of its open windows. These sums
are over the outer fields of an entry, those that the scripts wrote together with the balance,
whether its details can be read or not.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.event import MONEY_KINDS, Kind
from gateway.metering.window_sums import (
    NO_WINDOWS,
    InWindows,
    WindowSums,
    named_in,
    read_windows,
)
from gateway.store.client import Store
from gateway.store.keys import Partition
from gateway.store.stream_ids import halves


class Money(NamedTuple):
    """Sums, pico-USD."""

    charge_pico: int = 0
    cost_pico: int = 0
    credit_pico: int = 0

    def plus(self, other: "Money") -> "Money":
        return Money(*map(sum, zip(self, other, strict=True)))


NOTHING: Final = Money()


class Checkpoint(NamedTuple):
    money: Money = NOTHING
    in_windows: InWindows = NO_WINDOWS

    def plus(self, other: "Checkpoint") -> "Checkpoint":
        return Checkpoint(self.money.plus(other.money), self.in_windows.plus(other.in_windows))

    def written(self) -> str:
        money = " ".join(map(str, self.money if self.money.credit_pico else self.money[:2]))
        windows = self.in_windows.written()
        return f"{money}|{windows}" if windows else money


COUNTED: Final = frozenset(kind.encode() for kind in MONEY_KINDS)
"""Kinds of entries that count in windows."""

_NAMES: Final = [b"k", b"id", b"n", b"a", b"c"]
_CREDIT: Final = Kind.CREDIT.encode()
_AMOUNT: Final = b"r"


def by_customer(entries: Iterable[tuple[bytes, Sequence[bytes]]]) -> dict[int, Checkpoint]:
    """What entries (stream id; field, value ...) add up to; what is no event adds nothing."""
    sums: defaultdict[int, Money] = defaultdict(Money)
    windows: defaultdict[int, WindowSums] = defaultdict(WindowSums)
    for stream_id, entry in entries:
        if entry[:10:2] != _NAMES:
            continue
        try:
            number, money = int(entry[5]), Money(int(entry[7]), int(entry[9]), credited(entry))
        except ValueError:
            continue
        is_counted = entry[1] in COUNTED
        if is_counted:
            at_ms, _ = halves(stream_id.decode())
            windows[number].add(named_in(entry), at_ms, *money[:2])
        if is_counted or any(money):
            sums[number] = sums[number].plus(money)
    return {
        number: Checkpoint(money, windows[number].total() if number in windows else NO_WINDOWS)
        for number, money in sums.items()
    }


async def checkpoints(
    store: Store, partition: Partition, numbers: Sequence[int], *, trimmed_ms: int
) -> dict[int, Checkpoint]:
    """Of these customers; nothing for one without trimmed events.

    Args:
        trimmed_ms: What was trimmed was booked by then, Unix ms.

    Raises:
        LedgerUnavailable: the store is away.
    """
    if not numbers:
        return {}
    texts = await store.command("HMGET", partition.checkpoints, *numbers)
    return {number: read(text, trimmed_ms) for number, text in zip(numbers, texts, strict=True)}


def read(text: bytes | None, trimmed_ms: int) -> Checkpoint:
    """Raises ValueError: it is damaged."""
    if text is None:
        return Checkpoint()
    amounts, _, windows = text.partition(b"|")
    return Checkpoint(Money(*map(int, amounts.split())), read_windows(windows, trimmed_ms))


def fields(sums: Mapping[int, Checkpoint]) -> list[str]:
    """What to write: field, value, field, value ..."""
    return [part for number, sum_ in sums.items() for part in (str(number), sum_.written())]


def credited(entry: Sequence[bytes]) -> int:
    """What an entry (field, value, field, value ...) credits its customer, pico-USD.

    Raises:
        ValueError: it does not say it in a number.
    """
    return int(entry[13]) if entry[1] == _CREDIT and entry[12:13] == [_AMOUNT] else 0
