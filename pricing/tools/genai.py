"""The data of the ``genai-prices`` package, read without running it.

Its ``data.py`` is one expression of constructor calls; `ast` gives the same tree, and a
development tool that imports no foreign code needs no trust in it.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pricing.tools.seen import Fee, Figures, Rates

PROVIDERS: Final = {
    "openai": ("openai",),
    "azure": ("azure",),
    "anthropic": ("anthropic",),
    "google": ("google", "vertex"),
    "aws": ("bedrock",),
    "mistral": ("mistral",),
    "groq": ("groq",),
    "deepseek": ("deepseek",),
    "x-ai": ("xai",),
    "cohere": ("cohere",),
    "together": ("together",),
    "fireworks": ("fireworks",),
    "perplexity": ("perplexity",),
    "voyageai": ("voyage",),
}
_COMPONENTS: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_in",
    "cache_audio_read_mtok": "audio_cached",
    "output_audio_mtok": "audio_out",
    "input_image_mtok": "image_in",
    "cache_image_read_mtok": "image_cached",
    "output_image_mtok": "image_out",
    "output_reasoning_mtok": "reasoning",
}
_FEES: Final = {
    "web_searches_kcount": ("web_search", 1_000),
    "storage_searches_kcount": ("file_search", 1_000),
    "requests_kcount": ("request", 1_000),
    "audio_hours": ("second", 3_600),
    "input_audio_hours": ("second", 3_600),
    "input_mchars": ("character", 1_000_000),
    "input_document_kpages": ("page", 1_000),
    "input_annotated_document_kpages": ("page:annotated", 1_000),
    "output_citation_mtok": ("citation", 1_000_000),
}
_VARIANTS: Final = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One model there: a test of names instead of a list of them.

    Attributes:
        names: Those that it states whole.
        by_hour: Its price depends on the hour, which `prices` leaves out.
    """

    providers: tuple[str, ...]
    id: str
    names: tuple[str, ...]
    matches: Callable[[str], bool]
    prices: tuple[Figures, ...]
    context: int | None
    by_hour: bool


def read(source: str) -> list[Offer]:
    """Every model of `PROVIDERS` in the text of ``data.py``."""
    tree = ast.parse(source)
    (assigned,) = (
        statement.value
        for statement in tree.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if statement.target.id == "providers"
    )
    return [
        _offer(PROVIDERS[provider["id"]], model)
        for provider in _plain(assigned)
        if provider["id"] in PROVIDERS
        for model in provider["models"]
    ]


def _plain(node: ast.AST | None) -> Any:
    """A constructor call becomes a mapping of its arguments, its name under ``""``."""
    if isinstance(node, ast.Call):
        return _called(node)
    if isinstance(node, ast.List):
        return [_plain(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return dict(zip(map(_plain, node.keys), map(_plain, node.values), strict=True))
    if isinstance(node, ast.Attribute):
        return node.attr
    assert node is not None
    return ast.literal_eval(node)


def _called(node: ast.Call) -> Any:
    assert isinstance(node.func, ast.Name | ast.Attribute)
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    arguments = [_plain(argument) for argument in node.args]
    if name == "Decimal":
        return Decimal(arguments[0])
    if name == "date":
        return "{:04}-{:02}-{:02}".format(*arguments)
    return {"": name, **{word.arg: _plain(word.value) for word in node.keywords}}


def _offer(providers: tuple[str, ...], model: Mapping[str, Any]) -> Offer:
    clause = model["match"]
    prices = model["prices"]
    rows = [{"prices": prices}] if isinstance(prices, dict) else prices
    kinds = {(row.get("constraint") or {}).get("") for row in rows}
    dated = [row for row in rows if _is_dated(row)]
    figures = [
        _figures(row["prices"], (row.get("constraint") or {}).get("start_date")) for row in dated
    ]
    figures.sort(key=lambda each: each.from_day or "")
    if figures:
        service = dict(_variants(model.get("price_variants") or []))
        last = figures[-1]
        figures[-1] = Figures(
            from_day=last.from_day,
            base=last.base,
            tiers=last.tiers,
            service=service,
            fees=last.fees,
        )
    return Offer(
        providers=providers,
        id=model["id"],
        names=tuple(dict.fromkeys(_names(clause))),
        matches=lambda name: _matches(clause, name.lower()),
        prices=tuple(each for each in figures if not each.empty),
        context=model.get("context_window"),
        by_hour="TimeOfDateConstraint" in kinds,
    )


def _is_dated(row: Mapping[str, Any]) -> bool:
    constraint = row.get("constraint")
    return constraint is None or constraint[""] == "StartDateConstraint"


def _figures(prices: Mapping[str, Any], from_day: str | None = None) -> Figures:
    base: Rates = {}
    tiers: dict[int, Rates] = {}
    for key, component in _COMPONENTS.items():
        price = prices.get(key)
        if isinstance(price, dict):
            for tier in price["tiers"]:
                tiers.setdefault(tier["start"], {})[component] = tier["price"]
            price = price["base"]
        if price:
            base[component] = price
    if base.get("reasoning") == base.get("output"):
        base.pop("reasoning", None)
    fees = {
        unit: Fee(prices[key], per)
        for key, (unit, per) in _FEES.items()
        if prices.get(key) and isinstance(prices[key], Decimal)
        if not (unit == "second" and base)  # beside tokens it is an estimate of the same
    }
    for over, rates in tiers.items():
        tiers[over] = {**base, **rates}
    return Figures(from_day=from_day, base=base, tiers=dict(sorted(tiers.items())), fees=fees)


def _variants(rows: list[dict[str, Any]]) -> Iterator[tuple[str, Figures]]:
    for row in rows:
        (condition,) = row["when"].items()
        mode = _VARIANTS.get(condition)
        if mode:
            yield mode, _figures(row["prices"])


def _names(clause: Mapping[str, Any]) -> Iterator[str]:
    if clause[""] == "ClauseEquals":
        yield clause["equals"]
    for inner in clause.get("or_", ()):
        yield from _names(inner)


def _matches(clause: Mapping[str, Any], name: str) -> bool:
    kind = clause[""]
    if kind in {"ClauseOr", "ClauseAnd"}:
        inner = [_matches(each, name) for each in clause["or_" if kind == "ClauseOr" else "and_"]]
        return any(inner) if kind == "ClauseOr" else all(inner)
    test, field = _TESTS[kind]
    return test(name, clause[field] if kind == "ClauseRegex" else clause[field].lower())


_TESTS: Final[Mapping[str, tuple[Callable[[str, str], bool], str]]] = {
    "ClauseEquals": (str.__eq__, "equals"),
    "ClauseStartsWith": (str.startswith, "starts_with"),
    "ClauseEndsWith": (str.endswith, "ends_with"),
    "ClauseContains": (str.__contains__, "contains"),
    "ClauseRegex": (lambda name, pattern: re.search(pattern, name) is not None, "regex"),
}
