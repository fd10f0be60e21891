"""Values: what a frozen dataclass promises, but for the lock that mypy keeps."""

from dataclasses import dataclass, replace

from gateway.values import value


@value(frozen=True, slots=True, kw_only=True)
class Quick:
    name: str
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    name: str
    count: int = 0


def test_values_compare_and_hash_by_their_fields() -> None:
    """As those of a frozen dataclass: in sets, as keys, replaced."""
    one, same, other = Quick(name="a"), Quick(name="a", count=0), Quick(name="a", count=1)
    assert one == same != other
    assert {one, same, other} == {one, other}
    assert other == replace(one, count=1)
    assert hash(one) == hash(Locked(name="a"))


def test_values_have_their_fields_and_no_others() -> None:
    assert Locked.__slots__ == Quick.__slots__ == ("name", "count")
    assert not hasattr(Quick(name="a"), "__dict__")
