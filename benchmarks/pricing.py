"""What a price costs: `python -m benchmarks.pricing`, half a minute, no network.

Prints the time to load the shipped book, to find and make one card, and to work out one
bill of several kinds, with the goals beside them. Processor time, the least of many short
rounds: what else the machine does is in the other ones.
"""

import gc
import platform
import time
from collections.abc import Callable
from typing import Final

from pricing.book import PriceBook
from pricing.bound import upper_bound
from pricing.card import Price
from pricing.cost import cost
from pricing.names import resolve
from pricing.usage import Usage

AT_MS: Final = 1_795_867_200_000  # 2026-11-28T12:00:00Z
ROUNDS: Final = 600
CALLS_A_ROUND: Final = 500

TEXT: Final = Usage(input_tokens=9_000, cache_read_tokens=4_000, output_tokens=700)
LONG: Final = Usage(input_tokens=300_000, cache_read_tokens=90_000, output_tokens=700)
SEARCH: Final = Usage(input_tokens=9_000, output_tokens=700, fees=(("web_search", 2),))


def main() -> None:
    book = PriceBook.load()
    version = f"{platform.python_implementation()} {platform.python_version()}"
    cards = sum(1 for _ in book.cards())
    _say(f"{version}, {platform.machine()}; the book has {cards:,} cards\n")
    _say(f"{'load the book':<44}{_least_ms(PriceBook.load, rounds=10):8.1f} ms   goal 100")
    _say(f"{'make all of its cards':<44}{_least_ms(_all_cards, rounds=3):8.1f} ms")
    for what, one in _calls(book).items():
        _say(f"{what:<44}{_least_us(one):8.2f} µs{'   goal 2' if what.startswith('bill') else ''}")


def _calls(book: PriceBook) -> dict[str, Callable[[], object]]:
    mini, sol = _price(book, "openai", "gpt-4o-mini"), _price(book, "openai", "gpt-6-sol")
    claude = _price(book, "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0")
    flash = _price(book, "deepseek", "deepseek-flash")
    index = book._index  # noqa: SLF001 - the resolver without the cache in front of it
    return {
        "find a name again": lambda: book.find("openai", "gpt-4o-mini"),
        "find a name by its date form": lambda: resolve(index, "openai", "gpt-4o-mini-20240718"),
        "bill: text": lambda: cost(TEXT, mini),
        "bill: text, 10 % markup": lambda: cost(TEXT, mini, markup_ppm=100_000),
        "bill: a model with a long-context tier": lambda: cost(TEXT, sol),
        "bill: above that tier": lambda: cost(LONG, sol),
        "bill: above that tier, served as flex": lambda: cost(LONG, sol, service_tier="flex"),
        "bill: regional": lambda: cost(TEXT, claude, scope="regional"),
        "bill: by the hour of the week": lambda: cost(TEXT, flash, completed_ms=AT_MS),
        "bill: with web searches": lambda: cost(SEARCH, sol),
        "bound a call": lambda: upper_bound(sol, input_tokens=9_000, output_tokens=4_096),
        "explain a bill": lambda: cost(TEXT, sol).items,
    }


def _price(book: PriceBook, provider: str, model: str) -> Price:
    card = book.find(provider, model).card
    price = card.price_at(AT_MS) if card else None
    if price is None:
        raise SystemExit(f"the book has no price of {provider}/{model}")
    return price


def _all_cards() -> None:
    for _ in PriceBook.load().cards():
        pass


def _least_us(one: Callable[[], object]) -> float:
    best = float("inf")
    gc.disable()
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        for _ in range(CALLS_A_ROUND):
            one()
        best = min(best, (time.process_time_ns() - start) / CALLS_A_ROUND)
    gc.enable()
    return best / 1_000


def _least_ms(one: Callable[[], object], *, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time_ns()
        one()
        best = min(best, time.process_time_ns() - start)
    return best / 1_000_000


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
