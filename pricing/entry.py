"""One entry of a price file, checked and turned into a `Card`.

An entry is what YAML or JSON gives: strings, integers, lists, mappings. Whatever is wrong
with it is a ValueError that names the entry, the field and the remedy.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from pricing.card import (
    COMPONENTS,
    FEE_UNITS,
    FREE_RATES,
    Card,
    Fee,
    Mode,
    Multiplier,
    Price,
    Rates,
    Source,
    Tier,
    Window,
)
from pricing.fields import Fields, count, decimal, one_of, text
from pricing.hours import day, instant_ms, spans, week_minutes, weekdays
from pricing.money import Femto, femto_per_token, pico_usd

CARD_FIELDS: Final = frozenset(
    {
        "provider",
        "model",
        "match",
        "limits",
        "reasoning",
        "output_cap_field",
        "date_suffix",
        "prices",
        "free",
        "base",
    }
)
PRICE_FIELDS: Final = frozenset(
    {
        "id",
        "from",
        "to",
        "status",
        "source",
        "corrects",
        "note",
        "allow",
        "free",
        "base",
        "tiers",
        "service",
        "schedule",
        "multipliers",
        "scopes",
        "fees",
    }
)
STATUSES: Final = ("confirmed", "announced")
OUTPUT_CAP_FIELDS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def parse_card(entry: Mapping[str, object], where: str = "") -> Card:
    """Check one entry and build its card.

    Args:
        entry: As in ``pricing/data/<provider>.yaml``. Where one price holds for ever, its
            ``free: true`` or `base` may stand in place of `prices`.
        where: What to call the entry in an error, such as ``prices[3]``.

    Raises:
        ValueError: names the entry, the field and the remedy.
    """
    fields = Fields(entry, where)
    provider = fields.text("provider")
    model = fields.text("model")
    fields.where = f"{where} ({provider}/{model})" if where else f"{provider}/{model}"
    fields.only(CARD_FIELDS)
    limits = fields.inner("limits")
    limits.only({"context", "max_output"})
    names = fields.texts("match")
    return Card(
        provider=provider,
        model=model,
        match=names if model in names else (model, *names),
        context_tokens=limits.optional("context", count),
        output_max_tokens=limits.optional("max_output", count),
        reasoning=fields.flag("reasoning"),
        output_cap_field=fields.optional("output_cap_field", one_of(OUTPUT_CAP_FIELDS)),
        date_suffix=fields.flag("date_suffix"),
        prices=_prices(fields, f"{provider}/{model}"),
    )


def _prices(fields: Fields, name: str) -> tuple[Price, ...]:
    short = {key: fields.mapping[key] for key in ("free", "base") if fields.mapping.get(key)}
    if short and "prices" in fields.mapping:
        fields.fail(next(iter(short)), "stands for a whole price: leave `prices` out")
    entries = [Fields(short, fields.where)] if short else fields.each("prices")
    if not entries:
        fields.fail("prices", "is missing: give one price at least, or `base` or `free: true`")
    prices = tuple(_price(entry, name) for entry in entries)
    seen: set[str] = set()
    for number, price in enumerate(prices):
        if price.id in seen:
            fields.fail(f"prices[{number}].id", f"{price.id!r} stands twice")
        if price.corrects is not None and price.corrects not in seen:
            fields.fail(
                f"prices[{number}].corrects",
                f"no price {price.corrects!r} stands before it",
            )
        seen.add(price.id)
    return prices


def _price(fields: Fields, name: str) -> Price:
    fields.only(PRICE_FIELDS)
    allow = fields.inner("allow")
    free = fields.flag("free")
    from_ms = fields.optional("from", instant_ms) or 0
    to_ms = fields.optional("to", instant_ms)
    if to_ms is not None and to_ms <= from_ms:
        fields.fail("to", "must be later than `from`; it is the first instant without this price")
    standard = _free_mode(fields) if free else _standard_mode(fields)
    status = fields.optional("status", one_of(STATUSES)) or STATUSES[0]
    return Price(
        id=fields.optional("id", text) or f"{name}@{from_ms}",
        from_ms=from_ms,
        to_ms=to_ms,
        free=free,
        base=standard.rates,
        tiers=standard.tiers,
        service={
            tier: _mode(mode, has_tiers=bool(standard.tiers))
            for tier, mode in fields.inner("service").children()
        },
        schedule=tuple(
            _window(window, has_tiers=bool(standard.tiers)) for window in fields.each("schedule")
        ),
        multipliers=tuple(map(_multiplier, fields.each("multipliers"))),
        scopes=_scopes(fields),
        fees=dict(_fee(unit, fee) for unit, fee in fields.inner("fees").children()),
        sources=tuple(map(_source, fields.each("source"))),
        confirmed=status == "confirmed",
        corrects=fields.optional("corrects", text),
        note=fields.optional("note", text),
        allow={rule: allow.text(rule) for rule in allow.mapping},
    )


def _free_mode(fields: Fields) -> Mode:
    for name in ("base", "tiers", "service", "schedule", "multipliers", "scopes", "fees"):
        if name in fields.mapping:
            fields.fail(name, "a free price has none: leave it out, or leave out `free`")
    return Mode(FREE_RATES)


def _standard_mode(fields: Fields) -> Mode:
    base = fields.inner("base")
    rates = _rates(base) if base.mapping else Rates()
    if not base.mapping and not fields.inner("fees").mapping:
        fields.fail("base", 'is missing: give rates such as {input: "3", output: "15"}')
    if base.mapping and not any(rates.published().values()):
        fields.fail("base", "a price of zero needs `free: true`")
    return Mode(rates, _tiers(fields))


def _mode(fields: Fields, *, has_tiers: bool) -> Mode:
    if has_tiers and "tiers" not in fields.mapping:
        fields.fail("tiers", "the base has tiers: state them here too ([] where there are none)")
    rates = {name: value for name, value in fields.mapping.items() if name != "tiers"}
    return Mode(_rates(Fields(rates, fields.where)), _tiers(fields))


def _tiers(fields: Fields) -> tuple[Tier, ...]:
    tiers = []
    for tier in fields.each("tiers"):
        tier.only({"over", "measure", "rates"})
        tier.optional("measure", one_of(("input_total",)))
        # {}: it is not served there, so that whoever is has no price.
        not_served = tier.mapping.get("rates") == {}
        rates = Rates() if not_served else _rates(tier.inner("rates"))
        tiers.append(Tier(tier.need("over", count), rates))
    thresholds = [tier.over_tokens for tier in tiers]
    if thresholds != sorted(set(thresholds)):
        fields.fail("tiers", "must rise by `over`, each once")
    return tuple(tiers)


def _rates(fields: Fields) -> Rates:
    fields.only(frozenset(COMPONENTS))
    if not fields.mapping:
        fields.fail("", "has no rate")
    return Rates(**{name: fields.need(name, _rate) for name in fields.mapping})


def _window(fields: Fields, *, has_tiers: bool) -> Window:
    fields.only({"days", "utc", "rates", "tiers"})
    minutes = [
        part
        for weekday in fields.optional("days", weekdays) or range(7)
        for start, end in fields.need("utc", spans)
        for part in week_minutes(weekday, start, end)
    ]
    tiers = {"tiers": fields.mapping["tiers"]} if "tiers" in fields.mapping else {}
    mode = Fields({**fields.inner("rates").mapping, **tiers}, fields.where)
    return Window(tuple(minutes), _mode(mode, has_tiers=has_tiers))


def _multiplier(fields: Fields) -> Multiplier:
    fields.only({"when", "num", "den"})
    when = fields.inner("when")
    when.only({"scope"})
    num, den = fields.need("num", count), fields.need("den", count)
    if not num or not den:
        fields.fail("num", "numerator and denominator must be positive")
    return Multiplier(when.text("scope").lower(), num, den)


def _scopes(fields: Fields) -> tuple[str, ...] | None:
    if "scopes" not in fields.mapping:
        return None
    scopes = fields.texts("scopes")
    if not scopes:
        fields.fail("scopes", "names no place: leave it out where the price is the same everywhere")
    return tuple(map(str.lower, scopes))


def _fee(unit: str, fields: Fields) -> tuple[str, Fee]:
    if unit.partition(":")[0] not in FEE_UNITS:
        fields.fail("", f"unknown unit; there are {', '.join(FEE_UNITS)}")
    fields.only({"rate", "per", "once", "everywhere"})
    per = fields.optional("per", count)
    if per == 0:
        fields.fail("per", "must be positive")
    rate = fields.need("rate", _fee_femto)
    return unit, Fee(rate, per or 1, fields.flag("once"), fields.flag("everywhere"))


def _source(fields: Fields) -> Source:
    fields.only({"url", "seen", "lineage"})
    return Source(fields.text("url"), fields.need("seen", day), fields.texts("lineage"))


def _rate(value: object) -> Femto:
    return _femto_per_token(decimal(value))


@lru_cache(maxsize=1024)
def _femto_per_token(text: str) -> Femto:
    rate = femto_per_token(text)
    if rate < 0:
        raise ValueError(f"{text} is negative")
    return rate


def _fee_femto(value: object) -> int:
    amount = pico_usd(decimal(value)) * 1_000
    if amount < 0:
        raise ValueError(f"{value} is negative")
    return amount
