"""Proposed cards as the YAML that price files are written in, a few lines each."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from pricing.card import COMPONENTS
from pricing.tools.combine import Agreed
from pricing.tools.merge import Proposal
from pricing.tools.seen import Figures, Rates

SINCE: Final = "2024-01-01"
"""Where no beginning is known: earlier than any call that is billed."""

PLACES: Final = {"azure": "global", "bedrock": "global, regional", "vertex": "global"}
"""Where prices depend on the place: what the rates of a list that has one alone are for."""

PAGES: Final = {
    "openai": "https://developers.openai.com/api/docs/pricing",
    "azure": "https://azure.microsoft.com/en-us/pricing/details/azure-openai/",
    "anthropic": "https://platform.claude.com/docs/en/about-claude/pricing",
    "google": "https://ai.google.dev/gemini-api/docs/pricing",
    "vertex": "https://cloud.google.com/vertex-ai/generative-ai/pricing",
    "bedrock": "https://aws.amazon.com/bedrock/pricing/",
    "mistral": "https://mistral.ai/pricing",
    "groq": "https://groq.com/pricing",
    "deepseek": "https://api-docs.deepseek.com/quick_start/pricing",
    "xai": "https://docs.x.ai/developers/pricing",
    "cohere": "https://cohere.com/pricing",
    "together": "https://www.together.ai/pricing",
    "fireworks": "https://fireworks.ai/pricing",
    "perplexity": "https://docs.perplexity.ai/docs/getting-started/pricing",
    "voyage": "https://docs.voyageai.com/docs/pricing",
}
_NEWER_CAP: Final = {
    "openai": re.compile(".*"),
    "azure": re.compile(r"(o[1-9]|gpt-[5-9]|codex|computer-use|model-router|gpt-chat|chat-latest)"),
}
"""Whose output limit is ``max_completion_tokens``; of others it is ``max_tokens``."""

LISTS: Final = {"litellm": "LiteLLM"}

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_NUMBERS = re.compile(r"[\d._]+|true|false|null|yes|no|on|off", re.IGNORECASE)


def card_lines(proposal: Proposal, today: str) -> Iterator[str]:
    """One entry, line by line."""
    yield f"- provider: {proposal.provider}"
    yield f"  model: {_text(proposal.model)}"
    names = sorted(proposal.names, key=lambda name: (name != proposal.model, name))
    yield f"  match: [{', '.join(map(_text, names))}]"
    yield from _limits(proposal)
    if proposal.reasoning:
        yield "  reasoning: true"
    if max_output(proposal):
        newer = _NEWER_CAP.get(proposal.provider)
        is_newer = newer is not None and newer.match(proposal.model)
        yield f"  output_cap_field: {'max_completion_tokens' if is_newer else 'max_tokens'}"
    yield "  prices:"
    first = proposal.from_day or SINCE
    starts = [each.figures.from_day or first for each in (*proposal.prices, *proposal.announced)]
    for number, price in enumerate(proposal.prices):
        end = starts[number + 1] if number + 1 < len(proposal.prices) else None
        yield from _price(proposal, price, (starts[number], end), today)
    for number, price in enumerate(proposal.announced, len(proposal.prices)):
        yield "  # Announced: to be confirmed, and the price before it closed, once it bills."
        yield from _price(proposal, price, (starts[number], None), today, status="announced")


def max_output(proposal: Proposal) -> int | None:
    """The maximum output; where none is published, the context bounds it."""
    if not proposal.prices[-1].figures.base:
        return None
    if proposal.max_output is None or not proposal.context:
        return proposal.max_output if proposal.max_output is not None else proposal.context
    return min(proposal.max_output, proposal.context)


def _limits(proposal: Proposal) -> Iterator[str]:
    limits = {"context": proposal.context, "max_output": max_output(proposal)}
    known = ", ".join(f"{name}: {value}" for name, value in limits.items() if value is not None)
    if known:
        yield f"  limits: {{{known}}}"


def _price(
    proposal: Proposal,
    price: Agreed,
    span: tuple[str, str | None],
    today: str,
    status: str = "confirmed",
) -> Iterator[str]:
    begin, end = map(_instant, span)
    figures = price.figures
    yield f"  - id: {_text(f'{proposal.provider}/{proposal.model}@{span[0][:10]}')}"
    yield f"    from: {begin}"
    if end:
        yield f"    to: {end}"
    yield f"    status: {status}"
    url = price.url or proposal.url or PAGES[proposal.provider]
    lineages = f", lineage: [{', '.join(price.lineages)}]" if price.lineages else ""
    yield f"    source: [{{url: {_url(url)}, seen: {today}{lineages}}}]"
    if proposal.free:
        yield "    free: true"
    elif figures.base:
        yield f"    base: {_rates(figures.base)}"
        if figures.tiers:
            yield "    tiers:"
            yield from (f"    - {tier}" for tier in _tiers(figures))
        if figures.service:
            yield "    service:"
            for name, mode in figures.service.items():
                yield f"      {name}: {_mode(mode, has_tiers=bool(figures.tiers))}"
    if proposal.multipliers and not proposal.free:
        yield f"    multipliers: [{', '.join(_multipliers(proposal))}]"
    elif proposal.provider in PLACES and not proposal.free:
        yield f"    scopes: [{PLACES[proposal.provider]}]"
    if figures.fees and not proposal.free:
        fees = ", ".join(
            f"{_unit(unit)}: {{rate: {_amount(fee.rate)}"
            + (f", per: {fee.per}}}" if fee.per != 1 else "}")
            for unit, fee in figures.fees.items()
        )
        yield f"    fees: {{{fees}}}"
    yield from _remarks(price)


def _remarks(price: Agreed) -> Iterator[str]:
    note = price.note or ""
    if price.differences:
        note = f"{note} The careful one of {'; '.join(price.differences)}.".strip()
    if note:
        yield f'    note: "{note}"'
    allow = dict(price.allow)
    lists = {lineage.split()[0] for lineage in price.lineages}
    if len(lists) == 1:
        name = lists.pop()
        allow.setdefault("one-source", f"only {LISTS.get(name, name)} lists it")
    if allow:
        reasons = ", ".join(f'{rule}: "{reason}"' for rule, reason in allow.items())
        yield f"    allow: {{{reasons}}}"


def _instant(day: str | None) -> str | None:
    return f"{day}T00:00:00Z" if day and "T" not in day else day


def _multipliers(proposal: Proposal) -> Iterator[str]:
    for scope, factor in proposal.multipliers.items():
        yield (f"{{when: {{scope: {scope}}}, num: {factor.numerator}, den: {factor.denominator}}}")


def _mode(figures: Figures, *, has_tiers: bool) -> str:
    rates = _rates(figures.base)
    if figures.tiers:
        return f"{rates[:-1]}, tiers: [{', '.join(_tiers(figures))}]}}"
    return f"{rates[:-1]}, tiers: []}}" if has_tiers else rates


def _tiers(figures: Figures) -> Iterator[str]:
    for over, rates in figures.tiers.items():
        yield f"{{over: {over}, measure: input_total, rates: {_rates(rates)}}}"


def _rates(rates: Rates) -> str:
    ordered = (f"{name}: {_amount(rates[name])}" for name in COMPONENTS if name in rates)
    return f"{{{', '.join(ordered)}}}"


def _amount(amount: Decimal) -> str:
    text = f"{amount:f}"
    return f'"{text.rstrip("0").rstrip(".") if "." in text else text}"'


def _unit(unit: str) -> str:
    return f'"{unit}"' if ":" in unit else unit


def _text(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and not _NUMBERS.fullmatch(text) else f'"{text}"'


def _url(url: str) -> str:
    return f'"{url}"' if re.search(r"[#,{}\[\]\s'\"]", url) else url


def entries_text(proposals: Mapping[str, list[Proposal]], provider: str, today: str) -> str:
    """All of one provider's proposals, with a blank line between two."""
    cards = ("\n".join(card_lines(each, today)) for each in proposals[provider])
    return "\n\n".join(cards) + "\n"
