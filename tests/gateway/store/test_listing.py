"""Pages of logs: the same rows in both databases, whatever the way to them."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as with_

from gateway.event import Kind, Status, UsageEvent
from gateway.store.archive import (
    Archive,
    ArchivedEvent,
    Condition,
    LogFilter,
    Place,
    Sort,
    Wanted,
    listing,
)
from gateway.store.archive import model_names as names
from gateway.store.operators import Operator

pytestmark = pytest.mark.anyio

ENDPOINTS = ["chat/completions", "embeddings", "Ünder_%", "", "CHAT/x"]
Check = Callable[[UsageEvent], bool]


@pytest.fixture
def events() -> list[UsageEvent]:
    chance = random.Random(7)
    return [
        UsageEvent(
            request_id=f"r{index:03}",
            kind=Kind.SETTLE,
            at_ms=chance.randrange(100),
            customer_number=chance.choice([1, 2, 3, 4, 5, 6]),
            model=chance.choice(["small", "big"]),
            app=chance.choice(["shop", "chat"]),
            endpoint=chance.choice(ENDPOINTS),
            status=chance.choice([Status.OK, Status.OK, Status.ERROR, Status.ABORTED]),
            status_code=chance.choice([200, 429, 500]),
            latency_ms=chance.choice([None, 5, 6, 7]),
            finish_reason=chance.choice([None, "stop", "length"]),
            stream=chance.random() < 0.5,
            cost_pico=chance.randrange(-5, 5),
        )
        for index in range(300)
    ]


@pytest.fixture
async def archive(tmp_path: Path, archive_url: str | None, events: list[UsageEvent]):
    opened = await Archive.open(tmp_path, archive_url)
    await opened.add([ArchivedEvent(0, f"{i}-0", event) for i, event in enumerate(events, 1)])
    yield opened
    await opened.close()


def on(column: str, operator: Operator, *values: Any) -> LogFilter:
    return LogFilter(conditions=[Condition(column, operator, values)])


FILTERS: list[tuple[LogFilter, Check]] = [
    (LogFilter(), lambda _: True),
    (LogFilter(start_ms=20, end_ms=60), lambda e: 20 <= e.at_ms < 60),
    (LogFilter(customer_numbers=[2]), lambda e: e.customer_number == 2),
    (LogFilter(customer_numbers=[2, 4, 5]), lambda e: e.customer_number in (2, 4, 5)),
    (LogFilter(customer_numbers=[1, 2, 3, 4, 5]), lambda e: e.customer_number != 6),
    (LogFilter(customer_numbers=[]), lambda _: False),
    (LogFilter(not_customers=[1, 2]), lambda e: e.customer_number > 2),
    (
        LogFilter(customer_numbers=[2, 3], model="big", end_ms=80),
        lambda e: e.customer_number in (2, 3) and e.model == "big" and e.at_ms < 80,
    ),
    (LogFilter(model="big"), lambda e: e.model == "big"),
    (LogFilter(app="shop", model="big"), lambda e: (e.app, e.model) == ("shop", "big")),
    (LogFilter(status=Status.ERROR), lambda e: e.status is Status.ERROR),
    (LogFilter(status=Status.OK), lambda e: e.status is Status.OK),
    (
        LogFilter(status_code=429, in_trouble=True),
        lambda e: e.status_code == 429 and e.status is not Status.OK,
    ),
    (on("endpoint", Operator.IEXACT, "chat/X"), lambda e: e.endpoint == "CHAT/x"),
    (on("endpoint", Operator.CONTAINS, "nder_"), lambda e: "nder_" in e.endpoint),
    (on("endpoint", Operator.CONTAINS, "%"), lambda e: "%" in e.endpoint),
    (on("endpoint", Operator.CONTAINS, "chat"), lambda e: "chat" in e.endpoint),
    (on("endpoint", Operator.ICONTAINS, "cHat"), lambda e: "chat" in e.endpoint.lower()),
    (on("endpoint", Operator.STARTSWITH, "Ü", "emb"), lambda e: e.endpoint[:1] in ("Ü", "e")),
    (on("endpoint", Operator.ENDSWITH, "r_%"), lambda e: e.endpoint.endswith("r_%")),
    (on("endpoint", Operator.ENDSWITH, "x" * 40), lambda _: False),
    (on("endpoint", Operator.ISNULL, True), lambda e: not e.endpoint),
    (on("finish_reason", Operator.ISNULL, False), lambda e: e.finish_reason is not None),
    (on("finish_reason", Operator.NOT, "stop"), lambda e: e.finish_reason != "stop"),
    (on("endpoint", Operator.GT, "a"), lambda e: e.endpoint > "a"),
    (on("latency_ms", Operator.LTE, 6), lambda e: e.latency_ms is not None and e.latency_ms < 7),
    (on("latency_ms", Operator.ISNULL, True), lambda e: e.latency_ms is None),
    (on("cost_pico", Operator.LT, -2), lambda e: e.cost_pico < -2),
    (on("stream", Operator.EQUAL, True), lambda e: e.stream),
    (on("failed", Operator.NOT, True), lambda e: not e.failed),
]


async def all_pages(archive: Archive, wanted: LogFilter, *, descending: bool) -> list[str]:
    found: list[str] = []
    after: Place | None = None
    while True:
        page = await archive.page(
            Wanted(filter=wanted, size=110, after=after, descending=descending)
        )
        found += [row.event.request_id for row in page.rows]
        after = page.following
        if after is None:
            return found


async def test_every_way_leads_to_the_same_rows(archive, events, monkeypatch) -> None:
    """In order, each once, by number and by place; also where a walk is cut short."""
    for walked in (20_000, 120):
        monkeypatch.setattr(listing, "WALKED_MAX", walked)
        for wanted, meets in FILTERS:
            for descending in (True, False):
                expected = [
                    event.request_id
                    for _, event in sorted(
                        enumerate(events),
                        key=lambda pair: (pair[1].at_ms, pair[0]),
                        reverse=descending,
                    )
                    if meets(event)
                ]
                assert expected == await all_pages(archive, wanted, descending=descending), wanted


async def test_pages_by_number_are_those_by_place(archive) -> None:
    for wanted, _ in FILTERS[:8]:
        ids = await all_pages(archive, wanted, descending=True)
        page = await archive.page(Wanted(filter=wanted, offset=37, size=37))
        assert ids[37:74] == [row.event.request_id for row in page.rows]
        assert (len(ids), True) == (page.count, page.exact)


async def test_counts_have_a_bound(archive, monkeypatch) -> None:
    """And say so: nobody waits for a number that nobody needs."""
    monkeypatch.setattr(listing, "COUNTED_MAX", 50)

    page = await archive.page(Wanted(filter=LogFilter(), size=10))

    assert (50, False) == (page.count, page.exact)


@pytest.mark.parametrize("sort", [Sort.COST, Sort.LATENCY])
async def test_other_orders_put_the_unknown_last(archive, events, sort) -> None:
    for descending in (True, False):
        page = await archive.page(
            Wanted(filter=LogFilter(), size=300, sort=sort, descending=descending)
        )
        values = [getattr(row.event, sort.value) for row in page.rows]
        known = [value for value in values if value is not None]
        assert sorted(known, reverse=descending) == known
        assert [None] * (len(events) - len(known)) == values[len(known) :]


async def test_names_of_models(archive, events, monkeypatch) -> None:
    """Those of the time asked for, a refused call's too; of very many only the first."""
    odd = [("late", 200, Kind.SETTLE), ("refused", 30, Kind.REFUSE), ("", 30, Kind.SETTLE)]
    await archive.add(
        [
            ArchivedEvent(
                3,
                f"{index}-0",
                with_(events[0], request_id=f"odd{index}", model=model, at_ms=at_ms, kind=kind),
            )
            for index, (model, at_ms, kind) in enumerate(odd, 1)
        ]
    )

    assert ["big", "refused", "small"] == await archive.askers.models(0, 100)
    assert ["late"] == await archive.askers.models(200, 201)
    assert [] == await archive.askers.models(300, 400)
    monkeypatch.setattr(names, "STEPS_MAX", 2)
    assert ["big"] == await archive.askers.models(0, 100)  # after the empty name
