"""`python -m pricing.compile`: the YAML files under `data/`, checked, as one `book.json`.

YAML is for people and is read only here; at run time the book is one JSON file whose
SHA-256 is its version. The same files give the same bytes, a card a line.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Final

import orjson
from ruamel.yaml import YAML

from pricing.book import BOOK_PATH
from pricing.card import Card
from pricing.entry import parse_card
from pricing.lint import lint

DATA: Final = BOOK_PATH.parent


def compiled(folder: Path = DATA) -> bytes:
    """The book's bytes, from all YAML files of `folder` in the order of their names.

    Raises:
        ValueError: an entry is wrong; names the file, the entry and the field.
    """
    entries = []
    for path in sorted(folder.glob("*.yaml")):
        for number, entry in enumerate(_load(path)):
            plain = {name: _plain(value) for name, value in entry.items()}
            parse_card(plain, f"{path.name}[{number}]")
            entries.append(plain)
    lines = b",\n".join(map(orjson.dumps, entries))
    return b"[\n" + lines + b"\n]\n"


def main(arguments: Sequence[str]) -> int:
    """Write the book; with ``--check``, only say whether it is current."""
    content = compiled()
    for finding in lint(cards_of(content)):
        sys.stderr.write(f"{finding}\n")
    if "--check" in arguments:
        return int(BOOK_PATH.read_bytes() != content)
    BOOK_PATH.write_bytes(content)
    return 0


def cards_of(content: bytes) -> list[Card]:
    return [parse_card(entry) for entry in orjson.loads(content)]


def _load(path: Path) -> list[dict[str, object]]:
    entries = YAML(typ="safe", pure=True).load(StringIO(path.read_text(encoding="utf-8")))
    if not isinstance(entries, list):
        raise ValueError(f"{path.name}: must be a list of entries")
    return entries


def _plain(value: object) -> object:
    """What YAML made of a file, as JSON can say it: instants and days become texts."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
