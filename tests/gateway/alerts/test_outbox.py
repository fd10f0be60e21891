"""The outbox: each alert once, however many see it; nothing forgotten before its time."""

import asyncio
from dataclasses import replace

import pytest

from gateway.store.archive import Archive, State
from gateway.store.archive.outbox import KEPT_MS, YEAR_MS, Noted

pytestmark = pytest.mark.anyio

URL = "https://hooks.example.com"
ALERT = Noted(
    once="customer:c period_budget 5 budget.threshold 50",
    topic="budget.threshold",
    subject="customer:c",
    limit="period_budget",
    at_ms=1_000,
    until_ms=9_000,
    data={"customer_identifier": "c"},
    body=b"{}",
    urls=[URL, URL + "/2"],
)


@pytest.fixture
async def archive(tmp_path):
    opened = await Archive.open(tmp_path)
    yield opened
    await opened.close()


async def test_many_who_see_it_at_once_note_it_once(tmp_path):
    archives = [await Archive.open(tmp_path) for _ in range(4)]
    new = await asyncio.gather(*(a.outbox.note([ALERT, ALERT]) for a in archives * 3))
    assert 1 == sum(new)
    count, found = await archives[0].outbox.page(0, 10)
    assert (2, {URL, URL + "/2"}) == (count, {d.url for d in found})
    assert 2 == len({d.message_id for d in found})
    for archive in archives:
        await archive.close()


async def test_an_alert_that_nobody_wants_is_still_noted(archive):
    """Else it would be told of late, once somebody does."""
    assert 1 == await archive.outbox.note([replace(ALERT, urls=[])])
    assert 0 == await archive.outbox.note([ALERT])
    assert [] == await archive.outbox.due(10**15)


async def test_what_was_tried_is_due_again_in_its_time(archive):
    await archive.outbox.note([replace(ALERT, urls=[URL])])
    (due,) = await archive.outbox.due(1_000)
    await archive.outbox.tried(replace(due, attempts=1, due_ms=2_000, problem="no"))
    assert [] == await archive.outbox.due(1_999)
    (again,) = await archive.outbox.due(2_000)
    assert (1, "no", due.message_id) == (again.attempts, again.problem, again.message_id)
    await archive.outbox.tried(replace(again, state=State.TAKEN, taken_ms=2_500))
    await archive.outbox.tried(replace(again, state=State.GIVEN_UP))  # a slower twin
    (taken,) = (await archive.outbox.page(0, 10))[1]
    assert (State.TAKEN, 2_500) == (taken.state, taken.taken_ms)
    assert not await archive.outbox.again(taken.message_id, 3_000)


async def test_the_end_of_a_window_is_told_once_for_all_its_alerts(archive):
    more = replace(ALERT, once=ALERT.once.replace("50", "80"))
    ever = replace(ALERT, once="customer:c total_budget 0 x", limit="total_budget", until_ms=0)
    await archive.outbox.note([ALERT, more, ever])
    assert [] == await archive.outbox.over(8_999)
    (over,) = await archive.outbox.over(9_000)
    assert ("customer:c", "period_budget", 9_000) == (over.subject, over.limit, over.until_ms)
    await archive.outbox.told_over(over)
    assert [] == await archive.outbox.over(10**15)


async def test_what_names_a_customer_can_be_erased(archive):
    other = replace(ALERT, once="customer:d", subject="customer:d")
    await archive.outbox.note([ALERT, other])
    group = replace(ALERT, once="group:c", subject="group:c")
    await archive.outbox.note([group])
    assert ["c", "d"] == await archive.outbox.customers()
    assert ["d"] == await archive.outbox.customers(after="c")
    assert 3 == await archive.outbox.erase(["customer:c"])
    assert ["d"] == await archive.outbox.customers()
    await archive.outbox.erase(["group:c"])
    assert 2 == (await archive.outbox.page(0, 10))[0]
    assert 1 == await archive.outbox.note([ALERT])


async def test_what_is_old_goes_and_what_still_waits_stays(archive):
    await archive.outbox.note([ALERT])
    waiting, taken = await archive.outbox.due(1_000)
    await archive.outbox.tried(replace(taken, state=State.TAKEN))
    await archive.outbox.forget(1_000 + KEPT_MS)
    assert 2 == (await archive.outbox.page(0, 10))[0]
    await archive.outbox.forget(1_001 + KEPT_MS)
    assert [waiting.message_id] == [d.message_id for d in (await archive.outbox.page(0, 10))[1]]
    assert 0 == await archive.outbox.note([ALERT])
    await archive.outbox.forget(9_001 + YEAR_MS)
    assert 1 == await archive.outbox.note([ALERT])
