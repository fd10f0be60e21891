"""What one model costs, from which instant on, and how large a call to it can be.

    Card                      a model as one provider serves it: names, limits, prices
    └ Price                   from one instant to the next
      ├ base: Rates           standard service, by component
      ├ tiers: Tier           other rates once the total input is above a threshold
      ├ service: Mode         absolute rates (and tiers) of batch, flex, priority …
      ├ schedule: Window      absolute rates (and tiers) at some hours of the week
      ├ multipliers           of everything, by where it is served
      └ fees: Fee             by the piece: a web search, a page, a second

Rates are femto-USD per token. Everything here is immutable: an event that names a
price id means the same amount for ever.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from types import MappingProxyType
from typing import Final, NamedTuple

from pricing.money import Femto
from pricing.scopes import EVERYWHERE, Factor, factors_of
from pricing.usage import TOKEN_BUCKETS

COMPONENTS: Final = tuple(name.removesuffix("_tokens") for name in TOKEN_BUCKETS)
"""What tokens are billed as, in the order of the buckets of `Usage`."""

INPUT_COMPONENTS: Final = COMPONENTS[: COMPONENTS.index("output")]
OUTPUT_COMPONENTS: Final = COMPONENTS[COMPONENTS.index("output") :]

FALLBACKS: Final = MappingProxyType(
    {"cache_read": "input", "cache_write_5m": "input", "reasoning": "output"}
)
"""Whose rate a component without one is billed at.

Audio, images and one-hour cache writes have none: the text rate would bill them
several times too low, so they are an error instead.
"""

FEE_UNITS: Final = (
    "request",
    "web_search",
    "file_search",
    "page",
    "second",
    "character",
    "image",
    "rerank",
    "citation",
    "container",
    "tool",
)
"""What pieces are billed as. A unit may be qualified where its kind decides the price, as in
``image:hd-1024x1024`` or ``request:low``; unqualified it prices every kind not named. A ``tool``
is one that the provider runs and has no other unit: ``tool:google_maps``."""

UNPRICED: Final = 1 << 200
"""Stands for a rate nobody published: any token of it lifts a sum out of reach of real money."""

WEEK_MINUTES: Final = 7 * 24 * 60
_EPOCH_MINUTE_OF_WEEK: Final = 3 * 24 * 60  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Femto-USD per token; None: the provider publishes no rate.

    Attributes:
        billed: What each bucket of `Usage` is multiplied with, in its order: the rate, the
            one it falls back to, or `UNPRICED`.
    """

    input: Femto | None = None
    cache_read: Femto | None = None
    cache_write_5m: Femto | None = None
    cache_write_1h: Femto | None = None
    audio_in: Femto | None = None
    audio_cached: Femto | None = None
    image_in: Femto | None = None
    image_cached: Femto | None = None
    output: Femto | None = None
    reasoning: Femto | None = None
    audio_out: Femto | None = None
    image_out: Femto | None = None
    billed: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "billed", tuple(map(self._billed, COMPONENTS)))

    def get(self, component: str) -> Femto | None:
        rate: Femto | None = getattr(self, component)
        return rate

    def published(self) -> dict[str, Femto]:
        """The components that have a rate of their own, in the order of `COMPONENTS`."""
        rates = ((name, self.get(name)) for name in COMPONENTS)
        return {name: rate for name, rate in rates if rate is not None}

    def fallback(self, component: str) -> str | None:
        """The component whose rate this one borrows, if it does."""
        return FALLBACKS.get(component) if self.get(component) is None else None

    def dearest(self, components: Iterable[str]) -> int:
        """The highest published rate among `components`; 0 when none has one."""
        return max((rate for name in components if (rate := self.get(name))), default=0)

    def _billed(self, component: str) -> int:
        rate = self.get(component)
        if rate is None and component in FALLBACKS:
            rate = self.get(FALLBACKS[component])
        return UNPRICED if rate is None else rate


FREE_RATES: Final = Rates(**dict.fromkeys(COMPONENTS, Femto(0)))


class Tier(NamedTuple):
    """Rates of the whole request once its total input is strictly above `over_tokens`."""

    over_tokens: int
    rates: Rates


class Mode(NamedTuple):
    """One way of being served, complete: nothing is inherited from another mode."""

    rates: Rates
    tiers: tuple[Tier, ...] = ()


class Window(NamedTuple):
    """Hours of the week, UTC, at whose completions another mode is billed.

    Attributes:
        minutes: Half-open spans of minutes since Monday 00:00.
    """

    minutes: tuple[tuple[int, int], ...]
    mode: Mode


class Multiplier(NamedTuple):
    """Factor `num` / `den` on the bill of calls served in `scope`, see `Fee.everywhere`."""

    scope: str
    num: int
    den: int


class Fee(NamedTuple):
    """`rate_femto` for every `per` pieces, pro rata.

    Attributes:
        once: However many a call has, it is billed one.
        everywhere: It is the same in each place: multipliers are not of it.
    """

    rate_femto: int
    per: int
    once: bool = False
    everywhere: bool = False


FREE_FEE: Final = Fee(0, 1)


class Source(NamedTuple):
    """Where a price was read, and on which day.

    Attributes:
        lineages: Who had copied it from there, if it was not read there itself.
    """

    url: str
    seen: str
    lineages: tuple[str, ...] = ()


class Bound(NamedTuple):
    """Highest rates that can apply once the total input is above `over_tokens`."""

    over_tokens: int
    input_femto: int
    output_femto: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs from `from_ms` until just before `to_ms` (None: open).

    Attributes:
        free: Costs nothing on purpose; a zero without this is taken for a mistake.
        confirmed: False for an announcement, which bills nobody until it is confirmed.
        corrects: Id of an earlier entry that was wrong and that this one replaces.
        note: What a reader of the price should know; where its sources disagree, how.
        allow: Reasons for what `pricing.lint` would find, by the rule's name.
        scopes: The places that the base rates are for; None: all, but for the multipliers'.
        service: By the name the provider answers with (``flex``, ``priority``, ``batch``).
        by_piece: No token has a rate: its pieces are all that is sold.
        each_request: Every request has a price of its own.
        recounts: That, or some piece is billed once a call: it is not billed as it was counted.
        hours: Of each minute of the week, the number of its window in `schedule`, counted
            from one; 0 for none. Empty without a schedule.
        factors: What a call is multiplied with by where it was served, see `pricing.scopes`:
            of each scope the product of its multipliers, as numerator and denominator.
        pieces_per: The smallest number that all fees are whole femto-USD of a piece times.
        piece_rates, dearest_pieces: Femto-USD a piece, times `pieces_per`: by the units and
            kinds that have a fee, and by unit that of its dearest kind.
        bounds: By rising threshold, for `pricing.bound`.
        dearest_num, dearest_den: The highest multiplier, as a fraction; never below one.
    """

    id: str
    from_ms: int = 0
    to_ms: int | None = None
    free: bool = False
    base: Rates = FREE_RATES
    tiers: tuple[Tier, ...] = ()
    service: Mapping[str, Mode] = field(default_factory=dict)
    schedule: tuple[Window, ...] = ()
    multipliers: tuple[Multiplier, ...] = ()
    scopes: tuple[str, ...] | None = None
    fees: Mapping[str, Fee] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    confirmed: bool = True
    corrects: str | None = None
    note: str | None = None
    allow: Mapping[str, str] = field(default_factory=dict)
    standard: Mode = field(init=False, repr=False, compare=False)
    by_piece: bool = field(init=False, repr=False, compare=False)
    each_request: bool = field(init=False, repr=False, compare=False)
    recounts: bool = field(init=False, repr=False, compare=False)
    hours: bytes = field(init=False, repr=False, compare=False)
    factors: Mapping[str, Factor] = field(init=False, repr=False, compare=False)
    pieces_per: int = field(init=False, repr=False, compare=False)
    piece_rates: Mapping[str, int] = field(init=False, repr=False, compare=False)
    dearest_pieces: Mapping[str, int] = field(init=False, repr=False, compare=False)
    bounds: tuple[Bound, ...] = field(init=False, repr=False, compare=False)
    dearest_num: int = field(init=False, repr=False, compare=False)
    dearest_den: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = dict.fromkeys(multiplier.scope for multiplier in self.multipliers)
        named = {scope: _factor(self.multipliers, scope) for scope in places}
        factors = factors_of(self.scopes, named)
        num, den = max((EVERYWHERE, *factors.values()), key=lambda factor: Fraction(*factor))
        pieces_per, piece_rates = _pieces(self.fees)
        derived = {
            "service": MappingProxyType(dict(self.service)),
            "fees": MappingProxyType(dict(self.fees)),
            "allow": MappingProxyType(dict(self.allow)),
            "standard": Mode(self.base, self.tiers),
            "by_piece": bool(self.fees) and not self.base.published(),
            "each_request": "request" in self.fees,
            "recounts": "request" in self.fees or any(fee.once for fee in self.fees.values()),
            "hours": _hours(self.schedule),
            # Plain dicts: each bill looks something up there, and a proxy takes twice as long.
            "factors": factors,
            "pieces_per": pieces_per,
            "piece_rates": piece_rates,
            "dearest_pieces": _dearest(piece_rates),
            "dearest_num": num,
            "dearest_den": den,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "bounds", _bounds(tuple(mode for _, mode in self.modes())))

    def modes(self) -> Iterator[tuple[str, Mode]]:
        """Every way of being served, with the name of its place in the entry."""
        yield "base", self.standard
        for name, mode in self.service.items():
            yield f"service.{name}", mode
        for number, window in enumerate(self.schedule):
            yield f"schedule[{number}]", window.mode

    def mode_at(self, instant_ms: int) -> Mode:
        """What standard service is billed at when it completes at this instant."""
        if not self.hours:
            return self.standard
        minute = (instant_ms // 60_000 + _EPOCH_MINUTE_OF_WEEK) % WEEK_MINUTES
        window = self.hours[minute]
        return self.schedule[window - 1].mode if window else self.standard

    def fee(self, unit: str) -> Fee | None:
        """The fee of a unit; of an unpriced kind of it, that of the unit itself."""
        return self.fees.get(unit) or self.fees.get(unit.partition(":")[0])

    def billed_pieces(self, fees: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
        """Pieces as they are billed: one a call, of those whose fee is `Fee.once`."""
        return tuple(
            (unit, min(count, 1)) if (fee := self.fee(unit)) and fee.once else (unit, count)
            for unit, count in fees
        )

    def covers(self, instant_ms: int) -> bool:
        return self.from_ms <= instant_ms and (self.to_ms is None or instant_ms < self.to_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model as one provider serves it.

    Attributes:
        provider: The route that bills, not the lab: the same model costs otherwise elsewhere.
        match: Every exact name this card answers to, its own included.
        context_tokens: Input and output together, at most; None: not published.
        output_max_tokens: 0 for models that only read (embeddings); None: not published.
        reasoning: Thinks in tokens that are billed and never shown.
        output_cap_field: The request's field that limits its output.
        date_suffix: Any calendar date after a name of `match` means the same price.
    """

    provider: str
    model: str
    match: tuple[str, ...]
    context_tokens: int | None = None
    output_max_tokens: int | None = None
    reasoning: bool = False
    output_cap_field: str | None = None
    date_suffix: bool = False
    prices: tuple[Price, ...] = ()

    def price_at(self, instant_ms: int) -> Price | None:
        """The confirmed price of a request that began at `instant_ms`, or None."""
        for price in reversed(self.prices):  # a correction stands after what it corrects
            if price.confirmed and price.covers(instant_ms):
                return price
        return None


def _factor(multipliers: tuple[Multiplier, ...], scope: str) -> tuple[int, int]:
    num = den = 1
    for multiplier in multipliers:
        if multiplier.scope == scope:
            num, den = num * multiplier.num, den * multiplier.den
    return num, den


def _pieces(fees: Mapping[str, Fee]) -> tuple[int, dict[str, int]]:
    """All fees by the piece, over their common denominator, and that."""
    each = {unit: Fraction(fee.rate_femto, fee.per) for unit, fee in fees.items()}
    per = lcm(*(fee.denominator for fee in each.values()))
    return per, {unit: int(fee * per) for unit, fee in each.items()}


def _dearest(rates: Mapping[str, int]) -> dict[str, int]:
    dearest: dict[str, int] = {}
    for name, rate in rates.items():
        unit = name.partition(":")[0]
        dearest[unit] = max(rate, dearest.get(unit, 0))
    return dearest


def _hours(schedule: tuple[Window, ...]) -> bytes:
    if not schedule:
        return b""
    minutes = bytearray(WEEK_MINUTES)
    for number in range(len(schedule), 0, -1):  # of two that overlap the first one holds
        for start, end in schedule[number - 1].minutes:
            minutes[start:end] = bytes([number]) * (end - start)
    return bytes(minutes)


def _bounds(modes: tuple[Mode, ...]) -> tuple[Bound, ...]:
    """Fold all modes and tiers into rising bounds; a low tier's rates stay in the higher ones."""
    bands = [(0, mode.rates) for mode in modes]
    bands += [(tier.over_tokens, tier.rates) for mode in modes for tier in mode.tiers]
    bands.sort(key=lambda band: band[0])
    bounds: dict[int, Bound] = {}
    input_femto = output_femto = 0
    for over_tokens, rates in bands:
        input_femto = max(input_femto, rates.dearest(INPUT_COMPONENTS))
        output_femto = max(output_femto, rates.dearest(OUTPUT_COMPONENTS))
        bounds[over_tokens] = Bound(over_tokens, input_femto, output_femto)
    return tuple(bounds.values())
