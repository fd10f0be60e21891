"""Who asked a model, or made calls with a tag, on both databases."""

import random

import pytest
from sqlalchemy import text

from gateway.event import Kind, UsageEvent
from gateway.store.archive import Archive, ArchivedEvent, listing
from gateway.store.archive.askers import _ASKERS
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


async def test_those_that_used_a_model_within_the_span(archive) -> None:
    """As looking at every call says; what was refused or never sent is no use."""
    chance = random.Random(3)
    kinds = [Kind.SETTLE, Kind.EVENT, Kind.ORPHAN, Kind.REFUSE, Kind.RELEASE, Kind.ADJUST]
    calls = [
        call(second, chance.randrange(1, 9), chance.choice("ab"), kind=chance.choice(kinds))
        for second in range(60)
    ]
    await archive.add(calls)

    for start, end in [(0, 100), (10, 11), (20, 40), (59, 60), (60, 90)]:
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


async def test_an_index_answers_however_many_the_calls(archive) -> None:
    """SQLite says how it goes about it; in PostgreSQL the same index is there."""
    with archive._engine.connect() as connection:
        if archive.is_shared:
            found = "SELECT indexdef FROM pg_indexes WHERE indexname = 'events_by_asker'"
            assert "customer_number" in connection.execute(text(found)).scalar_one()
            return
        how = text(f"EXPLAIN QUERY PLAN {_ASKERS.text}")
        steps = connection.execute(how, {"model": "m", "start_ms": 0, "end_ms": 9}).all()
    of_events = [step.detail for step in steps if "events" in step.detail]
    assert 3 == len(of_events)
    assert all("COVERING INDEX events_by_asker (model=?" in step for step in of_events), of_events


async def test_an_archive_of_before_gets_the_index(tmp_path) -> None:
    before = await Archive.open(tmp_path)
    with before._engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX events_by_asker")
        connection.exec_driver_sql("PRAGMA user_version = 5")
    await before.close()

    archive = await Archive.open(tmp_path)

    assert SCHEMA_VERSION == await archive.version()
    with archive._engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars()
        assert "events_by_asker" in set(names)
    await archive.close()
