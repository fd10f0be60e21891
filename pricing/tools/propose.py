"""`python -m pricing.tools.propose`: what the public lists have that the book lacks.

    pip download --no-deps litellm genai-prices
    python -m pricing.tools.propose --litellm litellm-*.whl --genai genai_prices-*.whl --out DIR

Writes, for every provider, entries for models that the book does not know to
``DIR/<provider>.yaml``, and ``DIR/report.md``: where the lists agree, where they do not, what
only one of them has, and where the book itself differs. Nothing enters the book by itself:
entries are read, and moved to ``pricing/data`` by hand. The lists are inputs of this tool
alone; nothing that runs or tests the gateway needs them.
"""

import argparse
import re
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pricing.book import PriceBook
from pricing.card import Price
from pricing.hours import instant_ms
from pricing.money import femto_per_token
from pricing.tools import genai, litellm
from pricing.tools.decided import Decisions
from pricing.tools.limits import bounded, is_bounded
from pricing.tools.merge import Proposal, Shelf, propose
from pricing.tools.modalities import with_modalities
from pricing.tools.seen import Seen
from pricing.tools.write import entries_text

MAP_NAME = "litellm/model_prices_and_context_window_backup.json"
DATA_NAME = "genai_prices/data.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the lists, write proposals and the report."""
    options = _options(arguments)
    book = PriceBook.load()
    version, source = _read(options.genai, DATA_NAME)
    shelf = Shelf(offers=genai.read(source), lineage=f"genai-prices {version}", today=options.today)
    decisions = Decisions.load()
    listed = propose(_map(options.litellm), shelf, [_map(path) for path in options.earlier])
    all_proposals = list(bounded(with_modalities(decisions.applied(listed)), book))
    new, unbounded = defaultdict(list), []
    for proposal in all_proposals:
        names = tuple(name for name in proposal.names if not _known(book, proposal, name))
        if not names or not (proposal.free or not proposal.prices[-1].figures.empty):
            continue
        if is_bounded(proposal):
            new[proposal.provider].append(replace(proposal, names=names))
        else:
            unbounded.append(f"{proposal.provider}/{proposal.model}")
    options.out.mkdir(parents=True, exist_ok=True)
    for provider in new:
        path = options.out / f"{provider}.yaml"
        path.write_text(entries_text(new, provider, options.today), encoding="utf-8")
    asides = {
        "Without a context, so not proposed": unbounded,
        "Where the book differs (it stands)": _against(all_proposals, book, options.today),
        "Decisions about names that no list has": decisions.unused(),
    }
    report = "\n".join(_report(new, options.today, asides))
    (options.out / "report.md").write_text(report + "\n", encoding="utf-8")
    sys.stdout.write(f"{sum(map(len, new.values()))} proposals, see {options.out}/report.md\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pricing.tools.propose")
    parser.add_argument("--litellm", type=Path, required=True, help="its wheel, or the map")
    parser.add_argument(
        "--earlier", type=Path, nargs="*", default=[], help="older maps, newest first"
    )
    parser.add_argument(
        "--genai", type=Path, required=True, help="the genai-prices wheel, or data.py"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--today", default=datetime.now(UTC).date().isoformat())
    return parser.parse_args(arguments)


def _read(path: Path, member: str) -> tuple[str, str]:
    """The version in a file's name, and its text; of a wheel, the text of `member`."""
    found = re.search(r"\d+(\.\d+)+", path.name)
    version = found[0].rstrip(".") if found else "?"
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return version, wheel.read(member).decode()
    return version, path.read_text(encoding="utf-8")


def _map(path: Path) -> list[Seen]:
    version, content = _read(path, MAP_NAME)
    return list(litellm.read(content, version))


def _known(book: PriceBook, proposal: Proposal, name: str) -> bool:
    """Whether the book prices this name itself, rather than what is left of it."""
    found = book.find(proposal.provider, name)
    return found.card is not None and not found.steps[0].startswith("prefix")


def _report(
    new: Mapping[str, list[Proposal]], today: str, asides: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    yield f"# Prices proposed on {today}"
    yield ""
    yield "| provider | cards | rates alike in two lists | differences | one list only |"
    yield "| --- | --- | --- | --- | --- |"
    for provider, cards in sorted(new.items()):
        last = [card.prices[-1] for card in cards]
        lists = Counter(len({name.split()[0] for name in price.lineages}) for price in last)
        yield (
            f"| {provider} | {len(cards)} | {sum(price.agreements for price in last)} "
            f"| {sum(len(price.differences) for price in last)} | {lists[1]} |"
        )
    yield from _section(
        "Where the lists differ (the higher is proposed)",
        (
            f"{card.provider}/{card.model}: {text}"
            for cards in new.values()
            for card in cards
            for text in card.prices[-1].differences
        ),
    )
    for title, lines in asides.items():
        yield from _section(title, lines)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield from (f"- {line}" for line in lines)


def _against(proposals: Iterable[Proposal], book: PriceBook, today: str) -> Iterator[str]:
    at_ms = instant_ms(today)
    for proposal in proposals:
        for name in proposal.names[:1]:
            card = book.find(proposal.provider, name).card
            price = card.price_at(at_ms) if card else None
            if price is not None:
                yield from (
                    f"{proposal.provider}/{name}: {text}" for text in _apart(proposal, price)
                )


def _apart(proposal: Proposal, price: Price) -> Iterator[str]:
    agreed = proposal.prices[-1]
    for component, rate in agreed.figures.base.items():
        ours = price.base.get(component)
        if ours != femto_per_token(rate):
            said = "nothing" if ours is None else f"{ours / 10**9:g}"
            yield f"{component} {said}, {' and '.join(agreed.lineages)} {rate:f}"


if __name__ == "__main__":
    raise SystemExit(main())
