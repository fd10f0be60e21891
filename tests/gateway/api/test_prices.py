"""The price book through the API: what bills, since when, by whose word."""

from dataclasses import replace

import pytest

from gateway.rating import Rating
from pricing.book import PriceBook

from .conftest import BOOK, MANAGER_TOKEN, TOKEN, Api, admin

pytestmark = pytest.mark.anyio

RICH = {
    "provider": "lab",
    "model": "rich",
    "match": ["rich", "rich-2026-01-01", "vendor/rich"],
    "limits": {"context": 200_000, "max_output": 8_000},
    "reasoning": True,
    "prices": [
        {
            "id": "lab/rich@2025-01-01",
            "from": "2025-01-01T00:00:00Z",
            "to": "2026-01-01T00:00:00Z",
            "base": {"input": "30", "output": "60"},
            "source": [{"url": "https://lab.example/old", "seen": "2025-02-01"}],
        },
        {
            "id": "lab/rich@2026-01-01",
            "from": "2026-01-01T00:00:00Z",
            "base": {"input": "0.0028", "cache_read": "0.00000001", "output": "15"},
            "tiers": [{"over": 100_000, "rates": {"input": "6", "output": "22.5"}}],
            "service": {"flex": {"input": "1.5", "output": "7.5", "tiers": []}},
            "schedule": [
                {
                    "days": "sun",
                    "utc": ["22:00-02:30"],
                    "rates": {"input": "1", "output": "2"},
                    "tiers": [],
                }
            ],
            "multipliers": [{"when": {"scope": "regional"}, "num": 11, "den": 10}],
            "fees": {"web_search": {"rate": "10", "per": 1000, "everywhere": True}},
            "source": [{"url": "https://lab.example/new", "seen": "2026-02-01"}],
        },
    ],
}
OTHER = {"provider": "azure", "model": "rich", "base": {"input": "4", "output": "16"}}
WHOLE = BOOK.overlaid([RICH, OTHER])


@pytest.fixture
def shop(api: Api) -> Api:
    """The API over a book with some history."""
    return replace(api, client=api.serving(rating=Rating(WHOLE)))


async def test_a_card_has_its_history_and_its_sources(shop) -> None:
    """Each price with span, rates as exact decimals, and the day its source was seen."""
    answer = (await shop.get("/api/prices/rich", provider="lab")).json()

    assert WHOLE.version == answer["book_version"]
    (card,) = answer["results"]
    assert ("lab", "rich", ["rich-2026-01-01", "vendor/rich"], True) == (
        card["provider"],
        card["model"],
        card["aliases"],
        card["reasoning"],
    )
    assert {"context": 200_000, "max_output": 8_000} == card["limits"]
    old, new = card["prices"]
    assert ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False) == (
        old["from"],
        old["to"],
        old["in_force"],
    )
    assert ({"input": "30", "output": "60"}, None) == (old["usd_per_million"], new["to"])
    assert {
        "input": "0.0028",
        "cache_read": "0.00000001",
        "output": "15",
    } == new["usd_per_million"]
    assert [
        {"over_input_tokens": 100_000, "usd_per_million": {"input": "6", "output": "22.5"}}
    ] == new["tiers"]
    assert {"input": "1.5", "output": "7.5"} == new["service"]["flex"]["usd_per_million"]
    assert "Sun 22:00-24:00, Mon 00:00-02:30" == new["schedule"][0]["utc"]
    assert [{"scope": "regional", "num": 11, "den": 10}] == new["multipliers"]
    assert {"web_search": {"usd": "10", "per": 1000, "everywhere": True}} == new["fees"]
    assert [{"url": "https://lab.example/new", "seen": "2026-02-01"}] == new["sources"]


@pytest.mark.parametrize(
    ("at", "in_force"),
    [
        ("2024-12-31T23:59:59Z", []),
        ("2025-01-01T00:00:00Z", ["lab/rich@2025-01-01"]),
        ("2025-12-31T23:59:59Z", ["lab/rich@2025-01-01"]),
        ("2026-01-01T00:00:00Z", ["lab/rich@2026-01-01"]),
        # A day is its noon, as it is for the commands.
        ("2024-12-31", []),
        ("2025-12-31", ["lab/rich@2025-01-01"]),
        ("2026-01-01", ["lab/rich@2026-01-01"]),
    ],
)
async def test_the_price_of_an_instant_is_marked(shop, at, in_force) -> None:
    """Half-open spans, as they bill."""
    (card,) = (await shop.get("/api/prices/rich", provider="lab", at=at)).json()["results"]

    assert in_force == [price["id"] for price in card["prices"] if price["in_force"]]


@pytest.mark.parametrize(
    ("path", "providers"),
    [
        ("/api/prices/rich", ["azure", "lab"]),
        ("/api/prices/rich/", ["azure", "lab"]),
        ("/api/prices/lab/rich", ["lab"]),
        ("/api/prices/lab%2Frich", ["lab"]),
        ("/api/prices/vendor%2Frich", ["lab"]),
        ("/api/prices/azure-openai/rich", ["azure"]),
    ],
)
async def test_a_model_is_named_as_in_a_call(shop, path, providers) -> None:
    """With its provider or without, percent-encoded or not; the steps say how it was found."""
    results = (await shop.get(path)).json()["results"]

    assert providers == [card["provider"] for card in results]
    assert all(card["steps"] for card in results)


async def test_an_unknown_model_is_a_404_with_near_names(shop) -> None:
    """Never another model's price."""
    for path in ("/api/prices/ritch", "/api/prices/lab/ritch"):
        answer = await shop.get(path)

        assert 404 == answer.status_code
        assert "lab/rich" in answer.json()["near"]
        assert "ritch" in answer.json()["detail"]
    assert [] == (await shop.get("/api/prices/qqqqqqqq")).json()["near"]


async def test_the_list_is_paged_and_filtered(shop) -> None:
    """By provider and by the beginning of any of a card's names."""
    whole = (await shop.get("/api/prices")).json()
    first = (await shop.get("/api/prices", page_size="2")).json()
    second = (await shop.get("/api/prices", page_size="2", page="2")).json()

    names = [f"{row['provider']}/{row['model']}" for row in whole["results"]]
    assert ["azure/rich", "lab/gift", "lab/rich", "lab/small"] == names
    assert whole["results"] == first["results"] + second["results"]
    assert (4, True, None) == (first["count"], bool(first["next"]), second["next"])
    assert 3 == (await shop.get("/api/prices", provider="lab")).json()["count"]
    (found,) = (await shop.get("/api/prices", prefix="vendor/")).json()["results"]
    assert ("rich", "lab/rich@2026-01-01", "15") == (
        found["model"],
        found["price_id"],
        found["usd_per_million"]["output"],
    )
    (free,) = (await shop.get("/api/prices", prefix="gift")).json()["results"]
    assert (True, {}) == (free["free"], free["usd_per_million"])
    assert 0 == (await shop.get("/api/prices", prefix="x")).json()["count"]


@pytest.mark.parametrize(
    "query", [{"page": "0"}, {"at": "soon"}, {"providre": "lab"}, {"page_size": "1001"}]
)
async def test_a_faulty_query_names_its_field(shop, query) -> None:
    answer = await shop.get("/api/prices", **query)

    assert 422 == answer.status_code
    assert [*query] == [*answer.json()["errors"]]


async def test_models_have_keywords_ais_shape(shop) -> None:
    """Only those that have a price now; costs as floats, as there."""
    models = (await shop.get("/api/models/public")).json()["models"]

    (rich,) = [
        m for m in models if m["model_name"] == "rich" and m["provider"]["provider_id"] == "lab"
    ]
    assert {
        "model_name": "rich",
        "max_context_window": 200_000,
        "input_cost": 0.0028,
        "output_cost": 15.0,
        "rate_limit": None,
        "provider": {
            "provider_name": "lab",
            "provider_id": "lab",
            "moderation": None,
            "credential_fields": ["api_key"],
        },
    } == rich
    assert 4 == len(models)


@pytest.mark.parametrize(
    "path", ["/api/prices", "/api/prices/rich", "/api/prices/lab/rich", "/api/models/public"]
)
async def test_prices_are_for_who_may_manage(shop, path) -> None:
    """As every other management route: the admin key, or an app that manages."""

    async def status(headers: dict[str, str]) -> int:
        answered: int = (await shop.client.get(path, headers=headers)).status_code
        return answered

    assert [401, 403, 200, 200] == [
        await status({}),
        await status({"Authorization": f"Bearer {TOKEN}"}),
        await status({"Authorization": f"Bearer {MANAGER_TOKEN}"}),
        await status(admin()),
    ]


async def test_an_empty_book_has_nothing(api) -> None:
    client = api.serving(rating=Rating(PriceBook((), "")))

    answer = await client.get("/api/prices", headers=admin())

    assert (0, []) == (answer.json()["count"], answer.json()["results"])


async def test_a_day_is_its_noon(shop) -> None:
    answer = (await shop.get("/api/prices/rich", at="2026-01-01")).json()

    assert "2026-01-01T12:00:00Z" == answer["at"]
