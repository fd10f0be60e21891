"""Fields: what may be said of a customer; every fault says what is expected."""

import pytest

from gateway.customers import fields
from gateway.customers.fields import FIELDS

PICO = 10**12


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("acme", "acme"),
        (42, "42"),
        (-7, "-7"),
        (10**25, "1" + "0" * 25),
        ("e\u0301", "\u00e9"),
        ("\u212b", "\u00c5"),
        (" padded ", " padded "),
        ("a~b", "a~b"),
        ("org/team:user@example.com", "org/team:user@example.com"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("x" * 256, "x" * 256),
    ],
)
def test_identifiers_have_one_spelling(given, expected: str) -> None:
    """Numbers are strings, Unicode is NFC, all else is kept."""
    assert expected == fields.identifier(given)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "   ",
        "x" * 257,
        "x" * 10_240,
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a\u2028b",
        "\ud800",
        "~anonymous",
        "~",
        '{"device_id": "1"}',
        ' {"device_id": "1"}',
        "[1]",
        True,
        None,
        1.0,
        ["a"],
        {"a": 1},
        10**300,
    ],
)
def test_what_is_no_identifier_is_told(given) -> None:
    """The message is short whatever was sent, and never repeats it."""
    with pytest.raises(ValueError, match="must") as fault:
        fields.identifier(given)
    assert len(str(fault.value)) < 100


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, 0),
        (10, 10 * PICO),
        ("10", 10 * PICO),
        (" 0.05 ", PICO // 20),
        (0.1, PICO // 10),
        (1e-12, 1),
        ("1e-12", 1),
        ("0.000000000001", 1),
        (9_000_000, 9_000_000 * PICO),
        (0.1 + 0.2, 3 * PICO // 10),
        (1.1 * 3, 33 * PICO // 10),
        (-0.0, 0),
    ],
)
def test_r35_budgets_are_exact(given, expected: int) -> None:
    """Decimal, never binary: a tenth is a tenth; a sum of floats loses its noise."""
    assert expected == fields.budget(given)


@pytest.mark.parametrize(
    "given",
    [
        "abc", "", "1_0", "\u0661\u0662", "NaN", float("nan"), float("inf"), "-inf", -1, "-0.01",
        9_000_000.01, 10**30,
        "1e999999999", "1e-13", 1e-13, "1e-999999999", True, [1], {"usd": 1}, "0x10", "10 USD",
    ],
)  # fmt: skip
def test_r35_a_faulty_budget_is_never_read_as_another(given) -> None:
    """Not as none, not as zero: it is refused."""
    with pytest.raises(ValueError, match=r"must|finer|range"):
        fields.budget(given)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("name", "Zoe\u0308", "Zo\u00eb"),
        ("name", "", ""),
        ("email", "a@b.co", "a@b.co"),
        ("metadata", {"a": [1, None, 2.5, {"b": True}]}, {"a": [1, None, 2.5, {"b": True}]}),
        ("group_identifier", 12, "12"),
        ("total_budget", "0", 0),
        ("budget_duration", "weekly", "weekly"),
        ("period_start", "2026-11-01", "2026-11-01"),
        ("period_start", "2026-11-01T00:00:00", "2026-11-01"),
        ("period_start", "2026-11-01T09:30", "2026-11-01T09:30:00"),
        ("period_start", "2026-11-01T09:30:00Z", "2026-11-01T09:30:00Z"),
        ("period_start", "2026-11-01T09:30:00+09:00", "2026-11-01T00:30:00Z"),
        ("period_end", "20261101", "2026-11-01"),
        ("markup_percentage", 12.5, 125_000),
        ("markup_percentage", "0.0001", 1),
        ("markup_percentage", 0, 0),
        ("rate_limit", 60, 60),
    ],
)
def test_each_field_has_a_canonical_value(name: str, given, expected) -> None:
    """One moment, one amount: one text; so that saying it again changes nothing."""
    assert expected == FIELDS[name].parse(given)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("name", 5), ("name", "x" * 257), ("name", "\ud800"), ("name", ["x"]),
        ("email", "nobody"), ("email", "a@b"), ("email", "a b@c.de"), ("email", "@c.de"),
        ("metadata", "x"), ("metadata", [1]), ("metadata", {"a": "x" * 4096}),
        ("metadata", {"a": 2**70}), ("metadata", {"a": "\ud800"}), ("metadata", {"\ud800": 1}),
        ("group_identifier", ""), ("group_identifier", "~x"),
        ("budget_duration", "hourly"), ("budget_duration", 1), ("budget_duration", []),
        ("budget_duration", "MONTHLY"),
        ("period_start", "tomorrow"), ("period_start", "2026-02-30"), ("period_start", 5),
        ("period_start", "0001-01-01"), ("period_start", "9999-12-31T23:00:00-05:00"),
        ("period_end", ""), ("period_end", "2026-11-01T25:00"),
        ("markup_percentage", -1), ("markup_percentage", "0.00001"), ("markup_percentage", 1e9),
        ("markup_percentage", float("nan")), ("markup_percentage", True),
        ("rate_limit", 0), ("rate_limit", -5), ("rate_limit", 1.5), ("rate_limit", "60"),
        ("rate_limit", True), ("rate_limit", 10**9),
    ],
)  # fmt: skip
def test_a_fault_is_a_value_error_that_says_what_is_expected(name: str, given) -> None:
    """Nothing else is raised: a caller turns it into a refusal, or into a warning."""
    with pytest.raises(ValueError, match=r"must|finer|range"):
        FIELDS[name].parse(given)


def test_metadata_is_bounded_by_its_bytes() -> None:
    """4 KB as JSON, not characters: the store keeps bytes."""
    assert fields.metadata({"a": "x" * 4088})
    with pytest.raises(ValueError, match="4096 bytes"):
        fields.metadata({"a": "é" * 2048})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("perod_budget", "period_budget"),
        ("Period-Budget", "period_budget"),
        ("periodBudget", "period_budget"),
        ("total_budgets", "total_budget"),
        ("ratelimit", "rate_limit"),
        ("customer_identifer", "customer_identifier"),
        ("mark_up_percentage", "markup_percentage"),
        ("favourite_colour", None),
        ("", None),
        ("x" * 10_000, None),
    ],
)
def test_a_misspelt_field_is_recognised(name: str, meant: str | None) -> None:
    """A limit with a typing error must not be an unknown field that is dropped."""
    assert meant == fields.resembling(name)
