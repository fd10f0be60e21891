"""Tools that the provider ran by itself, told from what an answer lists of them.

Some providers count them in the usage (see `pieces`), others only show what was done: OpenAI
among the output, Google as the queries that an answer is grounded on, Groq beside the message.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.openai.hosted_tools import container_unit, fee_unit

USES_MAX: Final = 10_000
"""Items of one list that are looked at."""

NAME_CHARS_MAX: Final = 48


class Uses:
    """Collects the tools of one answer, from the whole or its frames; nothing counts twice."""

    __slots__ = ("_output", "_queries", "_ran", "_shown")

    def __init__(self) -> None:
        self._output: dict[str, int] = {}
        self._queries: set[str] = set()
        self._shown: dict[str, int] = {}
        self._ran: dict[int, str] = {}

    def add_output(self, holder: Mapping[str, Any]) -> None:
        """The output of OpenAI's Responses; a later one replaces it."""
        self._output = uses_in(holder)

    def add_candidates(self, candidates: object) -> None:
        """What Google's candidates are grounded on."""
        for candidate in _objects(candidates):
            grounds = candidate.get("groundingMetadata")
            if isinstance(grounds, dict):
                self._add_grounds(grounds)

    def add_executed(self, choices: object) -> None:
        """What Groq ran for a choice: a stream says it again as it goes on, by its number."""
        for choice in _objects(choices):
            for holder in (choice.get("message"), choice.get("delta")):
                told = holder.get("executed_tools") if isinstance(holder, dict) else None
                for place, tool in enumerate(_objects(told)):
                    number, name = tool.get("index"), tool.get("type")
                    key = number if type(number) is int else place
                    if isinstance(name, str) and len(self._ran) < USES_MAX:
                        self._ran[key] = f"tool:{name[:NAME_CHARS_MAX]}"

    def pieces(self) -> dict[str, int]:
        """How many of each unit."""
        found = dict(self._output)
        if self._queries:
            found["web_search"] = len(self._queries)
        elif "web_search" in self._shown:
            found["web_search"] = 1
        if "maps" in self._shown:
            found["tool:google_maps"] = 1
        for unit in self._ran.values():
            found[unit] = found.get(unit, 0) + 1
        return found

    def _add_grounds(self, grounds: Mapping[str, Any]) -> None:
        """Queries that are empty or the same are billed once or not at all."""
        queries = grounds.get("webSearchQueries")
        for query in queries[:USES_MAX] if isinstance(queries, list) else ():
            if isinstance(query, str) and query and len(self._queries) < USES_MAX:
                self._queries.add(query)
        for chunk in _objects(grounds.get("groundingChunks")):
            if "web" in chunk:
                self._shown["web_search"] = 1
            if "maps" in chunk:
                self._shown["maps"] = 1


def uses_in(holder: Mapping[str, Any]) -> dict[str, int]:
    """The tools that the provider ran and bills, by unit, of OpenAI's Responses.

    Of web searches only the search itself is billed, not what it then opens. Of code the
    container is, however often it ran there; one that the caller had opened before is billed
    to what opened it.

    Args:
        holder: With ``output``, and ``tools`` as they were asked for.
    """
    found: dict[str, int] = {}
    containers: set[str] = set()
    for item in _objects(holder.get("output")):
        if (unit := _billed_as(item)) is not None:
            found[unit] = found.get(unit, 0) + 1
        elif (container := _container(item)) is not None:
            containers.add(container)
    if containers:
        named, unit = _asked(holder)
        if opened := len(containers - named):
            found[unit] = opened
    return found


def _objects(several: object) -> Iterator[dict[str, Any]]:
    for one in several[:USES_MAX] if isinstance(several, list) else ():
        if isinstance(one, dict):
            yield one


def _billed_as(item: Mapping[str, Any]) -> str | None:
    kind = item.get("type")
    if not isinstance(kind, str) or not kind.endswith("_call"):
        return None
    action = item.get("action")
    did = action.get("type") if isinstance(action, dict) else None
    return fee_unit(kind) if did in (None, "search") else None


def _container(item: Mapping[str, Any]) -> str | None:
    """Where an item's code was run, by OpenAI: ``code_interpreter_call``, ``shell_call``."""
    place = item.get("environment")
    for holder in (item, place if isinstance(place, dict) else {}):
        container = holder.get("container_id")
        if isinstance(container, str) and container:
            return container
    return None


def _asked(holder: Mapping[str, Any]) -> tuple[set[str], str]:
    """The containers that the caller named, and the unit of one that it did not."""
    named: set[str] = set()
    unit = None
    for tool in _objects(holder.get("tools")):
        for place in (tool.get("container"), tool.get("environment")):
            name = place.get("container_id") if isinstance(place, dict) else place
            if isinstance(name, str):
                named.add(name)
        unit = unit or container_unit(tool)
    return named, unit or "container"
