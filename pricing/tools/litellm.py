"""LiteLLM's published map of prices (``model_prices_and_context_window_backup.json``), read.

The map is flat: a name, and keys such as ``input_cost_per_token_above_200k_tokens_batches``.
Names carry their provider, sometimes their region (``azure/eu/gpt-5``) and, for images,
quality and size (``hd/1024-x-1024/dall-e-3``).
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from pricing.tools.seen import Fee, Figures, Rates, Seen, per_million, tidy

PROVIDERS: Final = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "azure": "azure",
    "azure_text": "azure",
    "azure_ai": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex_ai": "vertex",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "bedrock_mantle": "bedrock",
    "mistral": "mistral",
    "codestral": "mistral",
    "groq": "groq",
    "deepseek": "deepseek",
    "xai": "xai",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "perplexity": "perplexity",
    "voyage": "voyage",
}
MODES: Final = frozenset(
    {
        "chat",
        "completion",
        "responses",
        "embedding",
        "rerank",
        "audio_transcription",
        "audio_speech",
        "image_generation",
        "image_edit",
        "moderation",
        "ocr",
        "realtime",
    }
)
"""What a card is for. Video, search and evaluation are other trades."""

READ_ONLY_MODES: Final = frozenset({"embedding", "rerank", "moderation", "ocr"})
IMAGE_MODES: Final = frozenset({"image_generation", "image_edit"})
REGIONS: Final = frozenset({"us", "eu", "apac", "us-gov", "global", "global-standard"})
"""Parts of Azure's names that say where a deployment is."""

_COMPONENTS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "input_cost_per_audio_token": "audio_in",
    "output_cost_per_audio_token": "audio_out",
    "cache_read_input_audio_token_cost": "audio_cached",
    "input_cost_per_image_token": "image_in",
    "output_cost_per_image_token": "image_out",
    "cache_read_input_image_token_cost": "image_cached",
    "output_cost_per_reasoning_token": "reasoning",
}
_RATE = re.compile(
    rf"(?P<what>{'|'.join(_COMPONENTS)})(?P<hour>_above_1hr)?"
    r"(?:_above_(?P<over>\d+)k_tokens)?(?:_(?P<mode>batches|flex|priority|ultrafast))?"
)
_SERVICE: Final = {"batches": "batch"}
_PREFIXES: Final = {"vertex": ("vertex_ai",), "bedrock": ("bedrock",), "google": ("gemini",)}
_SIZE = re.compile(r"(\d+)-x-(\d+)")
_AWS_REGION = re.compile(r"[a-z]+(-gov)?-[a-z]+-\d")
_CATEGORY = re.compile(r"(together-ai|fireworks-ai)-|(.*/)?container$|.*-commitment/")
_EACH: Final = {
    "input_cost_per_query": "rerank",
    "input_cost_per_request": "request",
    "ocr_cost_per_page": "page",
    "annotation_cost_per_page": "page:annotated",
    "input_cost_per_character": "character",
}
_SEARCH: Final = {"low": "search_context_size_low", "medium": "search_context_size_medium"}


class Name(NamedTuple):
    """A key of the map, taken apart.

    Attributes:
        variant: Quality and size of an image: ``hd-1024x1024``.
    """

    model: str
    scope: str | None = None
    variant: str = ""
    pixels: int = 0


def read(content: str, version: str) -> Iterator[Seen]:
    """Every model of `PROVIDERS` in the map's text."""
    document: dict[str, dict[str, Any]] = json.loads(content, parse_float=Decimal)
    for key, row in document.items():
        provider = provider_of(str(row.get("litellm_provider", "")))
        if provider is None or row.get("mode", "chat") not in MODES or _CATEGORY.match(key):
            continue
        name = name_of(key, str(row["litellm_provider"]), provider)
        yield Seen(
            lineage=f"litellm {version}",
            provider=provider,
            name=name.model,
            prices=(_figures(row, name),),
            scope=name.scope,
            url=_url(row),
            context=_limit(row.get("max_input_tokens")),
            max_output=_limit(row.get("max_output_tokens")),
            reasoning=bool(row.get("supports_reasoning")),
            reads_only=row.get("mode") in READ_ONLY_MODES,
            free=_is_free(row),
            multipliers=_multipliers(row),
        )


def provider_of(owner: str) -> str | None:
    return "vertex" if owner.startswith("vertex_ai") else PROVIDERS.get(owner)


def name_of(key: str, owner: str, provider: str) -> Name:
    """Take the provider, the region and an image's variant off a key."""
    prefixes = {owner, owner.partition("-")[0], *_PREFIXES.get(provider, ())}
    parts = key.split("/")
    scope, variant, pixels, owned = None, [], 0, False
    while len(parts) > 1:
        part = parts[0]
        size = _SIZE.fullmatch(part)
        if size:
            pixels = int(size[1]) * int(size[2])
            variant.append(f"{size[1]}x{size[2]}")
        elif part in prefixes and not owned:
            owned = True
        elif variant or _SIZE.fullmatch(parts[1]):
            variant.append(part)
        elif provider == "azure" and part in REGIONS:
            scope = part.removesuffix("-standard")
        elif provider == "bedrock" and _AWS_REGION.fullmatch(part):
            scope = part
        else:
            break
        parts = parts[1:]
    return Name("/".join(parts), scope, "-".join(variant), pixels)


def _figures(row: Mapping[str, Any], name: Name) -> Figures:
    modes: dict[str, dict[int, Rates]] = {}
    for key, value in row.items():
        found = _RATE.fullmatch(key)
        if not found or not isinstance(value, int | Decimal) or not value:
            continue
        component = _COMPONENTS[found["what"]]
        if found["hour"]:
            component = component.replace("_5m", "_1h")
        mode = _SERVICE.get(found["mode"], found["mode"]) or ""
        over = int(found["over"] or 0) * 1_000
        modes.setdefault(mode, {}).setdefault(over, {})[component] = per_million(Decimal(value))
    for bands in modes.values():
        for rates in bands.values():
            if rates.get("reasoning") == rates.get("output"):
                rates.pop("reasoning", None)
    standard = _mode(modes.pop("", {}))
    return Figures(
        base=standard.base,
        tiers=standard.tiers,
        service={mode: _mode(bands) for mode, bands in modes.items()},
        fees=dict(_fees(row, name, has_tokens=bool(standard.base))),
    )


def _mode(bands: Mapping[int, Rates]) -> Figures:
    tiers = {over: rates for over, rates in sorted(bands.items()) if over}
    return Figures(base=bands.get(0, {}), tiers=tiers)


def _fees(row: Mapping[str, Any], name: Name, *, has_tokens: bool) -> Iterator[tuple[str, Fee]]:
    for key, unit in _EACH.items():
        if row.get(key) and not (unit == "character" and has_tokens):
            per = 1_000_000 if unit == "character" else 1_000
            yield unit, Fee(tidy(Decimal(row[key]) * per), per)
    seconds = max(row.get("input_cost_per_second") or 0, row.get("output_cost_per_second") or 0)
    if seconds and not has_tokens:  # beside tokens it is the same in another measure
        yield "second", Fee(_hourly(Decimal(seconds)), 3600)
    if row.get("mode") in IMAGE_MODES and not has_tokens:
        image = row.get("output_cost_per_image") or row.get("input_cost_per_image") or 0
        image = image or (row.get("input_cost_per_pixel") or 0) * name.pixels
        if image:
            unit = f"image:{name.variant}" if name.variant else "image"
            yield unit, Fee(Decimal(f"{image:.3g}"), 1)
    if row.get("file_search_cost_per_1k_calls"):
        yield "file_search", Fee(tidy(Decimal(row["file_search_cost_per_1k_calls"])), 1_000)
    yield from _searches(row)


def _searches(row: Mapping[str, Any]) -> Iterator[tuple[str, Fee]]:
    """By the size of what a search reads; unqualified it is the dearest."""
    sizes = row.get("search_context_cost_per_query") or {}
    high = sizes.get("search_context_size_high")
    if not high:
        return
    # Perplexity searches with every request and bills that.
    unit = "request" if row["litellm_provider"] == "perplexity" else "web_search"
    yield unit, Fee(tidy(Decimal(high) * 1_000), 1_000)
    for size, key in _SEARCH.items():
        if sizes.get(key) and sizes[key] != high:
            yield f"{unit}:{size}", Fee(tidy(Decimal(sizes[key]) * 1_000), 1_000)


def _hourly(per_second: Decimal) -> Decimal:
    """A rate by the second as one by the hour, as it was published before it was divided."""
    return tidy(Decimal(f"{per_second * 3600:.4g}"))


def _multipliers(row: Mapping[str, Any]) -> dict[str, Fraction]:
    factors = {
        "regional": row.get("regional_endpoint_uplift_multiplier"),
        "eu": row.get("regional_processing_uplift_multiplier_eu"),
        "us": row.get("regional_processing_uplift_multiplier_us"),
    }
    return {
        scope: Fraction(str(factor)) for scope, factor in factors.items() if factor not in {None, 1}
    }


def _is_free(row: Mapping[str, Any]) -> bool:
    prices = [value for key, value in row.items() if "cost" in key and value is not None]
    return bool(prices) and not any(prices)


def _limit(value: object) -> int | None:
    return int(value) if isinstance(value, int | Decimal) and value else None


def _url(row: Mapping[str, Any]) -> str | None:
    source = row.get("source")
    return source if isinstance(source, str) and source.startswith("https://") else None
