"""The auditor goes round, keeps what it finds, and says each thing once."""

import asyncio
import logging
from typing import Any

import pytest

from gateway.audit.auditor import Auditor
from gateway.audit.records import KEPT_MAX, records, summary
from tests.gateway.audit.conftest import CUSTOMERS

pytestmark = pytest.mark.anyio
PARTITIONS = 64


@pytest.fixture
def auditor(books) -> Auditor:
    return Auditor(books.bench.store, books.bench.clock)


async def state(books):
    return summary(await records(books.bench.store), PARTITIONS)


async def round_of(auditor: Auditor) -> None:
    for _ in range(PARTITIONS):
        await auditor.step()


async def test_nothing_is_claimed_before_the_first_round(books, auditor) -> None:
    """Null is not true: until every partition has been looked at, nobody knows."""
    unknown: dict[str, Any] = {"ok": None, "checked_at": None, "partitions": 0, "differences": []}
    assert unknown == await state(books)

    await auditor.step()

    assert {**unknown, "partitions": 1} == await state(books)


async def test_a_round_of_sound_books_is_ok(books, auditor) -> None:
    """Of all workers together: another one goes on where this one stopped."""
    await books.fill()
    for _ in range(PARTITIONS // 2):
        await auditor.step()
    other = Auditor(books.bench.store, books.bench.clock)
    for _ in range(PARTITIONS // 2):
        await other.step()

    found = await state(books)

    assert (True, PARTITIONS, []) == (found["ok"], found["partitions"], found["differences"])
    assert found["checked_at"].endswith("Z")
    sums = [record.sum for record in (await records(books.bench.store)).values()]
    assert len(CUSTOMERS) == sum(s.holds for s in sums)
    assert 11 * len(CUSTOMERS) == sum(s.held_pico for s in sums)


async def test_a_difference_is_kept_and_logged_once(books, auditor, caplog) -> None:
    """At error level, with its customer; found again, it is not said again."""
    caplog.set_level(logging.ERROR)
    await books.fill()
    await books.bench.command("HINCRBY", await books.account("acme"), "spent", -5 * 10**11)

    await round_of(auditor)
    await round_of(Auditor(books.bench.store, books.bench.clock))

    found = await state(books)
    (difference,) = found["differences"]
    assert found["ok"] is False
    assert {
        "kind": "spent",
        "partition": books.partition("acme").index,
        "customer": {"number": str(await books.number("acme")), "identifier": "acme"},
        "subject": "spent",
        "unit": "usd",
        "difference": "-0.5",
    } == {name: difference[name] for name in difference if name not in {"expected", "found"}}
    assert 1 == sum("books_differ" in r.message for r in caplog.records)


async def test_a_difference_that_is_gone_is_gone(books, auditor) -> None:
    await books.fill()
    await books.bench.command("HINCRBY", await books.account("acme"), "held", 1)
    await round_of(auditor)
    await books.bench.command("HINCRBY", await books.account("acme"), "held", -1)
    assert (await state(books))["ok"] is False

    await round_of(auditor)

    assert (await state(books))["ok"] is True


async def test_what_is_kept_has_an_end(books, auditor) -> None:
    """A thousand differences are counted; the first hundred are kept."""
    await books.fill()
    expiries = books.partition("acme").expiries
    many = [part for i in range(1_000) for part in (1, f"fbx_{i}")]
    await books.bench.command("ZADD", expiries, *many)

    await round_of(auditor)

    record = (await records(books.bench.store))[books.partition("acme").index]
    assert (1_000, KEPT_MAX) == (record.found, len(record.differences))


async def test_it_outlives_an_outage(books, auditor, monkeypatch) -> None:
    """A step that fails is logged and repeated; the task goes on."""
    monkeypatch.setattr("gateway.audit.auditor.FAILED_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("gateway.audit.auditor.SHARE_MAX", 1.0)
    monkeypatch.setattr("gateway.audit.auditor.ROUND_SECONDS", 0.064)
    await books.bench.command("SET", "{fb}audit", "no hash")
    task = asyncio.create_task(auditor.run())
    await asyncio.sleep(0.05)
    assert not task.done()
    await books.bench.command("DEL", "{fb}audit")

    while len(await records(books.bench.store)) < 3:
        assert not task.done()
        await asyncio.sleep(0.01)

    task.cancel()
