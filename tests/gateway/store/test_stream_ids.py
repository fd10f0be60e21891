import pytest

from gateway.store.archive.table import place
from gateway.store.stream_ids import before, halves, successor

LAST_SEQ = 2**64 - 1


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("", "0-1"), ("9-9", "9-10"), ("9-9", "10-0"), ("99-0", "100-0"), (f"9-{LAST_SEQ}", "10-0")],
)
def test_ids_compare_as_numbers(earlier, later) -> None:
    """As text 9 would come after 10."""
    assert halves(earlier) < halves(later)
    assert place(earlier) < place(later)


@pytest.mark.parametrize(
    ("stream_id", "expected"), [("5-0", "5-1"), (f"5-{LAST_SEQ}", "6-0"), ("0-1", "0-2")]
)
def test_the_next_id(stream_id, expected) -> None:
    """With nothing between."""
    assert expected == successor(stream_id)


def test_the_last_id_before_an_instant() -> None:
    """The next one is the instant's first."""
    assert "7-0" == successor(before(7))


@pytest.mark.parametrize("text", ["junk", "5", "5-", "-5", "5-x", "5-5-5"])
def test_refuses_what_is_no_id(text) -> None:
    """A damaged cursor is one of these."""
    with pytest.raises(ValueError, match="invalid literal"):
        halves(text)


def test_an_archive_takes_any_id() -> None:
    """Two halves of 64 bits, in columns of 63."""
    assert (2**63 - 1, 2**63 - 1) == place(f"{LAST_SEQ}-{LAST_SEQ}")
