"""Re-rating: what is due for a call, less what is booked for it; no more, and only once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.audit.check import Check
from gateway.audit.differences import Difference
from gateway.audit.survey import survey
from gateway.event import Kind, Source, UsageEvent, rerating_id
from gateway.ledger.requests import new_request_id
from gateway.metering.counters import Counters
from gateway.metering.flusher import Flusher
from gateway.rating import Fallback, Rating
from gateway.rerate import NOTHING, Correction, Left, Report, Rerating, correction_of, price_for
from gateway.store.archive import Archive, LogFilter, Rerated
from pricing.book import PriceBook
from pricing.names import OwnNames, Target
from pricing.usage import Usage
from tests.support.ledgers import Bench, bench

pytestmark = pytest.mark.anyio

MICRO = 1_000_000
"""One USD per million tokens, in pico-USD a token."""

EMPTY = PriceBook((), "book-1")
UTC = ZoneInfo("UTC")


def book(rate: str, model: str = "small") -> PriceBook:
    entry = {"provider": "lab", "model": model, "base": {"input": rate, "output": "4"}}
    return EMPTY.overlaid([entry])


def call(**facts) -> UsageEvent:
    """Ten input tokens of `small`, billed at 1 USD per million."""
    return UsageEvent(
        **{
            "request_id": "fbx_" + "0" * 32,
            "kind": Kind.SETTLE,
            "at_ms": 1_800_000_000_000,
            "provider": "lab",
            "model": "small",
            "price_id": "lab/small@0",
            "usage": Usage(input_tokens=10),
            "cost_pico": 10 * MICRO,
            "charge_pico": 10 * MICRO,
            "source": Source.REPORTED,
            "latency_ms": 5,
            **facts,
        }
    )


def due(event: UsageEvent, by: PriceBook, before: Rerated = NOTHING) -> tuple[int, int] | Left:
    """The differences in cost and charge, in tokens' worth at one USD per million."""
    found = correction_of(event, before, Rating(by))
    if isinstance(found, Correction):
        return found.cost_pico // MICRO, found.charge_pico // MICRO
    return found


@pytest.mark.parametrize(
    ("event", "by", "expected"),
    [
        (call(), book("1"), Left.RIGHT),
        (call(), book("3"), (20, 20)),
        (call(), book("0.5"), (-5, -5)),
        (call(), EMPTY, Left.NO_PRICE),
        (call(charge_pico=20 * MICRO, markup_ppm=1_000_000), book("3"), (20, 40)),
        (call(price_id="reported"), book("3"), Left.REPORTED),
        # The model that was served bills, where the book has it.
        (call(served_model="small-2"), book("3", "small-2"), (20, 20)),
        (call(served_model="other"), book("3"), (20, 20)),
        (call(model="up/small", upstream="up"), book("3"), (20, 20)),
        (call(model="up/x", upstream_model="small", upstream="up"), book("3"), (20, 20)),
        # No price then: nothing was booked. None now: nothing can be.
        (call(unpriced=True, price_id=None, cost_pico=0, charge_pico=0), book("3"), (30, 30)),
        (call(unpriced=True, price_id=None, cost_pico=0, charge_pico=0), EMPTY, Left.NO_PRICE),
        # A part that still has no rate is not billed by another one's.
        (call(usage=Usage(audio_in_tokens=3)), book("3"), Left.NO_RATE),
        # What was held for a part without a rate becomes its price.
        (
            call(
                charge_pico=99 * MICRO,
                cost_pico=99 * MICRO,
                hold_pico=99 * MICRO,
                error_code="unpriced_input",
            ),
            book("3"),
            (-69, -69),
        ),
        # An estimate never passes its hold.
        (call(source=Source.ESTIMATED, hold_pico=12 * MICRO), book("3"), (2, 2)),
        (call(source=Source.ESTIMATED, hold_pico=0), book("3"), (20, 20)),
        (call(source=Source.ESTIMATED, hold_pico=5 * MICRO), book("3"), (20, 20)),
        # The adjust of an orphan has the usage; what was posted first is in its hold.
        (
            call(
                kind=Kind.ADJUST,
                hold_pico=40 * MICRO,
                cost_pico=-30 * MICRO,
                charge_pico=-30 * MICRO,
            ),
            book("3"),
            (20, 20),
        ),
    ],
)
def test_what_is_due(event, by, expected) -> None:
    assert expected == due(event, by)


NAMED = book("3").named(
    OwnNames(
        aliases={"fast": Target(None, "small"), "small": Target(None, "gone")},
        deployments={("lab", "prod"): Target("lab", "small"), ("own", "m"): Target("lab", "small")},
    )
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # An alias counts in a report; of a call, what was sent for it then.
        ({"model": "fast"}, (20, 20)),
        ({"model": "fast", "upstream": "up", "price_id": None}, Left.NO_PRICE),
        ({"model": "fast", "upstream": "up", "upstream_model": "small"}, (20, 20)),
        # What is now an alias for another model was the model itself when it was sent.
        ({"model": "small", "upstream": "up"}, (20, 20)),
        ({"model": "small", "price_id": None}, Left.NO_PRICE),
        # A deployment costs what it is said to be today.
        ({"model": "prod", "upstream": "up"}, (20, 20)),
        ({"model": "up/prod", "upstream": "up", "upstream_model": "prod"}, (20, 20)),
        ({"model": "m", "upstream": "up", "provider": "own"}, (20, 20)),
        # The served model is looked for where the deployment's price is.
        ({"model": "m", "upstream": "up", "provider": "own", "served_model": "small"}, (20, 20)),
        ({"model": "m", "upstream": "up", "provider": "own", "served_model": "x"}, (20, 20)),
    ],
)
def test_own_names_in_what_is_due(facts, expected) -> None:
    assert expected == due(call(**facts), NAMED)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (Rerated(1, 20 * MICRO, 20 * MICRO), Left.RIGHT),
        (Rerated(1, 5 * MICRO, 5 * MICRO), (15, 15)),
        (Rerated(2, 25 * MICRO, 25 * MICRO), (-5, -5)),
    ],
)
def test_what_earlier_reratings_have_added_is_booked(before, expected) -> None:
    """So that a second run finds nothing, and a third book starts from what is there."""
    assert expected == due(call(), book("3"), before)


def test_a_free_price_is_a_price() -> None:
    """An unpriced call that turns out to be free is adjusted by nothing, and priced now."""
    event = call(unpriced=True, price_id=None, cost_pico=0, charge_pico=0)
    free = EMPTY.overlaid([{"provider": "lab", "model": "small", "free": True}])

    found = correction_of(event, NOTHING, Rating(free))

    assert isinstance(found, Correction)
    assert (0, 0, True) == (found.cost_pico, found.charge_pico, found.prices_unpriced)
    assert Left.RIGHT == correction_of(event, Rerated(1, 0, 0), Rating(free))


def test_the_fallback_prices_only_what_had_no_price() -> None:
    """A model that has left the book is not billed anew by a price that is dear on purpose."""
    rating = Rating(
        EMPTY, unpriced=Fallback(input_usd="10", output_usd="30", output_max_tokens=100)
    )
    without = call(unpriced=True, price_id=None)

    dear = price_for(without, rating)
    assert dear is not None
    assert rating.fallback_id == dear.id
    assert dear == price_for(call(price_id=dear.id), rating)
    assert price_for(call(), rating) is None


def test_a_name_that_leads_nowhere_keeps_the_price_it_names() -> None:
    """An operator's alias was resolved on the way: the event knows by what it was billed."""
    found = price_for(call(model="my-deployment"), Rating(book("3")))

    assert found is not None
    assert "lab/small@0" == found.id


@dataclass
class Bookkeeping:
    bench: Bench
    archive: Archive
    flusher: Flusher

    async def call(self, customer: str = "acme", **facts) -> str:
        """A settled call of today."""
        request_id = new_request_id(self.bench.clock.now_ms())
        hold = await self.bench.hold(customer, 10**12, request_id=request_id, app="my-app")
        event = call(request_id=request_id, at_ms=self.bench.clock.now_ms(), app="my-app", **facts)
        await self.bench.ledger.settle(hold, event)
        return request_id

    async def flush(self) -> None:
        while await self.flusher.step():
            pass

    async def earlier(self) -> Callable[[], Awaitable[None]]:
        """The store as it is now; what is returned takes it back to that, the archive not."""
        command = self.bench.command
        kept = {key: await command("DUMP", key) for key in await command("KEYS", "*")}

        async def back() -> None:
            await command("FLUSHALL")
            for key, value in kept.items():
                await command("RESTORE", key, 0, value)

        return back

    async def rerate(self, by: PriceBook) -> Report:
        """Without waiting for the archive, before or after."""
        bench = self.bench
        rerating = Rerating(
            self.archive, bench.store.keyspace, bench.directory, bench.ledger, Rating(by)
        )
        until_ms = bench.clock.now_ms() + 1
        return await rerating.run(0, until_ms, dry=False, progress=lambda _: None)

    async def differences(self) -> list[Difference]:
        """As `farebox ledger verify --full` finds them."""
        check = Check(self.bench.store, zone=UTC, rating=Rating(EMPTY), archive=self.archive)
        known = await survey(self.bench.store, counters=True)
        checked = [await check.run(p, known[p.index]) for p in self.bench.store.keyspace.partitions]
        return [found for each in checked for found in each.differences]

    async def run(self, by: PriceBook, *, dry: bool = False, since_ms: int = 0) -> Report:
        await self.flush()
        shares: list[float] = []
        rerating = Rerating(
            self.archive,
            self.bench.store.keyspace,
            self.bench.directory,
            self.bench.ledger,
            Rating(by),
        )
        until_ms = self.bench.clock.now_ms() + 1
        report = await rerating.run(since_ms, until_ms, dry=dry, progress=shares.append)
        assert sorted(shares) == shares
        assert 1.0 == shares[-1]
        await self.flush()
        return report


@pytest.fixture
async def books(url: str, tmp_path: Path) -> AsyncIterator[Bookkeeping]:
    archive = await Archive.open(tmp_path)
    async with bench(url) as b:
        yield Bookkeeping(b, archive, Flusher(b.store, archive, zone=UTC, clock=b.clock))
    await archive.close()


async def test_a_dry_run_sums_by_customer_and_books_nothing(books) -> None:
    await books.call("acme")
    await books.call("acme")
    await books.call("zeta", charge_pico=20 * MICRO, markup_ppm=1_000_000)

    report = await books.run(book("3"), dry=True)

    assert {"acme": (2, 40, 40), "zeta": (1, 20, 40)} == {
        name: (change.calls, change.cost_pico // MICRO, change.charge_pico // MICRO)
        for name, change in report.by_customer.items()
    }
    assert (3, 60, 80) == (
        report.total.calls,
        report.total.cost_pico // MICRO,
        report.total.charge_pico // MICRO,
    )
    assert (3, 0) == (report.looked_at, report.booked)
    assert 20 * MICRO == await books.bench.spent("acme")


async def test_r45_running_twice_changes_nothing(books) -> None:
    """Nor before the first run's adjustments are archived, nor after."""
    request_id = await books.call("acme")
    await books.flush()
    rerating = Rerating(
        books.archive,
        books.bench.store.keyspace,
        books.bench.directory,
        books.bench.ledger,
        Rating(book("3")),
    )
    until_ms = books.bench.clock.now_ms() + 1

    first, second = [
        await rerating.run(0, until_ms, dry=False, progress=lambda _: None) for _ in range(2)
    ]
    third = await books.run(book("3"))

    assert (1, 0) == (first.booked, first.repeated)
    assert (0, 1) == (second.booked, second.repeated)
    assert (0, 0, 1) == (third.total.calls, third.booked, third.left[Left.RIGHT])
    assert 30 * MICRO == await books.bench.spent("acme")
    (added,) = await books.archive.adjustments(request_id)
    assert (20 * MICRO, request_id, "lab/small@0") == (
        added.event.charge_pico,
        added.event.adjusts,
        added.event.price_id,
    )


async def test_r45_adjustments_that_the_store_lost_are_booked_by_running_again(books) -> None:
    """It came back as it was before, and the archive had not seen them yet."""
    await books.call("acme")
    await books.flush()
    back = await books.earlier()
    assert 1 == (await books.rerate(book("3"))).booked
    await back()
    assert 10 * MICRO == await books.bench.spent("acme")

    again = await books.rerate(book("3"))
    await books.flush()

    assert (1, 0) == (again.booked, again.repeated)
    assert 30 * MICRO == await books.bench.spent("acme")
    assert [] == await books.differences()


async def test_r45_adjustments_that_only_the_archive_has_are_named(books) -> None:
    """Running again books nothing, since they are booked there: the check has to say so."""
    request_id = await books.call("acme")
    await books.flush()
    back = await books.earlier()
    assert 1 == (await books.run(book("3"))).booked
    await back()

    again = await books.rerate(book("3"))
    found = await books.differences()

    assert (0, 1) == (again.booked, again.left[Left.RIGHT])
    assert 10 * MICRO == await books.bench.spent("acme")
    assert {"acme"} == {difference.customer for difference in found}, found
    assert any(rerating_id(request_id, 1) in str(difference) for difference in found), found


async def test_r45_book_after_book_ends_at_the_last(books) -> None:
    """There and back again: each run starts from what is booked, not from the first amount."""
    request_id = await books.call("acme")
    for rate in ("3", "1", "3", "2"):
        assert 1 == (await books.run(book(rate))).booked

    assert 20 * MICRO == await books.bench.spent("acme")
    added = await books.archive.adjustments(request_id)
    assert [20, -20, 20, -10] == [row.event.charge_pico // MICRO for row in added]


async def test_r45_two_books_at_once_are_told_apart(books) -> None:
    """Neither has seen the other's adjustment: one is booked, the other is to run again."""
    await books.call("acme")
    await books.flush()
    runs = [
        Rerating(
            books.archive,
            books.bench.store.keyspace,
            books.bench.directory,
            books.bench.ledger,
            Rating(by),
        )
        for by in (book("3"), book("5"))
    ]
    until_ms = books.bench.clock.now_ms() + 1

    one, other = [await r.run(0, until_ms, dry=False, progress=lambda _: None) for r in runs]

    assert (1, 0, 0, 1) == (one.booked, one.crossed, other.booked, other.crossed)
    assert 30 * MICRO == await books.bench.spent("acme")


async def test_r12_an_unpriced_call_is_priced_when_its_price_comes(books) -> None:
    """Counted as unpriced until then, everywhere; not any more after."""
    await books.call("acme", unpriced=True, price_id=None, cost_pico=0, charge_pico=0)
    await books.call("acme")
    await books.flush()
    (waiting,) = await books.archive.unpriced(LogFilter())
    assert ("lab", "small", 1, 10, 1) == (
        waiting.provider,
        waiting.model,
        waiting.requests,
        waiting.tokens,
        waiting.customer_count,
    )
    assert 1 == (await books.archive.summary(LogFilter())).unpriced

    report = await books.run(book("1"))

    assert (1, 1) == (report.booked, report.total.unpriced_calls)
    assert [] == await books.archive.unpriced(LogFilter())
    summary = await books.archive.summary(LogFilter())
    assert (0, 2, 20 * MICRO) == (summary.unpriced, summary.requests, summary.charge_pico)
    profile = await books.bench.directory.load("acme")
    partition = books.bench.directory.partition_of("acme")
    lifetime = await Counters(books.bench.store, UTC).lifetime(partition, profile.number)
    assert (0, 2, 20 * MICRO) == (
        lifetime.totals.unpriced,
        lifetime.totals.calls,
        lifetime.totals.charge_pico,
    )


async def test_only_the_calls_of_the_span_are_looked_at(books) -> None:
    """From the first instant on, until just before the last."""
    await books.call("acme")
    report = await books.run(book("3"), since_ms=books.bench.clock.now_ms() + 60_000)

    assert (0, 0) == (report.looked_at, report.booked)


async def test_what_has_no_usage_is_passed_over(books) -> None:
    """An orphan, a release: nothing to price."""
    b = books.bench
    await b.lapse(await b.hold("acme", 50))
    await b.release(await b.hold("acme", 50))

    report = await books.run(book("3"))

    assert (0, 0) == (report.looked_at, report.booked)
    assert 50 == await b.spent("acme")


async def test_an_adjustment_carries_what_analytics_group_by(books) -> None:
    """Model, app and source of the call; no tokens, no latency: it is no call."""
    request_id = await books.call("acme", service_tier="standard", group="team")
    report = await books.run(book("3"))
    assert 1 == report.booked
    (added,) = await books.archive.adjustments(request_id)
    event = added.event
    assert ("my-app", "team", "lab", "small", "standard", Source.REPORTED) == (
        event.app,
        event.group,
        event.provider,
        event.model,
        event.service_tier,
        event.source,
    )
    assert (Usage(), None, 0) == (event.usage, event.latency_ms, event.hold_pico)
    assert 0 == event.unresolved_pico
