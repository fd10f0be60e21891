"""One row for each thing that happened, in however many lives of a store its event was posted."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.event import Kind, Status, UsageEvent
from gateway.store.archive import Archive, ArchivedEvent, LogFilter, Rerated
from gateway.store.archive.database import FILE_NAME
from gateway.store.archive.table import SCHEMA_VERSION
from gateway.store.stream_ids import halves

pytestmark = pytest.mark.anyio
FIRST_SCHEMA = Path(__file__).with_name("archive_v1.sql").read_text()


async def test_reratings_have_rows_of_their_own(archive) -> None:
    """A call may be rated again any number of times; each has an id, and all are found by its."""
    await archive.add([row("5-1", Kind.SETTLE, 40)])
    await archive.add([row("6-1", Kind.ADJUST, 3, request_id="r.1", adjusts="r")])
    await archive.add([row("7-1", Kind.ADJUST, -1, request_id="r.2", adjusts="r")])
    await archive.add([row("6-2", Kind.SETTLE, 9, request_id="r2")])
    await archive.add([row("7-2", Kind.ADJUST, 1, request_id="r2.1", adjusts="r2")])

    assert [3, -1] == [added.event.charge_pico for added in await archive.adjustments("r")]
    assert {"r": Rerated(2, 0, 2), "r2": Rerated(1, 0, 1)} == await archive.rerated(0, "")
    assert {"r": Rerated(1, 0, -1), "r2": Rerated(1, 0, 1)} == await archive.rerated(0, "6-2")
    found = await archive.one("r.2")
    assert found is not None
    assert "r" == found.event.adjusts


async def test_a_rerating_goes_when_its_call_comes_again_behind_it(archive) -> None:
    """The store has lost both, and the gateway told only the call again."""
    await archive.add([row("5-1", Kind.SETTLE, 40)])
    await archive.add([row("6-1", Kind.ADJUST, 3, request_id="r.1", adjusts="r")])
    await archive.add([row("6-2", Kind.ADJUST, 3, request_id="r2.1", adjusts="r2")])

    await archive.add([row("7-1", Kind.SETTLE, 40)])

    assert [("6-2", "adjust", 3), ("7-1", "settle", 40)] == await kept(archive)


def row(stream_id: str, kind: Kind, charge_pico: int = 0, **fields: Any) -> ArchivedEvent:
    known: dict[str, Any] = {"request_id": "r", "at_ms": 7, "customer_number": 1} | fields
    event = UsageEvent(kind=kind, charge_pico=charge_pico, **known)
    return ArchivedEvent(fields.get("partition", 0), stream_id, event)


async def kept(archive: Archive) -> list[tuple[str, str, int]]:
    return [
        (found.stream_id, found.event.kind.value, found.event.charge_pico)
        for found in await archive.events_of(0)
    ]


@pytest.mark.parametrize("kind", [Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.EVENT])
async def test_what_is_posted_again_takes_the_place_of_the_lost(archive, kind) -> None:
    """A store lost its tail, and the gateway replayed it: one call, one row, the later one."""
    await archive.add([row("5-1", kind, 10)])
    await archive.add([row("5-2", kind, 11)])
    assert [("5-2", kind.value, 11)] == await kept(archive)

    await archive.add([row("5-1", kind, 10)])  # a flusher that was thought dead

    assert [("5-2", kind.value, 11)] == await kept(archive)


LIVES = [
    ("orphan:100", "orphan:100"),
    ("orphan:100 adjust:-60", "orphan:100 adjust:-60"),
    ("orphan:100 | settle:40", "settle:40"),
    ("orphan:100 adjust:-60 | settle:40", "settle:40"),
    ("orphan:100 adjust:-60 | release:0", "release:0"),
    ("orphan:100 adjust:-60 | orphan:100", "orphan:100"),
    ("orphan:100 adjust:-60 | orphan:90 adjust:-50", "orphan:90 adjust:-50"),
    ("settle:40 | orphan:100", "orphan:100"),
    ("settle:40 | orphan:100 adjust:-60", "orphan:100 adjust:-60"),
    ("adjust:-60", "adjust:-60"),
]


def batches_of(lives: str) -> list[list[ArchivedEvent]]:
    """One of each life of the store, at later and later places in the stream."""
    batches = []
    for life, posted in enumerate(lives.split(" | ")):
        kinds = [text.split(":") for text in posted.split()]
        batches.append(
            [
                row(f"{9 + life}-{seq}", Kind(kind), int(charge))
                for seq, (kind, charge) in enumerate(kinds)
            ]
        )
    return batches


@pytest.mark.parametrize(("lives", "expected"), LIVES)
@pytest.mark.parametrize("again", [1, 2])
async def test_the_last_life_counts(archive, lives, expected, again) -> None:
    """Orphans that were lost and settled, settles that were lost and expired: the last is true.

    However often each batch is written, and also when it comes late.
    """
    for batch in batches_of(lives) * again:
        await archive.add(batch)

    found = await kept(archive)

    assert expected == " ".join(f"{kind}:{charge}" for _, kind, charge in found)


@pytest.mark.parametrize(("lives", "expected"), LIVES)
async def test_one_batch_of_all_lives_leaves_the_last(archive, lives, expected) -> None:
    """Whichever of its rows were there already, alone or beside a call that is new."""
    everything = [posted for batch in batches_of(lives) for posted in batch]
    other = row("20-0", Kind.SETTLE, 7, request_id="a")
    for present in range(len(everything)):
        await archive.add(everything[present : present + 1])
        await archive.add([*everything, other])

        found = await kept(archive)

        assert f"{expected} settle:7" == " ".join(f"{kind}:{charge}" for _, kind, charge in found)
        await archive.retire(0, "99-0", lambda rows: [])


async def test_another_partition_or_call_is_another_row(archive) -> None:
    """Only what stands for the same thing is one."""
    await archive.add(
        [
            row("5-1", Kind.SETTLE),
            row("5-2", Kind.SETTLE, request_id="s"),
            replace(row("5-3", Kind.SETTLE), partition=1),
            row("5-4", Kind.ADJUST),
        ]
    )

    assert 4 == (await archive.logs(LogFilter())).count
    assert 3 == (await archive.logs(LogFilter(request_id="r"))).count
    assert Kind.SETTLE is (await archive.one("r")).event.kind


ids = st.builds("{}-{}".format, st.integers(1, 12), st.integers(0, 12))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(posted=st.lists(st.tuples(ids, st.sampled_from("abc"), st.integers(0, 9)), max_size=12))
def test_batches_in_any_order_leave_the_latest(tmp_path_factory, posted) -> None:
    """Whatever comes twice or late: of each call the row with the greatest stream id stays."""
    rows = [
        row(stream_id, Kind.SETTLE, charge, request_id=name)
        for stream_id, (_, name, charge) in {posting[0]: posting for posting in posted}.items()
    ]

    async def work() -> list[ArchivedEvent]:
        archive = await Archive.open(tmp_path_factory.mktemp("archive"))
        for one in rows:
            await archive.add([one])
        found = await archive.events_of(0)
        await archive.close()
        return found

    latest: dict[str, ArchivedEvent] = {}
    for one in sorted(rows, key=place):
        latest[one.event.request_id] = one
    assert sorted(latest.values(), key=place) == asyncio.run(work())


def place(archived: ArchivedEvent) -> tuple[int, int]:
    return halves(archived.stream_id)


async def test_reads_a_partition_in_the_order_of_its_stream(archive) -> None:
    """In pages; a row that was replaced stands where its later event stood."""
    await archive.add([row(f"{i}-0", Kind.SETTLE, request_id=f"r{i}") for i in (2, 9, 10, 100)])
    await archive.add([row("11-0", Kind.SETTLE, request_id="r2")])
    await archive.add([replace(row("1-0", Kind.SETTLE), partition=1)])

    seen, after = [], ""
    while page := await archive.events_of(0, after, limit=2):
        seen += [found.stream_id for found in page]
        after = page[-1].stream_id

    assert ["9-0", "10-0", "11-0", "100-0"] == seen


async def test_the_first_version_is_brought_along(tmp_path) -> None:
    """Its rows are there as they were; where one call had several, the latest stays."""
    known = {
        "partition": 3,
        "request_id": "a",
        "at_ms": 5,
        "kind": "settle",
        "customer_number": 8,
        **dict.fromkeys(("app", "endpoint", "model", "provider", "upstream"), "x"),
        **dict.fromkeys(("status_code", "stream", "cost_pico", "hold_pico", "unpriced"), 0),
        **dict.fromkeys(("markup_ppm", "input_tokens", "cached_tokens", "output_tokens"), 0),
        **dict.fromkeys(("reasoning_tokens", "unresolved_pico"), 0),
        "status": "ok",
        "metadata": '{"k":1}',
        "details": '{"usage":{"input_tokens":4}}',
    }
    rows = [
        ("9-0", "a", "settle", 1),
        ("10-0", "a", "settle", 2),
        ("11-5", "b", "orphan", 9),
        ("11-12", "b", "adjust", -4),
    ]
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        file.executescript(FIRST_SCHEMA)
        for stream_id, request_id, kind, charge in rows:
            values = known | {
                "stream_id": stream_id,
                "request_id": request_id,
                "kind": kind,
                "charge_pico": charge,
            }
            places = ", ".join("?" * len(values))
            sql = f"INSERT INTO events ({', '.join(values)}) VALUES ({places})"
            file.execute(sql, list(values.values()))
    file.close()

    for _ in range(2):
        archive = await Archive.open(tmp_path)
        found = await archive.events_of(3)
        await archive.close()
        assert [("10-0", "a", 2), ("11-5", "b", 9), ("11-12", "b", -4)] == [
            (r.stream_id, r.event.request_id, r.event.charge_pico) for r in found
        ]
        assert (4, {"k": 1}) == (found[0].event.usage.total, found[0].event.metadata)
        assert Status.OK is found[0].event.status
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        assert (SCHEMA_VERSION,) == file.execute("PRAGMA user_version").fetchone()
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
    file.close()
    assert "events_1" not in names
    assert {"events_once", "events_by_stream", "events_replaced", "past"} <= names
