"""What the commands print that is not about one run: the example config, its schema."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from gateway.config import Config


def example_config() -> str:
    """The commented config: installed inside the package, in a checkout at its root."""
    installed = files("gateway.config") / "example.yaml"
    if installed.is_file():
        return installed.read_text("utf-8")
    return (Path(__file__).parents[2] / "config.example.yaml").read_text("utf-8")


def json_schema() -> str:
    """The config's JSON schema. A number or switch may also be ``${NAME}``."""
    schema = Config.model_json_schema(mode="validation")
    return json.dumps(_with_variables(schema), indent=2)


def _with_variables(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_variables(item) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _with_variables(value) for key, value in part.items()}
    if found.get("type") not in {"integer", "number", "boolean"}:
        return found
    outside = {key: found.pop(key) for key in ("default", "title") if key in found}
    return {**outside, "anyOf": [found, {"type": "string", "pattern": r"\$\{"}]}
