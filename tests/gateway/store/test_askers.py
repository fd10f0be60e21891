"""Who asked a model, or made calls with a tag, on both databases."""

import random
from itertools import product

import pytest

from gateway.event import Kind, UsageEvent
from gateway.store.archive import ArchivedEvent, askers, listing
from gateway.store.archive.table import SCHEMA_VERSION

pytestmark = pytest.mark.anyio


def call(second: int, customer: int, model: str = "m", **known) -> ArchivedEvent:
    event = UsageEvent(
        request_id=f"{customer}-{second}-{model}",
        kind=known.pop("kind", Kind.SETTLE),
        at_ms=second,
        customer_number=customer,
        model=model,
        **known,
    )
    return ArchivedEvent(customer % 3, f"{second}-{customer}", event)


async def test_those_that_used_a_model_within_the_span(archive, monkeypatch) -> None:
    """As looking at every call says; what was refused or never sent is no use."""
    chance = random.Random(3)
    kinds = [Kind.SETTLE, Kind.EVENT, Kind.ORPHAN, Kind.REFUSE, Kind.RELEASE, Kind.ADJUST]
    calls = [
        call(second, chance.randrange(1, 9), chance.choice("ab"), kind=chance.choice(kinds))
        for second in range(60)
    ]
    monkeypatch.setattr(askers, "WEEKS_MS", 20)
    for some in (calls[:40], calls[40:], calls[10:20]):  # the same again changes nothing
        await archive.add(some)

    for start, end in product(range(0, 60, 3), range(1, 70, 3)):
        for model in ("a", "b", "c", ""):
            used = {
                one.event.customer_number: one.partition
                for one in calls
                if start <= one.event.at_ms < end
                and one.event.model == model
                and one.event.is_usage
            }
            found = await archive.askers.of(start, end, model=model)
            assert used == (found.places if model else {})
            assert found.complete


async def test_those_whose_calls_have_a_tag(archive, monkeypatch) -> None:
    tags = [("Order-17",), ("other",), ("ORDER-18", "b"), ("order-19",)]
    await archive.add(
        [
            call(second, second, *model, metadata={"thread_identifier": tag})
            for second, (tag, *model) in enumerate(tags, 1)
        ]
    )
    await archive.add([call(5, 5, kind=Kind.REFUSE, metadata={"note": "order"}), call(6, 6)])

    assert {1: 1, 3: 0, 4: 1} == (await archive.askers.of(0, 100, tag="order")).places
    assert {3: 0} == (await archive.askers.of(0, 100, model="b", tag="order")).places
    assert {3: 0} == (await archive.askers.of(2, 4, tag="order")).places
    monkeypatch.setattr("gateway.store.archive.askers.WALKED_MAX", 3)
    monkeypatch.setattr(listing, "WALKED_MAX", 3)
    found = await archive.askers.of(0, 100, tag="order")  # of the latest three
    assert ({4: 1}, False) == (found.places, found.complete)


async def test_a_model_that_no_text_can_be(archive) -> None:
    """What a caller made up is archived, whatever the database has in place of it."""
    await archive.add([call(1, 1, "a\0b"), call(2, 2, "")])

    names = await archive.askers.models(0, 9)

    assert [{1: 1}] == [(await archive.askers.of(0, 9, model=name)).places for name in names]


async def test_what_was_archived_before_is_noted_at_the_first_start(archive) -> None:
    await archive.add([call(1, 1), call(2, 1), call(2, 2, kind=Kind.REFUSE)])
    older = "UPDATE archive_version SET version = 5"
    with archive._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE askers")
        connection.exec_driver_sql(older if archive.is_shared else "PRAGMA user_version = 5")

    archive._is_prepared = False
    await archive.prepare()

    assert SCHEMA_VERSION == await archive.version()
    assert {1: 1} == (await archive.askers.of(1, 2, model="m")).places
    assert {} == (await archive.askers.of(3, 9, model="m")).places
