"""The roster on every kind of server: written, read in every order, and from any place."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.metering.roster.conditions import place_in
from gateway.metering.roster.indexer import Indexer
from gateway.metering.roster.roster import Cursor, Order, Roster, Wanted
from gateway.metering.roster.rows import Column, Row, folded, packed, unpacked
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


async def test_every_order_from_every_place(url: str) -> None:
    """As Python sorts them; a place holds when the customer who stood there is gone."""
    async with bench(url) as b:
        for i in range(12):
            about = {"name": f"N{i % 3}"} if i % 2 else {}
            await b.hold(f"{'aA'[i % 2]}{i % 5} ü{i}", 1, **about)
        indexer, roster = Indexer(b.store), Roster(b.store)
        while await indexer.step():
            pass
        for column in Column:
            for descending in (False, True):
                order = Order(column, descending)
                found = await roster.page(Wanted(order=order, size=100))
                places = [place_in(column, row) for row in found.rows]
                assert sorted(places, reverse=descending) == places
                assert (12, 12) == (found.count, len(found.rows))
                for i in range(12):
                    page = Wanted(order=order, size=5, after=Cursor(*places[i]))
                    rest = await roster.page(page)
                    assert [*found.rows[i + 1 : i + 6]] == [*rest.rows]
        order = Order(Column.NAME)
        rows = (await roster.page(Wanted(order=order, size=12))).rows
        at = Cursor(*place_in(Column.NAME, rows[5]))
        await b.directory.delete(rows[5].identifier)
        while await indexer.step():
            pass
        rest = await roster.page(Wanted(order=order, size=12, after=at))
        assert (11, [*rows[6:]]) == (rest.count, [*rest.rows])


@given(identifier=texts, name=texts, text=texts)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_a_row_comes_back_as_it_was_stored(identifier: str, name: str, text: str) -> None:
    """Whatever is in its texts: they are kept in one line, and found by their beginnings."""
    row = Row(partition=1, number=2**62, identifier=identifier, name=name, charge_text="9" * 40)
    lines = [b"7", *(folded(text).encode() for text in (identifier, "", name))]

    assert row == unpacked(b"\n".join([*lines, packed(row)]))
    assert folded(text) == folded(folded(text))
    assert "\n" not in folded(text)
