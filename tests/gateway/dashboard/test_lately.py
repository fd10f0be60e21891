"""What is said of a user by its latest calls."""

from gateway.dashboard.lately import NOTHING_LATELY, Lately, lately
from gateway.store.archive import RecentCall


def test_nothing_is_said_of_no_calls() -> None:
    assert NOTHING_LATELY == lately([])


def test_ninety_five_of_a_hundred_take_no_longer() -> None:
    calls = [RecentCall("m", ms) for ms in range(100, 0, -1)]

    assert Lately(96, "m") == lately(calls)


def test_reported_usage_has_a_model_and_no_duration() -> None:
    assert Lately(None, "m") == lately([RecentCall("m", None)])
    assert Lately(7, "a") == lately([RecentCall("a", None), RecentCall("b", 7)])
