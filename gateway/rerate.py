"""Re-rating: calls of a span priced again by the book of today, and the difference booked.

    for each call in the archive that was priced, or had no price:
        due    = its stored usage, at the price that the book has for its model and instant
        booked = the event's amount and what earlier re-ratings have added
        due - booked, where it is not nothing, is one adjustment

A correction in the book, a price that was missing, a price of the configuration that was
wrong: what is due is always worked out from the start, so that a second run finds nothing.
What cannot be worked out is left as it is, and counted by its reason.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.arithmetic import again_at
from gateway.customers.directory import Directory
from gateway.errors import NotFound
from gateway.event import PRICED_KINDS, Kind, Source, UsageEvent, rerating_id
from gateway.ledger.ledger import Ledger, Recorded
from gateway.rating import REPORTED, Rating
from gateway.store.archive import Archive, ArchivedEvent, Rerated
from gateway.store.keys import Keyspace
from pricing.card import Price
from pricing.money import PPM

EVENTS_AT_ONCE: Final = 1_000
BOOKED_AT_ONCE_MAX: Final = 100
POSTED_LATER_MS: Final = 3_600_000
"""By how much the store's clock, which orders the archive, may be behind a gateway's."""

NOTHING: Final = Rerated()


class Left(StrEnum):
    """Why a call stays as it is; the first is the rule."""

    RIGHT = "right as booked"
    REPORTED = "the provider's own figure was booked"
    NO_PRICE = "no price"
    NO_RATE = "the price has no rate for something used"
    NO_CUSTOMER = "the customer is gone"


@dataclass(frozen=True, slots=True)
class Correction:
    """What a call is to be adjusted by.

    Attributes:
        cost_pico, charge_pico: The differences, signed.
    """

    call: UsageEvent
    before: Rerated
    price: Price
    cost_pico: int
    charge_pico: int

    def event(self, book_version: str) -> UsageEvent:
        """The adjustment to post. It counts where and when its call does."""
        call = self.call
        return UsageEvent(
            request_id=rerating_id(call.request_id, self.before.count + 1),
            adjusts=call.request_id,
            kind=Kind.ADJUST,
            at_ms=call.at_ms,
            cost_pico=self.cost_pico,
            charge_pico=self.charge_pico,
            price_id=self.price.id,
            book_version=book_version,
            unpriced=self.prices_unpriced,
            **{name: getattr(call, name) for name in _OF_THE_CALL},
        )

    @property
    def prices_unpriced(self) -> bool:
        """The call had no price until now."""
        return self.call.unpriced_calls > 0 and not self.before.count


_OF_THE_CALL: Final = (
    "app",
    "scope",
    "group",
    "markup_ppm",
    "endpoint",
    "model",
    "upstream_model",
    "served_model",
    "upstream",
    "provider",
    "service_tier",
    "source",
)


@dataclass(slots=True)
class Change:
    """What a run changes for one customer."""

    calls: int = 0
    unpriced_calls: int = 0
    cost_pico: int = 0
    charge_pico: int = 0

    def add(self, correction: Correction) -> None:
        self.calls += 1
        self.unpriced_calls += correction.prices_unpriced
        self.cost_pico += correction.cost_pico
        self.charge_pico += correction.charge_pico


@dataclass(slots=True)
class Report:
    """What a run has found and done.

    Attributes:
        looked_at: Calls whose usage could be priced again.
        by_customer: By identifier.
        booked: Adjustments posted; `repeated` were there already; `crossed` were beaten by
            another run, which knew something else: run again.
    """

    looked_at: int = 0
    by_customer: dict[str, Change] = field(default_factory=dict)
    left: Counter[Left] = field(default_factory=Counter)
    booked: int = 0
    repeated: int = 0
    crossed: int = 0

    @property
    def total(self) -> Change:
        found = Change()
        for change in self.by_customer.values():
            found.calls += change.calls
            found.unpriced_calls += change.unpriced_calls
            found.cost_pico += change.cost_pico
            found.charge_pico += change.charge_pico
        return found


class Rerating:
    """Of the calls in an archive, by the book of `rating`."""

    def __init__(
        self,
        archive: Archive,
        keyspace: Keyspace,
        directory: Directory,
        ledger: Ledger,
        rating: Rating,
    ) -> None:
        self._archive = archive
        self._keyspace = keyspace
        self._directory = directory
        self._ledger = ledger
        self._rating = rating

    async def run(
        self, since_ms: int, until_ms: int, *, dry: bool, progress: Callable[[float], None]
    ) -> Report:
        """Correct the calls that began from `since_ms` until just before `until_ms`.

        Args:
            dry: Only say what would change.

        Raises:
            LedgerUnavailable: the store went away; what is booked is booked, run again.
            sqlalchemy.exc.SQLAlchemyError: the archive cannot be read.
        """
        report = Report()
        partitions = self._keyspace.partitions
        for done, partition in enumerate(partitions, 1):
            after = f"{max(0, since_ms - POSTED_LATER_MS)}-0"
            rerated = await self._archive.rerated(partition.index, after)
            while page := await self._archive.events_of(partition.index, after, EVENTS_AT_ONCE):
                after = page[-1].stream_id
                in_span = [row for row in page if since_ms <= row.event.at_ms < until_ms]
                await self._take(in_span, rerated, report, dry=dry)
                await asyncio.sleep(0)
            progress(done / len(partitions))
        return report

    async def _take(
        self,
        rows: Sequence[ArchivedEvent],
        rerated: Mapping[str, Rerated],
        report: Report,
        *,
        dry: bool,
    ) -> None:
        found: list[Correction] = []
        numbers: dict[int, int] = {}
        for row in rows:
            if not _has_usage(row.event):
                continue
            report.looked_at += 1
            before = rerated.get(row.event.request_id, NOTHING)
            correction = correction_of(row.event, before, self._rating)
            if isinstance(correction, Left):
                report.left[correction] += 1
            else:
                found.append(correction)
                numbers[row.event.customer_number] = row.partition
        names = await self._directory.identifiers(numbers) if numbers else {}
        for correction in found:
            name = names.get(correction.call.customer_number)
            if name is None:
                report.left[Left.NO_CUSTOMER] += 1
            else:
                report.by_customer.setdefault(name, Change()).add(correction)
        if not dry:
            known = [c for c in found if c.call.customer_number in names]
            for start in range(0, len(known), BOOKED_AT_ONCE_MAX):
                some = known[start : start + BOOKED_AT_ONCE_MAX]
                done = await asyncio.gather(*(self._book(c, names) for c in some))
                report.booked += done.count(Recorded.ACCEPTED)
                report.repeated += done.count(Recorded.DUPLICATE)
                report.crossed += done.count(Recorded.CONFLICT)

    async def _book(self, correction: Correction, names: Mapping[int, str]) -> Recorded | None:
        event = correction.event(self._rating.book.version)
        try:
            return await self._ledger.adjustments.record(
                names[correction.call.customer_number], event
            )
        except NotFound:  # deleted while we were at it
            return None


def correction_of(event: UsageEvent, before: Rerated, rating: Rating) -> Correction | Left:
    """What is due for a call less what is booked for it."""
    price = price_for(event, rating)
    if price is None or event.price_id == REPORTED:
        return Left.NO_PRICE if price is None else Left.REPORTED
    due = [_capped(event, int(c.cost_pico), int(c.charge_pico)) for c in again_at(event, price)]
    if not due:
        return Left.NO_RATE
    # An orphan was posted as charge and as cost alike; its adjust brought the rest.
    orphan = event.hold_pico if event.kind is Kind.ADJUST else 0
    booked = (
        event.cost_pico + orphan + before.cost_pico,
        event.charge_pico + orphan + before.charge_pico,
    )
    unpriced = event.unpriced and not before.count
    if booked in due and not unpriced:
        return Left.RIGHT
    cost_pico, charge_pico = booked if booked in due else due[0]
    return Correction(event, before, price, cost_pico - booked[0], charge_pico - booked[1])


def price_for(event: UsageEvent, rating: Rating) -> Price | None:
    """What the book bills a call by, if it were made again at its instant."""
    names = list(_names(event))
    for name, sent in names:
        rated = rating.known(event.provider, name, event.at_ms, sent=sent)
        if event.served_model:
            rated = rating.served(rated, event.served_model, event.at_ms, event.scope)
        if rated.price is not None:
            return rated.price
    if event.price_id is None or event.price_id == rating.fallback_id:
        name, sent = names[0]
        return rating.rate(event.provider, name, event.at_ms, sent=sent).price
    # No name of it leads anywhere: the price that it names.
    return rating.named(event.price_id, event.provider, (), event.at_ms)


def _names(event: UsageEvent) -> Iterator[tuple[str, bool]]:
    """What its model was called, and whether that was what the upstream was sent.

    A report says what an application asked for. An alias may stand for another model by now,
    so of a call it is what was sent that counts.
    """
    if event.upstream_model:
        yield event.upstream_model, True
    else:
        yield event.model, bool(event.upstream)
        yield event.model.removeprefix(f"{event.upstream}/"), bool(event.upstream)


def _has_usage(event: UsageEvent) -> bool:
    """It says what was used; the adjust of an orphan does, a re-rating does not."""
    return event.kind in PRICED_KINDS or (event.kind is Kind.ADJUST and event.adjusts is None)


def _capped(event: UsageEvent, cost_pico: int, charge_pico: int) -> tuple[int, int]:
    """An estimate that did not pass its hold when it was booked does not pass it now."""
    hold_pico = event.hold_pico
    capped = event.source is Source.ESTIMATED and hold_pico
    if not capped or not event.charge_pico <= hold_pico < charge_pico:
        return cost_pico, charge_pico
    return hold_pico * PPM // (PPM + event.markup_ppm), hold_pico
