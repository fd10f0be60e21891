"""Each charged event names the windows in which its account counts it, whatever its kind."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from gateway.audit.differences import Finding
from gateway.customers.windows import Calendar
from gateway.event import Kind, UsageEvent, rerating_id
from gateway.ledger.ledger import Recorded
from gateway.ledger.requests import new_request_id
from tests.simulator.stage import Stage, on_stage
from tests.support.books import differences

UTC = ZoneInfo("UTC")
DAY_MS = 86_400_000
THURSDAY_MS = int(datetime(2025, 7, 31, 9, tzinfo=UTC).timestamp()) * 1000
PERIOD = {"period_start": "2025-07-31T00:00:00", "budget_duration": "weekly"}


async def named(stage: Stage) -> list[tuple[str, Sequence[int] | None]]:
    """Of each event its kind, and the windows that it names."""
    partition = stage.directory.partition_of("acme")
    entries = await stage.command("XRANGE", partition.stream, "-", "+")
    found: list[tuple[str, Sequence[int] | None]] = []
    for _, flat in entries:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        told = fields.get(b"w")
        found.append((fields[b"k"].decode(), None if told is None else [*map(int, told.split())]))
    return found


def ids(now_ms: int, **others: int) -> list[int]:
    windows = Calendar(UTC).at(now_ms).by_kind
    known = {kind: window.start_ms // 1000 for kind, window in windows.items()}
    return [*(known | others).values(), *([] if "custom" in others else [0, 0])]


def usage(stage: Stage, kind: Kind, at_ms: int, charge: int, **more) -> UsageEvent:
    request_id = new_request_id(stage.clock.now_ms())
    event = UsageEvent(request_id=request_id, kind=kind, at_ms=at_ms, cost_pico=charge)
    return replace(event, charge_pico=charge, **more)


def _as_it_is(event: UsageEvent, _: int) -> UsageEvent:
    return event


def test_r31_every_kind_of_charge_names_its_windows(url: str) -> None:
    """On time: those that are open. Late: not the day that is over. What moves no money: none."""
    friday_ms = THURSDAY_MS + DAY_MS

    async def play(stage: Stage) -> None:
        stage.set_time(THURSDAY_MS)
        call = await stage.hold("acme", 9)
        await stage.settle(call, 5)
        await stage.release(await stage.hold("acme", 9))
        late, unknown, refused = [await stage.hold("acme", 9) for _ in range(3)]
        stage.set_time(friday_ms)
        await stage.settle(await stage.hold("acme", 9), 4)
        await stage.settle(late, 3)
        for orphan in (unknown, refused):
            await stage.lapse(orphan)
        await stage.settle(unknown, 2)
        await stage.release(refused)
        for at_ms in (friday_ms, THURSDAY_MS):
            reported = usage(stage, Kind.EVENT, at_ms, 7)
            await stage.ledger.record(
                "acme",
                partial(_as_it_is, reported),
                idempotency_key=None,
                fingerprint="f",
            )
        adjusted = usage(stage, Kind.ADJUST, THURSDAY_MS, 1, adjusts=call.request_id)
        answer = await stage.ledger.adjustments.record(
            "acme", replace(adjusted, request_id=rerating_id(call.request_id, 1))
        )
        assert Recorded.ACCEPTED == answer

        thursday, friday = ids(THURSDAY_MS), ids(friday_ms)
        july = ids(friday_ms, day=0, month=0)
        assert [
            ("settle", thursday),
            ("release", None),
            ("settle", friday),
            ("settle", july),
            ("orphan", july),
            ("orphan", july),
            ("adjust", july),
            ("adjust", july),
            ("event", friday),
            ("event", july),
            ("adjust", july),
        ] == await named(stage)
        assert [] == await differences(stage, "acme")

    on_stage(url, play)


def test_an_own_period_has_its_end_and_gives_way(url: str) -> None:
    """And once the customer has none, its charges count in none."""
    start = THURSDAY_MS // DAY_MS * 86_400

    async def play(stage: Stage) -> None:
        stage.set_time(THURSDAY_MS)
        await stage.directory.create("acme", PERIOD)
        late = await stage.hold("acme", 9)
        await stage.settle(await stage.hold("acme", 9), 5)
        stage.set_time(THURSDAY_MS + 7 * DAY_MS)
        await stage.settle(await stage.hold("acme", 9), 4)
        await stage.settle(late, 3)
        await stage.directory.change("acme", {"period_start": None})
        await stage.settle(await stage.hold("acme", 9), 2)

        week = 7 * 86_400
        assert [
            [start, start + week],
            [start + week, start + 2 * week],
            [0, 0],
            [0, 0],
        ] == [windows[-2:] for _, windows in await named(stage) if windows]
        assert [] == await differences(stage, "acme")

    on_stage(url, play)


def test_r31_what_counts_in_the_open_window_of_another_zone_names_that(url: str) -> None:
    """A day that begins in the first half of the open one is the open one."""

    async def play(stage: Stage) -> None:
        stage.set_time(THURSDAY_MS)
        await stage.settle(await stage.hold("acme", 9), 5)
        hold = await stage.hold("acme", 9)
        day, *others = hold.window_ids.split()
        kathmandu = " ".join([str(int(day) + 18_900), *others])
        await stage.command("HDEL", hold.partition.holds, hold.request_id)
        await stage.command("ZREM", hold.partition.expiries, hold.request_id)
        await stage.command("HSET", hold.partition.account(hold.profile.number), "held", 0)
        await stage.settle(replace(hold, window_ids=kathmandu), 4)

        assert [("settle", ids(THURSDAY_MS))] * 2 == await named(stage)
        assert [] == await differences(stage, "acme")

    on_stage(url, play)


async def change_account(stage: Stage, field: str, value: object) -> None:
    number = (await stage.directory.load("acme")).number
    await stage.command("HSET", stage.directory.partition_of("acme").account(number), field, value)


async def subjects(stage: Stage) -> list[str]:
    return [d.subject for d in await differences(stage, "acme") if d.finding is Finding.WINDOW]


def test_an_own_period_is_proven_again_after_it_has_begun_afresh(url: str) -> None:
    """Nobody posts that management moved it: until the next one begins nothing is claimed."""

    async def play(stage: Stage) -> None:
        stage.set_time(THURSDAY_MS)
        await stage.directory.create("acme", PERIOD)
        await stage.settle(await stage.hold("acme", 9), 5)
        for start in ("2025-07-30", "2025-07-31"):  # there and back: the same id as before
            await stage.directory.change("acme", {"period_start": start})
            assert [] == await differences(stage, "acme")
        await stage.settle(await stage.hold("acme", 9), 4)
        assert [] == await differences(stage, "acme")
        await change_account(stage, "custom.past.charge", 6)
        assert [] == await differences(stage, "acme")

        stage.set_time(THURSDAY_MS + 7 * DAY_MS)
        await stage.settle(await stage.hold("acme", 9), 3)
        assert [] == await differences(stage, "acme")
        await change_account(stage, "custom.past.charge", 10)
        assert ["custom.past.charge"] == await subjects(stage)
        opened = "1753920000 1753660800 1753999200 1735689600 1754524800 1755129601"
        await change_account(stage, "windows", opened)
        assert "windows custom end" in await subjects(stage)

    on_stage(url, play)


def test_events_of_a_version_that_named_no_windows_accuse_nobody(url: str) -> None:
    """What they counted in is unknown; windows that begin later are proven."""

    async def play(stage: Stage) -> None:
        stage.set_time(THURSDAY_MS)
        await stage.settle(await stage.hold("acme", 9), 5)
        await stage.settle(await stage.hold("acme", 9), 4)
        await forget_windows(stage)
        assert [] == await differences(stage, "acme")
        await stage.settle(await stage.hold("acme", 9), 3)
        assert [] == await differences(stage, "acme")
        await change_account(stage, "month.past.charge", 2)
        assert [] == await differences(stage, "acme")
        await change_account(stage, "month.past.charge", 13)
        assert ["month.past.charge"] == await subjects(stage)  # more than all
        await change_account(stage, "month.past.charge", 0)

        stage.set_time(THURSDAY_MS + DAY_MS)  # another month, the week and the year of before
        await stage.settle(await stage.hold("acme", 9), 2)
        assert [] == await differences(stage, "acme")
        for kind in ("day", "week", "month", "year"):
            await change_account(stage, f"{kind}.past.cost", 1)
        assert ["day.past.cost", "month.past.cost"] == await subjects(stage)

    on_stage(url, play)


async def forget_windows(stage: Stage) -> None:
    """The stream as an older version wrote it, at the times at which it did."""
    stream = stage.directory.partition_of("acme").stream
    entries = await stage.command("XRANGE", stream, "-", "+")
    await stage.command("DEL", stream)
    for at, (_, flat) in enumerate(entries, start=1):
        await stage.command("XADD", stream, f"{THURSDAY_MS}-{at}", *flat[:-2])
