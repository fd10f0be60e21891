"""What entries say of windows adds up, however it is cut and in whatever order it comes."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.checkpoints import Checkpoint, Money, by_customer, read
from gateway.metering.window_sums import (
    NO_WINDOWS,
    InWindows,
    Window,
    WindowSums,
    named_in,
    read_windows,
)

ids = st.lists(st.integers(0, 3), min_size=5, max_size=5)
named = ids.map(lambda known: " ".join(map(str, [*known, 9 * known[-1]])).encode())
amounts = st.integers(-(2**70), 2**70)
charges = st.lists(
    st.tuples(st.none() | named, st.integers(1, 9_000), amounts, amounts), max_size=12
)


def total(some) -> InWindows:
    sums = WindowSums()
    for one in some:
        sums.add(*one)
    return sums.total()


@given(charges, st.randoms())
def test_the_latest_window_has_what_names_it(posted, chance) -> None:
    found = total(posted)

    for at, window in enumerate(found.windows):
        mine = [(int(n.split()[at]), a, c) for n, _, a, c in posted if n]
        latest = max((i for i, _, _ in mine), default=0)
        said = [(a, c) for i, a, c in mine if i == latest and i]
        assert window == Window(latest, sum(a for a, _ in said), sum(c for _, c in said))
    assert 9 * found.custom.id == found.custom_end
    assert max((ms for n, ms, _, _ in posted if n is None), default=0) == found.unknown_until_ms
    shuffled = list(posted)
    chance.shuffle(shuffled)
    assert found == total(shuffled)


@given(st.lists(charges, max_size=4))
def test_a_checkpoint_may_be_written_anywhere_in_between(parts) -> None:
    """It is kept as text; its last charge that names no windows counts with all before it."""
    checkpoint = Checkpoint()
    for part in parts:
        more = Checkpoint(Money(1, -1, 0), total(part))
        checkpoint = read(checkpoint.plus(more).written().encode(), trimmed_ms=9_000)

    whole = total([one for part in parts for one in part])
    kept = checkpoint.in_windows
    assert (len(parts), -len(parts)) == checkpoint.money[:2]
    assert whole.windows == kept.windows
    assert whole.custom_end == kept.custom_end
    assert whole.unknown_until_ms <= kept.unknown_until_ms <= 9_000
    assert kept.unknown_until_ms == 0 or whole.unknown_until_ms > 0


def test_what_was_trimmed_without_windows_is_unknown_until_then() -> None:
    """As checkpoints were before windows were in them."""
    old = read(b"10 9 4", trimmed_ms=5_500)

    assert Money(10, 9, 4) == old.money
    assert 5_500 == old.in_windows.unknown_until_ms
    assert NO_WINDOWS == read(None, trimmed_ms=5_500).in_windows
    assert NO_WINDOWS == read(b"0 0 4|0", trimmed_ms=5_500).in_windows


def test_a_damaged_checkpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="17 are a checkpoint's windows"):
        read_windows(b"1 2 3", 0)


@pytest.mark.parametrize("last", [b"1 2 3", b"1 2 3 4 5 -6", b"", b"1 2 3 4 5 6 7"])
def test_what_is_no_list_of_windows_names_none(last: bytes) -> None:
    entry = [b"k", b"settle", b"id", b"r", b"n", b"7", b"a", b"1", b"c", b"1", b"w", last]

    assert named_in(entry) is None
    assert 5_000 == by_customer([(b"5000-1", entry)])[7].in_windows.unknown_until_ms


def test_plus_keeps_nothing_of_an_earlier_window() -> None:
    parts = [total([(b"%d 0 0 0 0 0" % i, 1, 10 * i, i)]) for i in (2, 1, 2)]

    assert Window(2, 40, 4) == reduce(InWindows.plus, parts).windows[0]
