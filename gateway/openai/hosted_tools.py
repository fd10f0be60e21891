"""Tools that the provider runs itself: what they read and cost comes on top of the call's own.

Each use may read up to a whole context and is a turn of the model's of its own, and has a
fee. Only ``max_tool_calls`` bounds how many there are; a provider that does not know the
field refuses it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

HOSTED_FIELDS: Final = (
    "web_search_options",  # OpenAI's search models
    "search_parameters",  # xAI
    "enable_search",  # DashScope
    "plugins",  # OpenRouter
    "mcp_servers",  # Anthropic
)
"""Fields that have something run, beside ``tools``; false, null and [] do not."""

_CALLER_TOOLS: Final = ("function", "custom")
"""Tools that the caller runs itself: what the provider charges for them is their tokens."""

_FEES: Final = (
    ("web_search", "web_search"),
    ("google_search", "web_search"),
    ("file_search", "file_search"),
)
"""How a tool's type begins, and the unit of `pricing.card.FEE_UNITS` that a use of it is."""


class HostedTools(NamedTuple):
    """What a call has the provider run.

    Attributes:
        field: The first that asks for it.
        units: The fees of one use, each once; None: a tool whose fee nobody knows.
    """

    field: str
    units: tuple[str, ...] | None


def hosted_tools(document: Mapping[str, Any]) -> HostedTools | None:
    """What the call has the provider run, if anything."""
    asked = list(_asked(document))
    if not asked:
        return None
    units = {unit for _, unit in asked}
    known = tuple(sorted(unit for unit in units if unit is not None))
    return HostedTools(asked[0][0], known if None not in units else None)


def _asked(document: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Each tool's field, and its unit."""
    for field in HOSTED_FIELDS:
        if document.get(field) not in (None, False, []):
            yield field, "web_search" if field == "web_search_options" else None
    tools = document.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and (kind := _kind(tool)) not in _CALLER_TOOLS:
            yield "tools", fee_unit(kind)


def _kind(tool: Mapping[str, Any]) -> Any:
    """Its type; some callers leave it out, then the key beside it tells."""
    return tool.get("type", next(iter(tool), None))


def fee_unit(kind: Any) -> str | None:
    """The unit that a use of this tool is billed as; None: nobody knows."""
    if not isinstance(kind, str):
        return None
    return next((unit for begin, unit in _FEES if kind.startswith(begin)), None)
