"""Price books, by what a command line calls them."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final

import orjson
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gateway.cli.fatal import Fatal
from gateway.config import load, price_book
from pricing.book import PriceBook
from pricing.compile import compiled
from pricing.entry import parse_card

SHIPPED: Final = "shipped"


def in_force(config_file: Path | None) -> PriceBook:
    """The shipped book, with the prices and names of a config where one is named.

    Raises:
        ConfigError: the config is wrong.
    """
    return price_book(load(config_file, env=os.environ)) if config_file else PriceBook.load()


def named(name: str) -> PriceBook:
    """The book that a command line calls so.

    Raises:
        ConfigError: a config, and it is wrong.
        Fatal: it is no book; says what one is.
    """
    if name == SHIPPED:
        return PriceBook.load()
    path = Path(name)
    try:
        if path.is_dir():
            return _of(orjson.loads(compiled(path)))
        content = path.read_text("utf-8")
        if path.suffix == ".json":
            document: Any = json.loads(content, object_pairs_hook=_once)
        else:
            document = YAML(typ="safe", pure=True).load(StringIO(content))
    except FileNotFoundError:
        raise Fatal(
            f"{name} is not there: name a config, a price file, a folder of them, a compiled "
            f"book, or {SHIPPED}"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError, YAMLError) as exc:
        raise Fatal(f"{name} is neither YAML nor JSON: {type(exc).__name__}") from exc
    except ValueError as exc:
        raise Fatal(f"{name}: {exc}") from exc
    if isinstance(document, Mapping):
        return price_book(load(path, env=os.environ))
    if not isinstance(document, list):
        raise Fatal(f"{name} is no price book: a list of entries, or a config")
    try:
        return _of(document)
    except ValueError as exc:
        raise Fatal(f"{name}: {exc}") from exc


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, none of whose keys stands twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice in one object: keep one")
        found[key] = value
    return found


def _of(entries: Sequence[Mapping[str, object]]) -> PriceBook:
    cards = [parse_card(entry, f"[{number}]") for number, entry in enumerate(entries)]
    content = orjson.dumps(entries, default=str)
    return PriceBook(cards, hashlib.sha256(content).hexdigest())
