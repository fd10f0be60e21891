"""Profile: what a change of fields writes, and what the stored fields mean."""

from zoneinfo import ZoneInfo

import pytest

from gateway.customers.profile import ANONYMOUS, REMOVE, Limits, Profile, Upsert, terms, upsert
from gateway.customers.windows import Calendar, Duration

NOW = 1_764_000_000_000
DEFAULTS = Limits(
    period_budget_pico=5,
    total_budget_pico=50,
    budget_duration=Duration.WEEKLY,
    rate_limit=60,
    markup_ppm=7,
)


def profile(version: int = 3, **stored: str) -> Profile:
    return Profile("acme", 1, version, {"identifier": "acme", "created_ms": "1", **stored})


def by_call(before: Profile, **change) -> Upsert:
    return upsert(before, change, now_ms=NOW, by_call=True)


def by_management(before: Profile, **change) -> Upsert:
    return upsert(before, change, now_ms=NOW, by_call=False)


def written(planned: Upsert) -> dict[str, str]:
    pairs = planned.pairs
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def test_a_new_customer_is_stored_even_without_a_change() -> None:
    """Its identifier and when it was made."""
    planned = by_call(Profile("acme", 1, 0, {}))
    expected = {"identifier": "acme", "created_ms": str(NOW), "updated_ms": str(NOW)}
    assert expected == written(planned)
    assert (1, expected) == (planned.profile.version, planned.profile.stored)


def test_only_what_differs_is_written() -> None:
    """And the time of the change."""
    planned = by_call(profile(name="A", period_budget="5"), name="B", period_budget=5)
    assert {"name": "B", "updated_ms": str(NOW)} == written(planned)
    assert 4 == planned.profile.version


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"name": "A"},
        {"period_budget": 5},
        {"total_budget": None},
        {"metadata": {"a": 1}},
        {"metadata": {}},
        {"name": "A", "metadata": {"b": [2.5]}, "period_budget": 5},
    ],
)
def test_an_unchanged_value_writes_nothing(change) -> None:
    """A call that says what is known costs no write, and no other caller a retry."""
    before = profile(name="A", period_budget="5", total_budget="", metadata='{"a":1,"b":[2.5]}')
    planned = by_call(before, **change)
    assert ((), before) == (planned.pairs, planned.profile)


def test_r35_null_from_a_call_is_none_and_zero_is_zero() -> None:
    """Absent: the default. Null: no limit, on purpose. 0: nothing may be spent."""
    assert DEFAULTS == profile().limits(DEFAULTS)
    none = by_call(profile(), period_budget=None, total_budget=None, rate_limit=None).profile
    assert Limits(budget_duration=Duration.WEEKLY, markup_ppm=7) == none.limits(DEFAULTS)
    zero = by_call(profile(), period_budget=0, markup_percentage=0).profile.limits(DEFAULTS)
    assert (0, 0) == (zero.period_budget_pico, zero.markup_ppm)


def test_null_from_management_brings_the_default_back() -> None:
    """The field is removed, and no longer pinned."""
    before = profile(period_budget="9", pinned="period_budget")
    planned = by_management(before, period_budget=None)
    assert (REMOVE, "") == (written(planned)["period_budget"], written(planned)["pinned"])
    assert 5 == planned.profile.limits(DEFAULTS).period_budget_pico
    assert frozenset() == planned.profile.pinned


def test_what_management_sets_is_pinned() -> None:
    """A constant in the code does not undo finance's raise, until it is cleared there."""
    raised = by_management(profile(period_budget="5"), period_budget=50).profile
    assert {"period_budget"} == raised.pinned
    assert () == by_call(raised, period_budget=5).pairs
    assert () == by_call(raised, period_budget=None).pairs
    assert {"name", "updated_ms"} == set(written(by_call(raised, period_budget=5, name="A")))
    cleared = by_management(raised, period_budget=None).profile
    assert "5" == by_call(cleared, period_budget=5).profile.stored["period_budget"]


def test_a_pinned_value_that_is_the_same_is_pinned_all_the_same() -> None:
    """Finance confirms what a call had set: from then on it is finance's."""
    confirmed = by_management(profile(period_budget="5"), period_budget=5).profile
    assert {"period_budget"} == confirmed.pinned


def test_half_of_a_pinned_period_is_not_replaced() -> None:
    """A call's start beside finance's end would be a period that nobody asked for."""
    pinned = by_management(profile(), period_start="2026-11-01").profile
    assert () == by_call(pinned, period_start="2026-01-01", period_end="2026-01-08").pairs


def test_metadata_is_merged_by_key() -> None:
    """Keys not mentioned stay."""
    planned = by_call(profile(metadata='{"a":1,"b":2}'), metadata={"b": 3, "c": None})
    assert {"a": 1, "b": 3, "c": None} == planned.profile.metadata


def test_metadata_that_grows_too_large_is_dropped_with_a_warning() -> None:
    """4 KB after merging; the rest of the change is taken."""
    before = profile(metadata='{"a":"' + "x" * 2500 + '"}')
    planned = by_call(before, metadata={"b": "x" * 2500}, name="A")
    assert {"name", "updated_ms"} == set(written(planned))
    assert 1 == len(planned.warnings)
    assert planned.warnings[0].startswith("metadata: more than 4096 bytes")


@pytest.mark.parametrize(
    ("stored", "change", "moves"),
    [
        ({}, {"period_start": "2026-11-01"}, True),
        ({"period_start": "2026-11-01"}, {"period_start": "2026-11-01"}, False),
        ({"period_start": "2026-11-01"}, {"period_start": "2026-11-02"}, True),
        ({"period_start": "2026-11-01"}, {"period_start": None}, True),
        ({"period_start": "2026-11-01"}, {"period_end": "2026-11-08"}, True),
        ({"period_start": "2026-11-01"}, {"budget_duration": "weekly"}, True),
        ({"period_start": "2026-11-01"}, {"budget_duration": "monthly"}, False),
        ({"period_start": "2026-11-01"}, {"period_budget": 7, "name": "A"}, False),
        ({}, {"budget_duration": "weekly"}, False),
    ],
)
def test_the_own_window_starts_afresh_only_with_another_anchor(stored, change, *, moves) -> None:
    """Neither a budget nor a name forgets what was spent."""
    assert moves == by_call(profile(**stored), **change).moves_anchor


def test_the_anonymous_have_no_limits() -> None:
    """Defaults are for customers; everybody without a name shares this one."""
    anonymous = Profile(ANONYMOUS, 1, 1, {})
    assert Limits() == anonymous.limits(DEFAULTS)


@pytest.mark.parametrize(
    ("stored", "kind", "limited"),
    [
        ({}, "week", True),
        ({"budget_duration": "daily"}, "day", True),
        ({"budget_duration": ""}, "week", True),
        ({"budget_duration": "yearly"}, "year", True),
        ({"budget_duration": "monthly"}, "month", True),
        ({"period_start": "2026-11-01"}, "custom", True),
        ({"period_budget": ""}, None, True),
        ({"period_budget": "", "total_budget": ""}, None, False),
        ({"period_budget": "0", "total_budget": ""}, "week", True),
        ({"period_budget": "", "period_start": "2026-11-01", "total_budget": ""}, None, False),
    ],
)
def test_terms_say_what_binds(stored, kind, *, limited: bool) -> None:
    """The window of the period budget, and whether any limit is there at all."""
    found = terms(profile(**stored), DEFAULTS, Calendar(ZoneInfo("UTC")), NOW)
    assert (kind, limited) == (found.period_kind, found.limited)
    resets = found.windows.by_kind[kind].end_ms if kind else None
    assert resets == found.period_resets_ms
