"""Which users the list shows: by what they called, with every order and other filter."""

import csv
import io
from itertools import pairwise

import pytest

from gateway.dashboard import listing
from gateway.metering.roster import roster
from gateway.store.archive.table import METADATA

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


@pytest.fixture
async def called(admin):
    """Nine users: u1 has used least, u9 most; the odd ones asked `small`, u1 to u6 `large`."""
    api = admin.api
    now_ms = api.bench.clock.now_ms()
    for n in range(1, 10):
        for model in ("small",) * (n % 2) + ("large",) * (n < 7) + ("other",):
            pico = 4**n * 10**6
            # Within a day u5 has asked nothing but `other`.
            at_ms = now_ms - 1_000 * (10 - n)
            at_ms -= 40 * HOUR_MS if n == 5 and model != "other" else 0
            tag = {"metadata": {"thread_identifier": f"Order-{n}"}} if model == "small" else {}
            facts = {"cost_pico": pico, "charge_pico": pico, **tag}
            await api.call(f"u{n}", model=model, at_ms=at_ms, **facts)
        name = f"N{n}" if n > 1 else "Zoe"
        await api.patch("/api/users/", {"name": name}, customer_identifier=f"u{n}")
    await api.patch("/api/users/", {"total_budget": 0.001}, customer_identifier="u9")
    await api.flush()
    return admin


async def shown(site, query: str) -> list[str]:
    """By the file, and by the page: they have the same, in the same order."""
    file = await site.get(f"/users.csv?{query}")
    page = await site.page(f"/users?{query}")
    assert 200 == file.status_code, file.text
    users = [row["customer_identifier"] for row in csv.DictReader(io.StringIO(file.text))]
    assert users == [link.partition("user=")[2][:2] for link in page.links if "user=" in link]
    return users


@pytest.mark.parametrize(
    ("query", "users"),
    [
        ("model=small", "u9 u7 u5 u3 u1"),
        ("model=small&sort=cost", "u1 u3 u5 u7 u9"),
        ("model=small&range=24h", "u9 u7 u3 u1"),
        ("model=large", "u6 u5 u4 u3 u2 u1"),
        ("model=small&sort=name", "u3 u5 u7 u9 u1"),
        ("model=small&sort=-total_cost", "u9 u7 u5 u3 u1"),
        ("model=small&show=over", "u9"),
        ("model=small&show=active&sort=cost", "u1 u3 u5 u7 u9"),
        ("model=small&q=zo", "u1"),
        ("model=large&q=u9", ""),
        ("model=Small", ""),
        ("tag=order-3", "u3"),
        ("tag=ORDER", "u9 u7 u5 u3 u1"),
        ("tag=order&model=large", ""),
        ("tag=order&model=small&sort=first_seen&range=24h", "u1 u3 u7 u9"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
async def test_users_by_what_they_called(called, monkeypatch, query, users, many) -> None:
    """However many they are: few are fetched and sorted, many are found in an order."""
    if many:
        monkeypatch.setattr(listing, "COMPARED_MAX", 0 if "q=" not in query else 1_000)
        monkeypatch.setattr(roster, "GATHERED_MAX", 0)
    if many and "show=active" in query:  # those that were seen last are compared
        monkeypatch.setattr(listing, "COMPARED_MAX", 1_000)

    assert users.split() == await shown(called, query)


async def test_every_page_of_many_that_asked(called, monkeypatch) -> None:
    monkeypatch.setattr("gateway.dashboard.users.PAGE_SIZE", 2)
    monkeypatch.setattr(listing, "COMPARED_MAX", 1)

    pages = [await called.page(f"/users?model=small&page={n}") for n in (1, 2, 3)]

    found = [link.partition("user=")[2][:2] for page in pages for link in page.links]
    assert ["u9", "u7", "u5", "u3", "u1"] == [name for name in found if name]
    assert "1 to 2 of about 5" in " ".join(pages[0].text.split())
    for page, following in pairwise([*pages, None]):
        links = [link for link in page.links if "page=" in link and "model=small" in link]
        assert bool(following) is any(f"page={pages.index(page) + 2}" in link for link in links)


async def test_a_file_goes_on_where_a_walk_ended(called, monkeypatch) -> None:
    """Whole, though a page of it looks at a few rows of the order only."""
    monkeypatch.setattr(roster, "GATHERED_MAX", 0)
    monkeypatch.setattr(roster, "SCANNED_MAX", 2)
    monkeypatch.setattr(roster, "SCANNED_AT_ONCE", 1)

    file = await called.get("/users.csv?model=small&sort=first_seen")

    users = [row["customer_identifier"] for row in csv.DictReader(io.StringIO(file.text))]
    assert ["u5", "u1", "u3", "u7", "u9"] == users


async def test_who_was_deleted_is_not_among_them(called) -> None:
    await called.post("/users/u7/delete", confirm="u7")
    await called.api.flush()

    assert ["u9", "u5", "u3", "u1"] == await shown(called, "model=small")


async def test_a_tag_that_was_not_looked_for_everywhere_is_said(called, monkeypatch) -> None:
    monkeypatch.setattr("gateway.store.archive.askers.WALKED_MAX", 2)
    monkeypatch.setattr("gateway.store.archive.listing.WALKED_MAX", 2)

    page = await called.page("/users?tag=order")

    assert "Who used it only before is not here" in page.text


async def test_the_filters_of_a_list_are_shown_and_can_be_cleared(called) -> None:
    page = await called.page("/users?model=small&tag=order&sort=name")

    texts = " ".join(page.text.split())
    assert "Model: small" in texts
    assert "Tag: order" in texts
    assert "their figures are of all their calls" in texts
    assert {"/users?tag=order&sort=name", "/users?model=small&sort=name"} <= set(page.links)
    nobody = await called.page("/users?model=nothing")
    assert "Nobody matches" in nobody.text


async def test_without_the_archive_nobody_knows_who_asked(called) -> None:
    with called.api.services.archive._engine.begin() as connection:
        METADATA.drop_all(connection)

    page = await called.page("/users?model=small")

    assert "who made such calls is not known" in page.text
    assert "Nobody matches" not in page.text
    assert 503 == (await called.get("/users.csv?model=small")).status_code


async def test_a_page_of_users_who_asked_takes_few_round_trips(called, monkeypatch) -> None:
    """However many asked: rows, profiles, balances and days are each fetched together."""
    store = called.api.services.store
    together, commands = [], store.commands

    async def counting(sent):
        together.append(len(sent))
        return await commands(sent)

    monkeypatch.setattr(store, "commands", counting)
    await called.get("/users")  # what is kept of everybody
    counts = []
    for model in ("large", "other"):
        together.clear()
        await called.get(f"/users?model={model}")
        counts.append(len(together))

    assert max(counts) < 8
