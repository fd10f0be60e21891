"""The price book through the API: what bills, with its history and its sources."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.query import Query, page_of
from gateway.api.services import Services
from gateway.api.times import instant_or_noon
from gateway.catalog import card_json, matches, near, public_models, row_json
from gateway.clock import rfc3339
from pricing.book import PriceBook
from pricing.card import Card
from pricing.names import canonical_provider

PAGE_SIZE: Final = 100

PARAMETERS: Final = ("provider", "prefix", "at", "page", "page_size")
OF_ONE: Final = ("provider", "at")


class Prices:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [
            Endpoint("/api/prices", {"GET": guarded(self.page)}),
            Endpoint("/api/prices/{model}", {"GET": guarded(self.show)}),
            Endpoint("/api/prices/{provider}/{model}", {"GET": guarded(self.show)}),
            Endpoint("/api/models/public", {"GET": guarded(self.public)}),
        ]

    async def page(self, request: Request) -> Response:
        """Cards by provider and model; ``prefix`` is of any of their names."""
        query = Query(request, PARAMETERS)
        page, page_size = query.page(PAGE_SIZE)
        at_ms = self._at(query)
        provider = query.text("provider")
        wanted = canonical_provider(provider) if provider else None
        prefix = query.text("prefix") or ""
        book, cards = await self._book()
        found = sorted(
            (
                card
                for card in cards
                if wanted in (None, card.provider)
                and any(name.startswith(prefix) for name in card.match)
            ),
            key=lambda card: (card.provider, card.model),
        )
        some = found[(page - 1) * page_size : page * page_size]
        rows = [row_json(card, at_ms) for card in some]
        listed = page_of(request, rows, count=len(found), page=page, page_size=page_size)
        return answer({**listed, "book_version": book.version})

    async def show(self, request: Request) -> Response:
        """Every card that the name leads to, as a call's would; else 404 and the near names."""
        query = Query(request, OF_ONE)
        at_ms = self._at(query)
        model = request.path_params["model"]
        provider = request.path_params.get("provider") or query.text("provider")
        book, _ = await self._book()
        found = matches(book, model, provider)
        if not found:
            said = f" of provider {provider[:64]!r}" if provider else ""
            return answer(
                {
                    "detail": f"There is no price for model {model[:64]!r}{said}.",
                    "near": near(book, model[:64], provider),
                },
                404,
            )
        return answer(
            {
                "model": model,
                "at": rfc3339(at_ms),
                "book_version": book.version,
                "results": [
                    {**card_json(match.card, at_ms), "steps": match.found.steps} for match in found
                ],
            }
        )

    async def public(self, request: Request) -> Response:
        Query(request, ())
        book, _ = await self._book()
        return answer({"models": list(public_models(book, self._services.clock.now_ms()))})

    async def _book(self) -> tuple[PriceBook, list[Card]]:
        """The book in force and all its cards, made in a thread: the loop serves calls."""
        book = self._services.rating.book
        return book, await asyncio.to_thread(list, book.cards())

    def _at(self, query: Query) -> int:
        at_ms = query.get("at", instant_or_noon)
        return self._services.clock.now_ms() if at_ms is None else at_ms
