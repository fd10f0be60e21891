"""Windows through the ledger: each charge in the window of its hold, and in no other.

The calendar has its own tests; here the real scripts run under a clock that is set to the
moments around midnight, a month's end, a shift of the zone.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.customers.windows import CUSTOM, KIND_OF, KINDS, Anchor, Calendar, Duration
from gateway.errors import BudgetExceeded, BudgetInFlight
from tests.simulator.stage import Stage, on_stage
from tests.support.books import differences

ZONES = (
    "UTC",
    "America/New_York",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
)
TURNS = (
    "2024-02-29T23:00",  # a leap day, and a month's end
    "2023-12-31T22:00",
    "2025-03-08T20:00",  # clocks go forward in New York and Havana, there at midnight
    "2025-11-01T20:00",  # and back
    "2011-12-29T12:00",  # Apia has no 30 December
    "2025-04-05T12:00",  # Lord Howe: half an hour
    "2025-06-15T12:00",  # nothing at all
)
"""Local times shortly before something happens somewhere."""

ANCHORS = (
    None,
    {"period_start": "2020-01-31T00:00:00", "budget_duration": "monthly"},
    {"period_start": "2020-02-29T12:30:00", "budget_duration": "yearly"},
    {"period_start": "2023-12-01T00:00:00", "period_end": "2023-12-08T06:00:00"},
)
BUDGET = 100


@dataclass(frozen=True)
class Step:
    """A call's life, in ms after the one before it was held."""

    after_ms: int
    lasts_ms: int
    amount: int
    charge: int
    expires: bool


small = st.sampled_from([0, 1, 100, 1_000])
hours = st.integers(0, 30).map(lambda n: n * 1_800_000)
steps = st.lists(
    st.builds(
        Step,
        after_ms=st.one_of(small, hours, st.just(86_400_000 * 7)),
        lasts_ms=st.one_of(small, hours),
        amount=st.integers(0, 60),
        charge=st.integers(0, 70),
        expires=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


class Model:
    """Ints: what is held, and what was charged by kind and window."""

    def __init__(self, stage: Stage, calendar: Calendar, anchor: Anchor | None, kind: str) -> None:
        self.stage = stage
        self.calendar = calendar
        self.anchor = anchor
        self.kind = kind
        self.charged: Counter[tuple[str, int]] = Counter()
        self.held = 0

    def ids(self, now_ms: int) -> dict[str, int]:
        windows = self.calendar.at(now_ms, self.anchor).by_kind
        return {kind: window.start_ms // 1000 for kind, window in windows.items()}

    def room(self, now_ms: int) -> int:
        return BUDGET - self.charged[self.kind, self.ids(now_ms)[self.kind]] - self.held

    def charge(self, held_ms: int, amount: int) -> None:
        for kind, window_id in self.ids(held_ms).items():
            self.charged[kind, window_id] += amount

    def account(self) -> dict[str, tuple[int, int]]:
        """By kind, the latest window that was ever charged, and how much it was."""
        latest = {
            kind: max(window_id for k, window_id in self.charged if k == kind)
            for kind, _ in self.charged
        }
        return {kind: (i, self.charged[kind, i]) for kind, i in latest.items()}


async def account_of(stage: Stage, number: int) -> dict[str, tuple[int, int]]:
    key = stage.directory.partition_of("acme").account(number)
    reply = await stage.command("HGETALL", key)
    fields = {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
    opened = fields["windows"].split() if "windows" in fields else []
    return {
        kind: (int(window_id), int(fields["spent"]) - int(fields[f"{kind}.past.charge"]))
        for kind, window_id in zip(KINDS, opened, strict=False)
        if int(window_id)
    }


async def follow(model: Model, start_ms: int, life: list[Step]) -> None:
    """Hold and end calls in the order of their moments, and compare after each."""
    stage = model.stage
    number = (await stage.directory.load("acme")).number
    moments: list[tuple[int, int, bool]] = []
    at_ms = start_ms
    for i, step in enumerate(life):
        at_ms += step.after_ms
        moments += [(at_ms, i, False), (at_ms + step.lasts_ms, i, True)]
    running: dict[int, tuple[Any, int]] = {}
    for now_ms, i, ends in sorted(moments):
        stage.set_time(now_ms)
        step = life[i]
        if not ends:
            room = model.room(now_ms)
            try:
                running[i] = await stage.hold("acme", step.amount), now_ms
            except (BudgetExceeded, BudgetInFlight):
                assert room < step.amount
            else:
                assert step.amount == 0 or step.amount <= room
                model.held += step.amount
        elif i in running:
            hold, held_ms = running.pop(i)
            if step.expires:
                await stage.ledger.renew()  # the leases of all others go on
                await stage.lapse(hold)
            await stage.settle(hold, step.charge)
            model.held -= step.amount
            model.charge(held_ms, step.charge)
        assert model.account() == await account_of(stage, number)
    assert [] == await differences(stage, "acme")


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    turn=st.sampled_from(TURNS),
    anchor=st.sampled_from(ANCHORS),
    duration=st.sampled_from(Duration),
    skew_ms=st.sampled_from([0, -3_600_000, 50_000, 100_000_000]),
    life=steps,
)
def test_r31_each_charge_is_in_the_window_of_its_hold(
    url: str, *, zone: ZoneInfo, turn: str, anchor, duration: Duration, skew_ms: int, life
) -> None:
    """And in no other; over every turn of the clocks, whenever it ends, whoever's clock is off.

    A hold is refused exactly when its own window has no room, and nobody ever resets one.
    """
    fields = {"budget_duration": duration.value, **(anchor or {})}
    start_ms = int(datetime.fromisoformat(turn).replace(tzinfo=zone).timestamp()) * 1000

    async def play(stage: Stage) -> None:
        stage.set_time(start_ms)
        profile = await stage.directory.create("acme", {"period_budget": BUDGET, **fields})
        kind = CUSTOM if profile.anchor else KIND_OF[duration]
        await follow(Model(stage, Calendar(zone), profile.anchor, kind), start_ms, life)

    on_stage(url, play, zone=zone, skew_ms=skew_ms)


def test_r31_a_call_over_midnight_belongs_to_the_old_day(url: str) -> None:
    """Held a tenth of a second before midnight in New York, settled after it, late truth too."""
    zone = ZoneInfo("America/New_York")
    midnight_ms = int(datetime(2025, 3, 9, tzinfo=zone).timestamp()) * 1000

    async def play(stage: Stage) -> None:
        stage.set_time(midnight_ms - 100)
        await stage.directory.create("acme", {"period_budget": 10, "budget_duration": "daily"})
        early, lost = await stage.hold("acme", 6), await stage.hold("acme", 4)
        with pytest.raises(BudgetInFlight):
            await stage.hold("acme", 1)
        stage.set_time(midnight_ms)
        await stage.settle(early, 9)
        await stage.lapse(lost)
        fresh = await stage.hold("acme", 10)  # a new day, the whole of it
        await stage.settle(fresh, 3)
        await stage.settle(lost, 8)
        assert 20 == await stage.spent("acme")
        profile = await stage.directory.load("acme")
        day = (await account_of(stage, profile.number))["day"]
        assert (midnight_ms // 1000, 3) == day
        assert 7 == (await stage.hold("acme", 7)).amount_pico

    on_stage(url, play, zone=zone)


def test_r32_a_month_ends_without_anybody_doing_anything(url: str) -> None:
    """Not a byte of the account changes at midnight; the next call finds a fresh window."""
    zone = ZoneInfo("Asia/Kathmandu")
    end_ms = int(datetime(2024, 3, 1, tzinfo=zone).timestamp()) * 1000

    async def play(stage: Stage) -> None:
        stage.set_time(end_ms - 1)
        await stage.directory.create("acme", {"period_budget": 10})
        await stage.settle(await stage.hold("acme", 10), 10)
        with pytest.raises(BudgetExceeded):
            await stage.hold("acme", 1)
        profile = await stage.directory.load("acme")
        key = stage.directory.partition_of("acme").account(profile.number)
        before = await stage.command("HGETALL", key)
        stage.set_time(end_ms)
        assert before == await stage.command("HGETALL", key)
        assert {} == {
            k: s
            for k, s in (await stage.ledger.balance(profile)).by_kind.items()
            if k in {"day", "month"}
        }
        await stage.hold("acme", 10)
        stage.set_time(end_ms - 1)  # the clock steps back: that window counts on as it was
        with pytest.raises((BudgetExceeded, BudgetInFlight)):
            await stage.hold("acme", 1)

    on_stage(url, play, zone=zone)


def test_a_budget_changed_in_mid_window_binds_the_window_as_it_stands(url: str) -> None:
    """Raised, lowered, taken away, over another duration: what was spent was spent."""
    day_ms = 86_400_000
    monday_ms = int(datetime(2025, 6, 2, tzinfo=ZoneInfo("UTC")).timestamp()) * 1000

    async def play(stage: Stage) -> None:
        stage.set_time(monday_ms)
        await stage.directory.create("acme", {"period_budget": 10, "budget_duration": "weekly"})
        await stage.settle(await stage.hold("acme", 10), 10)
        stage.set_time(monday_ms + day_ms)
        await stage.directory.change("acme", {"period_budget": 12})
        await stage.settle(await stage.hold("acme", 2), 1)
        await stage.directory.change("acme", {"period_budget": 11})
        with pytest.raises(BudgetExceeded):
            await stage.hold("acme", 1)
        await stage.directory.change("acme", {"budget_duration": "daily"})
        assert 10 == (await stage.hold("acme", 10)).amount_pico  # today was 1 so far
        await stage.directory.change("acme", {"budget_duration": "monthly"})
        with pytest.raises(BudgetExceeded):
            await stage.hold("acme", 1)

    on_stage(url, play)


@pytest.mark.parametrize("expires", [False, True])
def test_a_caller_that_never_heard_of_its_hold_charges_its_windows(url: str, expires: bool) -> None:
    """The clock stepped back, so the hold is in a later day than its caller believes.

    Its reply was lost; what ends it names the wrong day, and is counted in the right one.
    """
    day_ms = 86_400_000
    noon_ms = int(datetime(2025, 6, 2, 12, tzinfo=ZoneInfo("UTC")).timestamp()) * 1000

    async def play(stage: Stage) -> None:
        stage.set_time(noon_ms + day_ms)
        await stage.directory.create("acme", {})
        await stage.settle(await stage.hold("acme", 1), 1)
        stage.set_time(noon_ms)
        hold = await stage.hold("acme", 10)
        if expires:
            await stage.lapse(hold)
        believed = stage.directory.calendar.at(noon_ms).ids
        assert believed != hold.window_ids
        await stage.settle(replace(hold, window_ids=believed), 7)
        number = (await stage.directory.load("acme")).number
        tomorrow = (noon_ms + day_ms // 2) // 1000
        assert (tomorrow, 8) == (await account_of(stage, number))["day"]

    on_stage(url, play)
