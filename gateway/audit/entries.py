"""Reading a partition's live events, oldest first, while others append to and trim them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from gateway.audit.snapshot import Position, position, spelled
from gateway.event import UsageEvent, decode
from gateway.metering.checkpoints import credited
from gateway.metering.window_sums import named_in
from gateway.store.client import Store
from gateway.store.keys import Partition

PAGE_ENTRIES_MAX: Final = 500

_NAMES: Final = [b"k", b"id", b"n", b"a", b"c"]


class Trimmed(Exception):
    """What was still to be read is gone: begin again with the checkpoints of now."""


class Entry(NamedTuple):
    """A stream entry as far as money goes; `event` decodes the rest.

    `windows` are those that it names, as it does; None: it names none.
    """

    at: Position
    kind: bytes
    request_id: bytes
    number: int
    charge_pico: int
    cost_pico: int
    credit_pico: int
    windows: bytes | None
    fields: Sequence[bytes]

    def event(self) -> UsageEvent:
        """Raises ValueError: the entry is no event of ours."""
        return decode(self.fields)


class Page(NamedTuple):
    """Entries, and where reading goes on; `alien` of them were no events."""

    entries: Sequence[Entry]
    last: Position
    alien: int


async def pages(
    store: Store, partition: Partition, after: Position, until: Position
) -> AsyncIterator[Page]:
    """The entries in (after, until], whole, in pages.

    Raises:
        Trimmed: some of them were trimmed before they were read.
        LedgerUnavailable: the store is away.
    """
    while after < until:
        found, trimmed = await store.commands(
            [
                (
                    *("XRANGE", partition.stream, f"({spelled(after)}" if any(after) else "-"),
                    *(spelled(until), "COUNT", PAGE_ENTRIES_MAX),
                ),
                ("HGET", partition.cursors, "trim"),
            ]
        )
        # Asked after the entries were read: what had been trimmed by then lies before them.
        if position(trimmed or b"") > after:
            raise Trimmed
        if not found:
            return
        page = _page(found)
        yield page
        after = page.last


def _page(found: Sequence[Any]) -> Page:
    entries: list[Entry] = []
    for stream_id, fields in found:
        try:
            if fields[:10:2] != _NAMES:
                raise ValueError
            _, kind, _, request_id, _, number, _, charge, _, cost = fields[:10]
            entries.append(
                Entry(
                    position(stream_id),
                    kind,
                    request_id,
                    int(number),
                    int(charge),
                    int(cost),
                    credited(fields),
                    named_in(fields),
                    fields,
                )
            )
        except ValueError:
            continue
    return Page(entries, position(found[-1][0]), len(found) - len(entries))
