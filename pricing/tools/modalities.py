"""Gemini counts pictures and sound apart, and bills most of them like text: say so.

A card without a rate for pictures makes a call with one an error, since for other models text's
rate would be far too low. Google's page has one rate for text, images and video, and
sound has its own where it is dearer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pricing.tools.merge import GEMINI, Proposal
from pricing.tools.seen import Figures, Rates


def with_modalities(proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    """The proposals, with a rate for every modality that a Gemini model reads."""
    for proposal in proposals:
        if proposal.provider in {"google", "vertex"} and GEMINI.match(proposal.model):
            yield replace(
                proposal,
                prices=tuple(replace(p, figures=_all(p.figures)) for p in proposal.prices),
                announced=tuple(replace(p, figures=_all(p.figures)) for p in proposal.announced),
            )
        else:
            yield proposal


def _all(figures: Figures) -> Figures:
    if not {"input", "output"} <= figures.base.keys():
        return figures
    return replace(
        figures,
        base=_read(figures.base),
        tiers={over: _read(rates) for over, rates in figures.tiers.items()},
        service={name: _all(mode) for name, mode in figures.service.items()},
    )


def _read(rates: Rates) -> Rates:
    filled = {"image_in": rates["input"], "audio_in": rates["input"], **rates}
    if "cache_read" in rates:
        # Cached sound without a rate of its own costs text's where fresh sound does.
        as_text = filled["audio_in"] == rates["input"]
        filled.setdefault("image_cached", rates["cache_read"])
        filled.setdefault("audio_cached", rates["cache_read"] if as_text else filled["audio_in"])
    return filled
