"""The call that a new owner of this gateway makes first, ready to be copied."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from starlette.requests import Request

from gateway.api.services import About
from pricing.book import PriceBook

WELL_KNOWN_MODEL: Final = "gpt-4o-mini"


@dataclass(frozen=True, slots=True)
class Call:
    """What is put into it.

    Attributes:
        origin: Where calls go, without a slash at the end.
    """

    origin: str
    model: str
    customer: str


class Example:
    def __init__(self, about: About, book: PriceBook, port: int | None = None) -> None:
        self._model = example_model(about, book)
        self._port = port

    def of(self, request: Request, customer: str = "customer_1") -> Call:
        url = request.base_url.replace(port=self._port) if self._port else request.base_url
        return Call(str(url).rstrip("/"), self._model, customer)


def example_model(about: About, book: PriceBook) -> str:
    """A model that a chat call here can name: the well-known one where it is served."""
    globs = [glob for served in about.upstreams for glob in served.models]
    priced = (card.model for card in book.cards() if card.output_max_tokens != 0)
    for model in (WELL_KNOWN_MODEL, *priced):
        if any(fnmatchcase(model, glob) for glob in globs):
            return model
    return next((glob for glob in globs if not set(glob) & set("*?[")), WELL_KNOWN_MODEL)
