"""Two books: what differs, and what of it nobody should adopt unseen."""

from fractions import Fraction

import pytest

from pricing.book import PriceBook
from pricing.compare import Crossing, Kind, Move, code_of, differences, leaps

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS


def price(price_id="lab/m@1970-01-01", **fields) -> dict[str, object]:
    return {"id": price_id, "base": {"input": "1", "output": "4"}, **fields}


def book(*prices, model="m", **card) -> PriceBook:
    entry = {"provider": "lab", "model": model, "prices": list(prices) or [price()], **card}
    return PriceBook((), "").overlaid([entry])


def crossings(before: PriceBook, after: PriceBook) -> list[Crossing]:
    return [leap.crossing for leap in leaps(before, after, NOW_MS)]


def test_the_same_book_differs_in_nothing() -> None:
    assert ([], []) == ([*differences(book(), book())], [*leaps(book(), book(), NOW_MS)])


def test_a_new_price_is_told_with_the_ratios_to_the_one_it_follows() -> None:
    """Which is closed by it, as the rule wants: never edited."""
    closed = price(to="2026-06-01T00:00:00Z")
    newer = {
        "id": "lab/m@2026-06-01",
        "from": "2026-06-01T00:00:00Z",
        "base": {"input": "1.5", "cache_read": "0.5", "output": "4"},
    }

    new, was_closed = sorted(
        differences(book(), book(closed, newer)), key=lambda d: d.kind is Kind.CLOSED
    )

    assert (Kind.NEW, "lab/m@2026-06-01") == (new.kind, new.price_id)
    assert [("base.input", Fraction(3, 2)), ("base.cache_read", None)] == [
        (move.name, move.ratio) for move in new.moves
    ]
    assert (Kind.CLOSED, "lab/m@1970-01-01", ()) == (
        was_closed.kind,
        was_closed.price_id,
        was_closed.moves,
    )


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (book(), book(model="n"), [Kind.GONE_CARD, Kind.NEW_CARD]),
        (book(), book(price(base={"input": "2", "output": "4"})), [Kind.CHANGED]),
        (book(), book({"id": "lab/m@1970-01-01", "free": True}), [Kind.CHANGED]),
        (book(), book(price("lab/m@x")), [Kind.NEW, Kind.GONE]),
        (book(price(status="announced")), book(), [Kind.CHANGED]),
        (book(), book(price(scopes=["global"])), [Kind.CHANGED]),
    ],
)
def test_each_difference_has_its_kind(before, after, kinds) -> None:
    assert kinds == [difference.kind for difference in differences(before, after)]


def test_every_rate_of_a_price_is_compared() -> None:
    """Tiers, service tiers, hours, fees and factors, each by its place."""
    rich = {
        "tiers": [{"over": 200_000, "rates": {"input": "2", "output": "8"}}],
        "service": {"flex": {"input": "0.5", "output": "2", "tiers": []}},
        "schedule": [
            {"utc": ["01:00-04:00"], "rates": {"input": "0.9", "output": "3"}, "tiers": []}
        ],
        "multipliers": [{"when": {"scope": "regional"}, "num": 11, "den": 10}],
        "fees": {"web_search": {"rate": "10", "per": 1000}},
    }

    (changed,) = differences(book(), book(price(**rich)))

    assert [
        ("base over 200000.input", None, Fraction(2_000_000_000)),
        ("base over 200000.output", None, Fraction(8_000_000_000)),
        ("service.flex.input", None, Fraction(500_000_000)),
        ("service.flex.output", None, Fraction(2_000_000_000)),
        ("schedule[0].input", None, Fraction(900_000_000)),
        ("schedule[0].output", None, Fraction(3_000_000_000)),
        ("fees.web_search", None, Fraction(10**16, 1000)),
        ("multipliers.regional", None, Fraction(11, 10)),
    ] == [(move.name, move.before, move.after) for move in changed.moves]


@pytest.mark.parametrize(
    ("rate", "found"),
    [
        ("10", []),  # tenfold, and no more
        ("10.000000001", [Crossing.JUMP]),
        ("0.1", []),
        ("0.099999999", [Crossing.JUMP]),
        ("0", [Crossing.FREE]),
    ],
)
def test_r45_a_rate_that_moves_more_than_tenfold_is_a_leap(rate, found) -> None:
    """Strictly more, up or down; a rate that becomes zero is worse than that."""
    after = book(price(base={"input": rate, "output": "4"}))

    assert found == crossings(book(), after)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (price(), {"id": "f", "free": True}, [Crossing.FREE]),
        ({"id": "f", "free": True}, price(), [Crossing.PRICED]),
        (price(), price(status="announced"), [Crossing.UNPRICED]),
        (price(status="announced"), price(), []),
        (price(status="announced"), {"id": "f", "free": True}, []),
        ({"id": "f", "free": True}, price(status="announced"), []),
        (price(base={"input": "0", "output": "4"}), price(), [Crossing.PRICED]),
        (price(), price(base={"input": "1", "output": "4", "cache_read": "99"}), []),
    ],
)
def test_r45_crossing_zero_is_a_leap(before, after, found) -> None:
    """Priced becomes free or nothing, free becomes priced. What was never billed is none."""
    assert found == crossings(book(before), book(after))


def test_r45_a_card_that_is_gone_is_a_leap_by_each_of_its_names_once() -> None:
    """As is one that takes a name over; an alias that stays on the same card is not told twice."""
    before = book(match=["m", "alias"])

    assert [Crossing.UNPRICED] == crossings(before, book(model="n"))
    assert [Crossing.JUMP, Crossing.JUMP] == crossings(
        before,
        before.overlaid(
            [{"provider": "lab", "model": "alias", "base": {"input": "11", "output": "44"}}]
        ),
    )


def test_r45_a_leap_that_is_still_to_come_is_found_now() -> None:
    """A price that begins tomorrow is looked at before it bills anybody."""
    tomorrow = {
        "id": "lab/m@later",
        "from": "2027-01-01T00:00:00Z",
        "base": {"input": "100", "output": "4"},
    }
    after = book(price(to="2027-01-01T00:00:00Z"), tomorrow)

    (leap,) = leaps(book(), after, NOW_MS)

    assert (Crossing.JUMP, "base.input") == (leap.crossing, leap.move and leap.move.name)
    assert leap.at_ms > NOW_MS


def test_a_ratio_needs_two_rates() -> None:
    assert [None, None, None, Fraction(2)] == [
        Move("x", before, after).ratio
        for before, after in [
            (None, Fraction(1)),
            (Fraction(1), None),
            (Fraction(0), Fraction(1)),
            (Fraction(1), Fraction(2)),
        ]
    ]


def test_a_code_names_shipped_book_and_overlay() -> None:
    assert "a" * 12 == code_of("a" * 64)
    assert "a" * 12 + "+0123" == code_of("a" * 64 + "+0123")
