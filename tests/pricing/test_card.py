"""A card says which price held at an instant, and never says otherwise later."""

import dataclasses
from datetime import UTC, datetime

import pytest

from pricing.entry import parse_card

JUNE = datetime(2025, 6, 10, tzinfo=UTC)
JUNE_MS = int(JUNE.timestamp() * 1000)


def card_of(*prices):
    return parse_card({"provider": "p", "model": "m", "prices": list(prices)})


def at(card, instant_ms):
    price = card.price_at(instant_ms)
    return price and price.id


OLD = {"id": "old", "from": "2025-01-01", "to": "2025-06-10T00:00:00Z", "base": {"input": "2"}}
NEW = {"id": "new", "from": "2025-06-10T00:00:00Z", "base": {"input": "1"}}


@pytest.mark.parametrize(
    ("instant_ms", "price_id"),
    [
        (0, None),
        (JUNE_MS - 1, "old"),
        (JUNE_MS, "new"),
        (JUNE_MS + 10**12, "new"),
    ],
)
def test_a_price_holds_from_its_first_instant_until_just_before_to(instant_ms, price_id) -> None:
    assert price_id == at(card_of(OLD, NEW), instant_ms)


def test_the_order_in_the_file_does_not_decide() -> None:
    assert "old" == at(card_of(NEW, OLD), JUNE_MS - 1)
    assert "new" == at(card_of(NEW, OLD), JUNE_MS)


def test_an_announced_price_does_not_arm_itself() -> None:
    open_ended = {"id": "now", "from": "2025-01-01", "base": {"input": "2"}}
    announced = {**NEW, "status": "announced"}

    assert "now" == at(card_of(open_ended, announced), JUNE_MS)
    assert at(card_of(announced), JUNE_MS) is None


def test_a_correction_replaces_what_it_corrects_in_its_own_time() -> None:
    wrong = {"id": "wrong", "from": "2025-01-01", "base": {"input": "2"}}
    right = {"id": "right", "from": "2025-06-10", "corrects": "wrong", "base": {"input": "3"}}
    card = card_of(wrong, right)

    assert "wrong" == at(card, JUNE_MS - 1)
    assert "right" == at(card, JUNE_MS)


def test_prices_and_cards_cannot_be_changed() -> None:
    price = card_of({"base": {"input": "2"}, "fees": {"page": {"rate": "1"}}}).prices[0]

    with pytest.raises(dataclasses.FrozenInstanceError):
        price.base.input = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        price.free = True
    with pytest.raises(TypeError):
        price.fees["page"] = None
    with pytest.raises(TypeError):
        price.service["flex"] = None


def test_a_card_answers_to_its_own_name_without_listing_it() -> None:
    card = parse_card({"provider": "p", "model": "m", "match": ["m-1"], "free": True})

    assert ("m", "m-1") == card.match
