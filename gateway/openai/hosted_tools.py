"""Tools that the provider runs itself: what they read and cost comes on top of the call's own.

Each use may read up to a whole context and is a turn of the model's of its own, and has a
fee. Only ``max_tool_calls`` bounds how many there are; a provider that does not know the
field refuses it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from gateway.openai.fields import integer

HOSTED_FIELDS: Final = (
    "web_search_options",  # OpenAI's search models
    "search_parameters",  # xAI
    "enable_search",  # DashScope
    "plugins",  # OpenRouter
    "mcp_servers",  # Anthropic
    "context_management",  # Anthropic, OpenAI
)
"""Fields that have something run, beside ``tools``; false, null and [] do not."""

_CALLER_TOOLS: Final = (
    "function",
    "custom",
    # OpenAI's Responses
    "apply_patch",
    "computer",
    "computer_use_preview",
    "local_shell",
)
"""Tools that the caller runs itself: what the provider charges for them is their tokens."""

_CALLER_KINDS: Final = ("bash_", "computer_", "memory_", "text_editor_")
"""The same of Anthropic's, whose types end in a date."""

_FEES: Final = (
    ("web_search", "web_search"),
    ("file_search", "file_search"),
)
"""How a tool's type begins, and the unit of `pricing.card.FEE_UNITS` that a use of it is."""


_CONTAINERS: Final = {
    "code_interpreter": ("container", "auto"),
    "shell": ("environment", "container_auto"),
}
"""OpenAI's tools that run code: the field that says where, and the type of a container that is
opened for the call, and billed by its memory."""

CONTAINER_DEFAULT: Final = "1g"

QUERIES_AT_WILL: Final = frozenset({"google", "vertex"})
"""Providers whose models search as often as they like: no field of a call bounds it."""


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


def tool_uses_max(document: Mapping[str, Any]) -> int | None:
    """How often the provider may run its tools; None: nothing bounds it.

    ``max_tool_calls`` of all, or, with Anthropic, ``max_uses`` of each.
    """
    of_all = integer(document, "max_tool_calls", least=0)
    if of_all is not None:
        return of_all
    tools = document.get("tools")
    uses = 0
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and not _is_callers(tool):
            own = integer(tool, "max_uses", least=0)
            if own is None:
                return None
            uses += own
    return uses if not any(_is_asked(document, field) for field in HOSTED_FIELDS) else None


def _asked(document: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Each tool's field, and its unit."""
    for field in HOSTED_FIELDS:
        if _is_asked(document, field):
            yield field, "web_search" if field == "web_search_options" else None
    tools = document.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and not _is_callers(tool):
            yield "tools", _fee_of(tool)


def _is_asked(document: Mapping[str, Any], field: str) -> bool:
    value = document.get(field)
    if field == "context_management":
        return _compacts(value)
    return value not in (None, False, [])


def _compacts(value: object) -> bool:
    """Whether an earlier part is summed up by the model; what is merely dropped costs nothing."""
    edits = value.get("edits") if isinstance(value, dict) else value
    return isinstance(edits, list) and any(
        isinstance(edit, dict) and str(edit.get("type")).startswith("compact") for edit in edits
    )


def _is_callers(tool: Mapping[str, Any]) -> bool:
    """Whether the caller runs it: it says so, or it is Anthropic's form of a function."""
    kind = _kind(tool)
    if kind in _CALLER_TOOLS or (tool.get("type") is None and "input_schema" in tool):
        return True
    place = tool.get("environment")
    if kind == "shell" and isinstance(place, dict):  # OpenAI's, which it can run as well
        return place.get("type") == "local"
    return isinstance(kind, str) and kind.startswith(_CALLER_KINDS)


def is_built_in(tool: Mapping[str, Any]) -> bool:
    """Whether the caller only names it, and the provider knows what it is."""
    return _kind(tool) not in ("function", "custom") and "input_schema" not in tool


def _kind(tool: Mapping[str, Any]) -> Any:
    """Its type; some callers leave it out, then the key beside it tells."""
    return tool.get("type", next(iter(tool), None))


def _fee_of(tool: Mapping[str, Any]) -> str | None:
    return container_unit(tool) if str(tool.get("type")) in _CONTAINERS else fee_unit(_kind(tool))


def container_unit(tool: Mapping[str, Any]) -> str | None:
    """The unit of a container that OpenAI opens for the call; None: the caller's own, or none."""
    field, opened = _CONTAINERS.get(str(tool.get("type")), ("", ""))
    place = tool.get(field)
    if not isinstance(place, dict) or place.get("type") != opened:
        return None
    memory = place.get("memory_limit") or CONTAINER_DEFAULT
    return f"container:{memory}" if isinstance(memory, str) and len(memory) <= 8 else None


def fee_unit(kind: Any) -> str | None:
    """The unit that a use of this tool is billed as; None: nobody knows."""
    if not isinstance(kind, str):
        return None
    return next((unit for begin, unit in _FEES if kind.startswith(begin)), None)
