"""Usage: the tokens of one request, in buckets that never overlap."""

from collections.abc import Callable
from operator import add, attrgetter, itemgetter
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import astuple

TOKENS_MAX: Final = 10**15
"""Of one bucket, where usage is read from JSON: totals stay within int64."""

Count = Annotated[int, Meta(ge=0, lt=TOKENS_MAX)]


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tokens to bill for one request; each token is in exactly one bucket.

    Providers report nested counts (OpenAI's ``prompt_tokens`` includes the cached
    ones). Whoever reads a provider's JSON subtracts first; from here on a price is
    a plain dot product.

    Attributes:
        input_tokens: Text input that was neither read from nor written to a cache.
        output_tokens: Text output, without the reasoning.
        reasoning_tokens: Hidden output; billed as output unless the card prices it apart.
        fees: Calls billed by the piece: ``(("web_search", 2),)``.
    """

    input_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_5m_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    audio_in_tokens: Count = 0
    audio_cached_tokens: Count = 0
    image_in_tokens: Count = 0
    image_cached_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_tokens: Count = 0
    audio_out_tokens: Count = 0
    image_out_tokens: Count = 0
    fees: tuple[tuple[str, Count], ...] = ()

    def __post_init__(self) -> None:
        if min(token_counts(self)) < 0:
            raise ValueError(f"negative token count: {self}")
        if self.fees and min(quantity for _, quantity in self.fees) < 0:
            raise ValueError(f"negative number of calls: {self}")

    def __add__(self, other: "Usage") -> "Usage":
        """Both, bucket by bucket and piece by piece."""
        sums = map(add, token_counts(self), token_counts(other))
        fees = dict(self.fees)
        for unit, quantity in other.fees:
            fees[unit] = fees.get(unit, 0) + quantity
        return Usage(**dict(zip(TOKEN_BUCKETS, sums, strict=True)), fees=tuple(fees.items()))

    @property
    def input_total(self) -> int:
        """All input tokens, cached and media included: what OpenAI calls ``prompt_tokens``."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.audio_in_tokens
            + self.audio_cached_tokens
            + self.image_in_tokens
            + self.image_cached_tokens
        )

    @property
    def cached_total(self) -> int:
        return self.cache_read_tokens + self.audio_cached_tokens + self.image_cached_tokens

    @property
    def output_total(self) -> int:
        """All output tokens, reasoning included: what OpenAI calls ``completion_tokens``."""
        return (
            self.output_tokens
            + self.reasoning_tokens
            + self.audio_out_tokens
            + self.image_out_tokens
        )

    @property
    def total(self) -> int:
        return self.input_total + self.output_total

    @property
    def totals(self) -> tuple[int, int, int, int]:
        """`input_total`, `cached_total`, `output_total`, `reasoning_tokens`, at a third the price.

        Every event that is consolidated asks for them.
        """
        counts = amounts(self)
        return (
            sum(counts[:_OUTPUT]),
            sum(_cached(counts)),
            sum(counts[_OUTPUT:-1]),
            counts[_REASONING],
        )


TOKEN_BUCKETS: Final = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))

token_counts: Final[Callable[[Usage], tuple[int, ...]]] = attrgetter(*TOKEN_BUCKETS)
"""The counts of all buckets, in the order of `TOKEN_BUCKETS`."""

amounts: Final[Callable[[Usage], tuple[Any, ...]]] = astuple
"""All that a usage has: `token_counts`, then its fees; at a third of the price."""

_OUTPUT: Final = TOKEN_BUCKETS.index("output_tokens")
"""The first of output; those before it are input."""

_REASONING: Final = TOKEN_BUCKETS.index("reasoning_tokens")
_cached: Final = itemgetter(
    *(
        TOKEN_BUCKETS.index(name)
        for name in ("cache_read_tokens", "audio_cached_tokens", "image_cached_tokens")
    )
)
