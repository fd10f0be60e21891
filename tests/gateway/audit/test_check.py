"""The check finds what is wrong, names it, and finds nothing where nothing is."""

import asyncio
import random

import pytest

from gateway.audit.differences import Finding
from gateway.audit.prices import Prices
from gateway.audit.report import Report
from gateway.event import Kind, Source, UsageEvent
from gateway.ledger.requests import new_request_id
from gateway.metering.backlog import backlog
from gateway.rating import Rating
from pricing.usage import Usage
from tests.gateway.audit.conftest import BOOK, CUSTOMERS, USD

pytestmark = pytest.mark.anyio

NOW_MS = 1_763_726_400_000
RIGHT = 1_400_000_000
(PRICE,) = (price for card in BOOK.cards() for price in card.prices)


@pytest.mark.parametrize("store_server", ["valkey", "redis"], indirect=True)
@pytest.mark.parametrize("deep", [True, False])
async def test_sound_books_have_no_difference(books, deep) -> None:
    """With calls in every state: settled beyond the hold, released, refused, expired, open."""
    await books.fill()

    checked = await books.check(deep=deep)

    assert [] == [d for c in checked for d in c.differences]
    assert 7 * len(CUSTOMERS) == sum(c.events for c in checked)
    assert {deep} == {c.all_counters for c in checked}
    assert (11 * len(CUSTOMERS), len(CUSTOMERS)) == (
        sum(c.sum.held_pico for c in checked),
        sum(c.sum.holds for c in checked),
    )


async def test_an_empty_store_has_no_difference(books) -> None:
    assert [] == await books.differences()


async def wrong_spent(books) -> None:
    await books.bench.command("HINCRBY", await books.account("acme"), "spent", 1)


async def wrong_cost(books) -> None:
    await books.bench.command("HINCRBY", await books.account("acme"), "cost", -(10**13))


async def wrong_window(books) -> None:
    await books.bench.command("HSET", await books.account("acme"), "month.past.charge", -1)


async def window_beyond_all(books) -> None:
    """Its budget would have room without end."""
    await books.bench.command("HSET", await books.account("acme"), "month.past.charge", 2**70)


async def unreadable_window(books) -> None:
    await books.bench.command("HSET", await books.account("acme"), "year.past.cost", "?")


async def window_slightly_off(books) -> None:
    """By one pico-dollar, and nothing else about it looks wrong."""
    await books.bench.command("HINCRBY", await books.account("acme"), "day.past.cost", 1)


async def window_of_its_own(books) -> None:
    """Nobody has charged anything in it: a budget would begin anew."""
    account = await books.account("acme")
    day, *others = (await books.bench.command("HGET", account, "windows")).split()
    text = b" ".join([b"%d" % (int(day) + 86_400), *others])
    await books.bench.command("HSET", account, "windows", text)


async def window_gone_back(books) -> None:
    account = await books.account("acme")
    *others, custom, end = (await books.bench.command("HGET", account, "windows")).split()
    others[3] = b"%d" % (int(others[3]) - 31_536_000)
    await books.bench.command("HSET", account, "windows", b" ".join([*others, custom, end]))


async def lost_windows(books) -> None:
    """All budgets would begin anew."""
    await books.bench.command("HDEL", await books.account("acme"), "windows")


async def unreadable_windows(books) -> None:
    await books.bench.command("HSET", await books.account("acme"), "windows", "?")


async def lost_account(books) -> None:
    await books.bench.command("DEL", await books.account("acme"))


async def lost_hold(books) -> None:
    partition = books.partition("acme")
    (request_id,) = await books.bench.command("HKEYS", partition.holds)
    await books.bench.command("HDEL", partition.holds, request_id)


async def hold_without_expiry(books) -> None:
    await books.bench.command("DEL", books.partition("acme").expiries)


async def expiry_without_hold(books) -> None:
    await books.bench.command("ZADD", books.partition("acme").expiries, 1, "fbx_nobody")


async def unreadable_hold(books) -> None:
    await books.bench.command("HSET", books.partition("acme").holds, "fbx_x", "?")
    await books.bench.command("ZADD", books.partition("acme").expiries, 1, "fbx_x")


async def doubled_event(books) -> None:
    stream = books.partition("acme").stream
    ((_, fields),) = await books.bench.command("XRANGE", stream, "-", "+", "COUNT", 1)
    await books.bench.command("XADD", stream, "*", *fields)
    await books.flush()


async def lost_event(books) -> None:
    stream = books.partition("acme").stream
    ((stream_id, _),) = await books.bench.command("XRANGE", stream, "-", "+", "COUNT", 1)
    await books.bench.command("XDEL", stream, stream_id)


async def lost_stream(books) -> None:
    await books.bench.command("DEL", books.partition("acme").stream)


async def wrong_counter(books) -> None:
    await books.bench.command("HINCRBY", await books.counters("acme"), "charge_pico", 1)


async def wrong_count(books) -> None:
    await books.bench.command("HINCRBY", await books.counters("acme"), "calls", 1)


async def lost_counters(books) -> None:
    await books.bench.command("DEL", await books.counters("acme"))


async def wrong_day(books) -> None:
    partition, number = books.partition("acme"), await books.number("acme")
    (day_key,) = await books.bench.command("KEYS", partition.days(number, "*"))
    await books.bench.command("HSET", day_key, "01", "5", "31", "junk")


@pytest.mark.parametrize(
    ("corrupt", "finding", "subject", "light"),
    [
        (wrong_spent, Finding.SPENT, "spent", True),
        (wrong_cost, Finding.SPENT, "cost", True),
        (wrong_window, Finding.WINDOW, "month.past.charge", True),
        (window_beyond_all, Finding.WINDOW, "month.past.charge", True),
        (window_slightly_off, Finding.WINDOW, "day.past.cost", True),
        (window_of_its_own, Finding.WINDOW, "windows day", True),
        (window_gone_back, Finding.WINDOW, "windows year", True),
        (unreadable_window, Finding.WINDOW, "year.past.cost", True),
        (lost_windows, Finding.WINDOW, "windows", True),
        (unreadable_windows, Finding.WINDOW, "windows", True),
        (lost_account, Finding.SPENT, "spent", True),
        (lost_account, Finding.HELD, "held", True),
        (lost_hold, Finding.HELD, "held", True),
        (lost_hold, Finding.EXPIRY_WITHOUT_HOLD, "fbx_", True),
        (hold_without_expiry, Finding.HOLD_WITHOUT_EXPIRY, "fbx_", True),
        (expiry_without_hold, Finding.EXPIRY_WITHOUT_HOLD, "fbx_nobody", True),
        (unreadable_hold, Finding.HOLD_UNREADABLE, "fbx_x", True),
        (doubled_event, Finding.ENDED_TWICE, "fbx_", True),
        (doubled_event, Finding.SPENT, "spent", True),
        (lost_event, Finding.SPENT, "spent", True),
        (lost_stream, Finding.SPENT, "spent", True),
        (lost_stream, Finding.COUNTER, "charge_pico", True),
        (wrong_counter, Finding.COUNTER, "charge_pico", True),
        (wrong_count, Finding.COUNTER, "calls", False),
        (lost_counters, Finding.COUNTER, "charge_pico", True),
        (lost_counters, Finding.COUNTER, "first_seen_ms", False),
        (wrong_day, Finding.COUNTER, "-01 calls", False),
    ],
)
async def test_a_corruption_is_named(books, corrupt, finding, subject, light) -> None:
    """With its customer where it has one; the light check finds what concerns money."""
    await books.fill()
    await corrupt(books)

    for deep in (True, False):
        found = [
            d
            for d in await books.differences(deep=deep, of="acme")
            if d.finding is finding and subject in d.subject
        ]
        assert bool(found) == (deep or light)
        for d in found:
            assert books.partition("acme").index == d.partition
            assert d.customer in {"acme", None}
            assert (d.customer_number is not None) == (d.customer == "acme")
            assert d.amount != 0


async def test_nobody_else_is_accused(books) -> None:
    """One wrong account is one difference."""
    await books.fill()
    await wrong_spent(books)

    (only,) = await books.differences()

    assert ("spent", "acme", 1) == (only.finding.value, only.customer, only.amount)


async def test_no_false_alarm_beside_live_calls(books) -> None:
    """Holds, settles, expiries, reports and a flusher go on while the books are checked."""
    b, ended = books.bench, asyncio.Event()
    chance = random.Random(1)

    async def calls() -> None:
        while not ended.is_set():
            customer = chance.choice(CUSTOMERS)
            hold = await b.hold(customer, chance.randrange(1, USD))
            await asyncio.sleep(0.002)
            match chance.randrange(4):
                case 0:
                    await b.release(hold)
                case 1:
                    await b.lapse(hold)
                    await b.settle(hold, 5)
                case _:
                    await b.settle(hold, chance.randrange(2 * USD))

    async def flushing() -> None:
        while not ended.is_set():
            await books.flusher.step()
            await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(calls()) for _ in range(4)]
    tasks.append(asyncio.create_task(flushing()))
    found = []
    for deep in (True, False) * 4:
        for customer in CUSTOMERS:
            found += await books.differences(deep=deep, of=customer)
    ended.set()
    await asyncio.gather(*tasks)
    await books.flush()

    assert [] == found + await books.differences()


def reported(charge: int, **facts) -> UsageEvent:
    """1,000 tokens in and 100 out: 1,000 + 400 millionths of a dollar."""
    known = {
        "request_id": new_request_id(NOW_MS),
        "kind": Kind.SETTLE,
        "at_ms": NOW_MS,
        "cost_pico": charge,
        "provider": "lab",
        "model": "small",
        "price_id": PRICE.id,
        "book_version": BOOK.version,
        "usage": Usage(input_tokens=1000, output_tokens=100),
        "source": Source.REPORTED,
    }
    return UsageEvent(**{**known, "charge_pico": charge, **facts})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (reported(RIGHT), []),
        (reported(RIGHT + 1), ["cost", "charge"]),
        (reported(RIGHT, charge_pico=RIGHT + 1), ["charge"]),
        (reported(RIGHT, charge_pico=2 * RIGHT, markup_ppm=1_000_000), []),
        (reported(RIGHT - 1, kind=Kind.EVENT, source=Source.EVENT), ["cost", "charge"]),
        (reported(7, source=Source.ESTIMATED, hold_pico=7), []),
        (reported(7, source=Source.ESTIMATED, hold_pico=8), ["cost", "charge"]),
        (reported(7, error_code="unpriced_audio_in", hold_pico=7), []),
        (reported(7, kind=Kind.ORPHAN), []),
        (reported(-7, kind=Kind.ADJUST), []),
        (reported(0, unpriced=True), []),
        (reported(7, book_version="another"), []),
        (reported(7, price_id="gone"), []),
    ],
)
def test_an_amount_is_what_its_tokens_cost(event, expected) -> None:
    """By the price that it names; what cannot be worked out again is passed over."""
    found = list(Prices(Rating(BOOK)).check(3, event))

    assert expected == [d.subject.split()[1] for d in found]


async def test_a_wrong_price_is_named(books) -> None:
    """Posted as the scripts post it, so that only the price is wrong."""
    wrong = reported(RIGHT + 1, kind=Kind.EVENT)
    await books.bench.ledger.record("acme", lambda _: wrong, idempotency_key=None, fingerprint="f")
    await books.flush()

    found = await books.differences(of="acme")

    assert [("price", 1), ("price", 1)] == [(d.finding.value, d.amount) for d in found]
    assert {"acme"} == {d.customer for d in found}


async def test_it_works_when_memory_is_full(books) -> None:
    """That is when somebody asks: what only reads is never refused."""
    await books.fill()
    await books.bench.command("CONFIG", "SET", "maxmemory", 1)
    try:
        found = await books.differences(of="acme")
        waiting = await backlog(books.bench.store)
    finally:
        await books.bench.command("CONFIG", "SET", "maxmemory", 0)

    assert [] == found
    assert len(CUSTOMERS) == waiting.holds


async def test_what_could_not_be_read_is_neither_right_nor_wrong() -> None:
    """`ok` is null then, as it is in `GET /api/audit`; a difference makes it false."""
    report = Report(0)
    assert report.to_json()["ok"] is True
    report.miss(3, ValueError("trimmed"))
    assert report.to_json()["ok"] is None
    report.add([], 1)
    assert report.to_json()["ok"] is False
