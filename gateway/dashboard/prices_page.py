"""Models & prices: what was called and what it costs, what has no price, and the price book."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from gateway.api.services import Services
from gateway.catalog import row_json
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.twins import twin
from gateway.dashboard.users import page_number
from gateway.dashboard.visits import Visit
from pricing.book import PriceBook
from pricing.card import Card

PAGE_SIZE: Final = 50
MODELS_MAX: Final = 30

FILE_COLUMNS: Final = (
    *("provider", "model", "price_id", "from", "free"),
    *("input", "cache_read", "output", "context", "max_output"),
)


class PricesPage:
    def __init__(self, services: Services, reports: Reports, renderer: Renderer) -> None:
        self._services = services
        self._reports = reports
        self._renderer = renderer
        self._of: tuple[PriceBook | None, Sequence[Card]] = (None, ())

    async def page(self, visit: Visit) -> Response:
        state = visit.state
        cards, models, unpriced = await asyncio.gather(
            self._cards(),
            self._reports.models(state.span),
            self._reports.unpriced(state.span),
        )
        found = _found(cards, state.get("q").strip().lower(), state.get("provider"))
        page = page_number(state.get("page"))
        shown = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        context: dict[str, Any] = {
            "models": None if models is None else models[:MODELS_MAX],
            "more_models": max(len(models or ()) - MODELS_MAX, 0),
            "dearest": max((model.use.cost_pico for model in models or ()), default=0),
            "unpriced": unpriced or [],
            "pending": None in (models, unpriced),
            "cards": [row_json(card, visit.now_ms) for card in shown],
            "providers": sorted({card.provider for card in cards}),
            "count": len(found),
            "page": page,
            "pages": -(-len(found) // PAGE_SIZE),
            "book_version": self._services.rating.book.version,
            "troubles": self._services.price_troubles(),
        }
        return self._renderer.page("prices.html", visit, context)

    def twin(self, kind: str) -> Any:
        async def file(visit: Visit) -> Response:
            state = visit.state
            found = _found(
                await self._cards(), state.get("q").strip().lower(), state.get("provider")
            )
            return twin(kind, "prices", [_file_row(c, visit.now_ms) for c in found], FILE_COLUMNS)

        return file

    async def _cards(self) -> Sequence[Card]:
        """All of the book in force, sorted; made once for each book, in a thread."""
        book = self._services.rating.book
        if self._of[0] is not book:
            self._of = (book, await asyncio.to_thread(_sorted, book))
        return self._of[1]


def _sorted(book: PriceBook) -> list[Card]:
    return sorted(book.cards(), key=lambda card: (card.provider, card.model))


def _found(cards: Sequence[Card], sought: str, provider: str) -> list[Card]:
    return [
        card
        for card in cards
        if (not provider or card.provider == provider)
        and (not sought or any(sought in name.lower() for name in card.match))
    ]


def _file_row(card: Card, at_ms: int) -> dict[str, Any]:
    row = row_json(card, at_ms)
    rates = row["usd_per_million"]
    return {
        "provider": row["provider"],
        "model": row["model"],
        "price_id": row["price_id"],
        "from": row["from"],
        "free": row["free"],
        "input": rates.get("input"),
        "cache_read": rates.get("cache_read"),
        "output": rates.get("output"),
        "context": row["limits"]["context"],
        "max_output": row["limits"]["max_output"],
    }
