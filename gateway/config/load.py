"""From a file to a `Config`, or to all that is wrong with the file."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.config import source
from gateway.config.faults import ConfigError, Fault, did_you_mean
from gateway.config.faults import Path as KeyPath
from gateway.config.model import UNION_MARK, Config

FILE_BYTES_MAX = 1_048_576

_KINDS = {
    "string_type": "must be text: put it in quotes",
    "missing": "is missing",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "path_type": "must be a path",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
}


def load(path: Path, *, env: Mapping[str, str]) -> Config:
    """Read, substitute and validate the file at `path`.

    Raises:
        ConfigError: with every fault found: key, line, remedy; never a value.
    """
    read = source.read(_text(path), env)
    config, faults = _validated(read.data) if read.data is not None else (None, [])
    # What could not be read is no value either: say it once.
    known = {fault.path for fault in read.faults}
    faults = read.faults + [fault for fault in faults if fault.path not in known]
    if faults or config is None:
        placed = [replace(f, line=f.line or read.line_of(f.path)) for f in faults]
        raise ConfigError(placed, origin=str(path))
    absolute = config.model_copy(update={"data_dir": _absolute(config.data_dir, path)})
    return absolute.read_from(path.resolve())


def parsed(data: Mapping[str, Any], *, origin: str) -> Config:
    """Validate settings that come from elsewhere than a file; raises `ConfigError` likewise."""
    config, faults = _validated(data)
    if config is None:
        raise ConfigError(faults, origin=origin)
    return config


def _validated(data: Mapping[str, Any]) -> tuple[Config | None, list[Fault]]:
    try:
        return Config.model_validate(data), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
        return None, [_fault(error) for error in errors]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise ConfigError([Fault((), "is larger than 1 MiB")], origin=str(path))
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        fault = Fault((), "does not exist: `farebox init` writes one")
        raise ConfigError([fault], origin=str(path)) from None
    except OSError as exc:
        raise ConfigError([Fault((), f"cannot be read: {exc.strerror}")], origin=str(path)) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError([Fault((), "is not UTF-8 text")], origin=str(path)) from exc


def _absolute(directory: Path, config_file: Path) -> Path:
    return (config_file.resolve().parent / directory.expanduser()).resolve()


def _fault(error: ErrorDetails) -> Fault:
    context = error.get("ctx", {})
    path = tuple(p for p in error["loc"] if not str(p).startswith(UNION_MARK))
    kind = error["type"]
    if kind == "refused":
        return Fault((*path, *context["at"]), str(context["text"]))
    if kind == "extra_forbidden":
        return Fault(path, f"is not a setting{did_you_mean(path[-1], _keys(path[:-1]))}")
    if kind == "literal_error":
        return Fault(path, f"must be {context['expected']}")
    return Fault(path, _KINDS.get(kind) or error["msg"].replace("Input should be", "must be"))


def _keys(path: KeyPath) -> list[str]:
    """The settings that exist below `path`."""
    here: Any = Config
    for part in path:
        # The number of a list's item, or the name of a group, is no setting.
        field = here.model_fields.get(part) if isinstance(part, str) else None
        here = _model_in(field.annotation if field else here)
        if here is None:
            return []
    return list(here.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside ``Model``, ``tuple[Model, ...]``, ``Model | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Literal, None}:
        return None
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
