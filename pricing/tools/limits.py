"""How large a call can become, where the list that has the price does not say.

The context is the model's, whoever serves it: a route may allow less, never more. So the
limits of the same name at another provider bound it, and the context bounds the output. And
what thinks in hidden tokens at one provider does so at all.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pricing.book import PriceBook
from pricing.tools.merge import Proposal

_LAB = re.compile(r"^[a-z0-9]+\.(?=[a-z])|-v\d+(:\d+)?$|@.*$")


@dataclass(slots=True)
class _Known:
    """What some provider says of a model of that name."""

    context: int = 0
    output: int = 0
    reasoning: bool = False

    def learn(self, context: int | None, output: int | None, *, reasoning: bool) -> None:
        self.context = max(self.context, context or 0)
        self.output = max(self.output, output or 0)
        self.reasoning |= reasoning


def bounded(proposals: Iterable[Proposal], book: PriceBook) -> Iterator[Proposal]:
    """The proposals, each with what is known of its model's size anywhere."""
    proposals = list(proposals)
    models: dict[str, _Known] = defaultdict(_Known)
    for card in book.cards():
        for name in card.match:
            models[_tail(name)].learn(
                card.context_tokens, card.output_max_tokens, reasoning=card.reasoning
            )
    for proposal in proposals:
        for name in proposal.names:
            models[_tail(name)].learn(
                proposal.context, proposal.max_output, reasoning=proposal.reasoning
            )
    for proposal in proposals:
        known = models[_tail(proposal.model)]
        output = proposal.max_output
        yield replace(
            proposal,
            context=proposal.context or known.context or None,
            max_output=output if output is not None else known.output or None,
            reasoning=known.reasoning,
        )


def is_bounded(proposal: Proposal) -> bool:
    """Whether a call can be held for: text has a limit, images and speech have other ones."""
    base = proposal.prices[-1].figures.base
    return bool(proposal.context) or not base or bool({"image_out", "audio_out"} & base.keys())


def _tail(name: str) -> str:
    """The model itself, without who serves it and how that spells it."""
    return _LAB.sub("", name.rpartition("/")[2].lower())
