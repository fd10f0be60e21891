"""A YAML file as plain values, each of which knows its line.

YAML 1.2: ``on``, ``off``, ``no`` are strings. Numbers with a fraction become `Decimal`
straight from their spelling, never float. ``${NAME}`` and ``${NAME:-default}`` are replaced
in scalar values after parsing, so that a variable cannot change the structure; ``$${`` is a
plain ``${``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from gateway.config.faults import Fault, Path

DEPTH_MAX = 16
NODES_MAX = 100_000
"""Aliases may repeat a node; this bounds what a file can unfold to."""

_VARIABLE: Final = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<broken>\$\{)"
)
_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Source:
    """What the file says: `data` in dicts, tuples and scalars; `lines` by path, from 1."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: Path) -> int | None:
        """The line of `path`, or of the nearest enclosing part that the file has."""
        for end in range(len(path), -1, -1):
            if (line := self.lines.get(path[:end])) is not None:
                return line
        return None


def read(text: str, env: Mapping[str, str]) -> Source:
    """Parse `text`. Whatever is wrong with it is in the `faults` of the result.

    YAML's own messages quote the line at fault, which may hold a key: only the
    problem and the place are taken over.
    """
    source = Source()
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else None
        source.faults.append(Fault((), f"not valid YAML: {exc.problem}", line=line))
        return source
    except (YAMLError, ValueError, RecursionError):
        source.faults.append(Fault((), "not valid YAML: a character or a nesting it cannot have"))
        return source
    if not isinstance(root, MappingNode):
        source.faults.append(Fault((), "must be a mapping of settings: see `farebox init`"))
        return source
    source.data = _Reader(source, env).value(root, ())
    return source


class _Reader:
    def __init__(self, source: Source, env: Mapping[str, str]) -> None:
        self._source = source
        self._env = env
        self._nodes = 0

    def value(self, node: Node, path: Path) -> Any:
        self._nodes += 1
        self._source.lines[path] = node.start_mark.line + 1
        if len(path) > DEPTH_MAX or self._nodes > NODES_MAX:
            return self._fault(path, "nested too deep or repeated too often")
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, MappingNode):
            return dict(self._members(node, path))
        return tuple(self.value(item, (*path, i)) for i, item in enumerate(node.value))

    def _members(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._fault(path, "a key must be a plain word")
                continue
            here = (*path, key.value)
            if key.value in seen:
                self._source.lines[here] = key.start_mark.line + 1
                self._fault(here, "stands twice: remove one")
                continue
            seen.add(key.value)
            result = self.value(value, here)
            self._source.lines[here] = key.start_mark.line + 1
            yield key.value, result

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text = str(node.value)
        match str(node.tag).removeprefix(_TAG):
            case "null":
                return None
            case "bool" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case "int":
                return _integer(text)
            case "float":
                return _decimal(text)
            case "str" | "timestamp" | "bool":
                return self._substituted(text, path)
            case other:
                return self._fault(path, f"the tag {other} means nothing here: remove it")

    def _substituted(self, text: str, path: Path) -> str:
        def replace(match: re.Match[str]) -> str:
            if match["broken"]:
                self._fault(path, "a ${ without a name and }: write ${NAME}, or $${ for a plain ${")
                return ""
            if (name := match["name"]) is None:
                return "${"
            value = self._env.get(name)
            if match["default"] is not None:
                return value or str(match["default"])
            if value is None:
                self._fault(
                    path,
                    f"the environment variable {name} is not set: "
                    f"set it, or give a default with ${{{name}:-…}}",
                )
                return ""
            return value

        return _VARIABLE.sub(replace, text)

    def _fault(self, path: Path, message: str) -> None:
        self._source.faults.append(Fault(path, message, line=self._source.line_of(path)))


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    # YAML 1.2: 0o17 is octal and 017 is seventeen.
    return int(digits, 0) if digits.lstrip("+-")[:2].lower() in {"0o", "0x"} else int(digits)


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace("_", "").replace(".inf", "Infinity").replace(".nan", "NaN"))
