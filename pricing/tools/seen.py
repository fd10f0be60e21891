"""What one lineage says of one model: figures as found, before anything is decided.

A lineage is where a figure was seen, with its version (``litellm 1.110.2``). Two that agree
count for more than one, since people typed them in apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

Rates = dict[str, Decimal]
"""USD per million tokens, by component of `pricing.card.COMPONENTS`."""

GRAIN: Final = Decimal("1e-9")
"""USD per million tokens: the finest rate that `pricing.card` keeps."""


class Fee(NamedTuple):
    rate: Decimal
    per: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One price: `pricing.card.Price` as a lineage writes it.

    Attributes:
        from_day: ISO day from which it holds; None: as long as is known.
        tiers: Rates above a total input, by threshold.
        service: Figures of other ways of being served, by the name in the answer.
        fees: By unit, perhaps qualified (``image:hd-1024x1024``).
    """

    from_day: str | None = None
    base: Rates = field(default_factory=dict)
    tiers: Mapping[int, Rates] = field(default_factory=dict)
    service: Mapping[str, "Figures"] = field(default_factory=dict)
    fees: Mapping[str, Fee] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.base or self.fees)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One name of one provider in one lineage.

    Attributes:
        scope: Where the lineage says these figures hold; None: it does not say.
        prices: By rising `from_day`; the last is the current one.
        url: The provider's own page, where the lineage names one.
        multipliers: By scope, of the whole bill.
        reads_only: Writes no tokens (embeddings, reranking), so its output has no limit.
        free: The lineage lists it at zero.
    """

    lineage: str
    provider: str
    name: str
    prices: tuple[Figures, ...]
    scope: str | None = None
    url: str | None = None
    context: int | None = None
    max_output: int | None = None
    reasoning: bool = False
    reads_only: bool = False
    free: bool = False
    multipliers: Mapping[str, Fraction] = field(default_factory=dict)


def per_million(usd_per_token: Decimal) -> Decimal:
    """A rate by the token as one by the million, without what a float left behind."""
    return tidy(usd_per_token * 1_000_000)


def tidy(number: Decimal) -> Decimal:
    """Drop the noise after ten significant digits, and what is finer than a femto-dollar."""
    rounded = +Decimal(f"{number:.10g}")
    return Decimal(f"{rounded.quantize(GRAIN).normalize():f}")
