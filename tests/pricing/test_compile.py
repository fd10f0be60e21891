"""The book is what its YAML files say, byte for byte."""

import orjson
import pytest

from pricing.book import BOOK_PATH
from pricing.compile import DATA, compiled, main


@pytest.mark.slow
def test_the_committed_book_is_current(capsys) -> None:
    """Run `python -m pricing.compile` after editing a price."""
    assert 0 == main(["--check"]), "the book is older than its files"
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("provider", ["deepseek", "demo", "perplexity"])
def test_a_file_is_its_part_of_the_committed_book(tmp_path, provider) -> None:
    """The same for a few files, in the time that the default suite has."""
    (tmp_path / f"{provider}.yaml").write_bytes((DATA / f"{provider}.yaml").read_bytes())

    part = [line.strip(b",") for line in compiled(tmp_path).splitlines()[1:-1]]
    book = [line.strip(b",") for line in BOOK_PATH.read_bytes().splitlines()]

    assert part == [line for line in book if f'{{"provider":"{provider}"'.encode() in line]


def test_a_card_is_a_line_so_that_changes_can_be_read(tmp_path) -> None:
    (tmp_path / "x.yaml").write_text("- {provider: p, model: a, free: true}\n" * 2)

    entry = b'{"provider":"p","model":"a","free":true}'
    assert b"[\n" + entry + b",\n" + entry + b"\n]\n" == compiled(tmp_path)


def test_instants_and_days_become_texts(tmp_path) -> None:
    (tmp_path / "x.yaml").write_text(
        """
- provider: p
  model: m
  prices:
  - from: 2025-09-29T00:00:00Z
    source: [{url: u, seen: 2025-11-15}]
    base: {input: "3"}
    service: {priority: &p {input: "6"}, fast: *p}
"""
    )

    (entry,) = orjson.loads(compiled(tmp_path))

    assert "2025-09-29T00:00:00Z" == entry["prices"][0]["from"]
    assert "2025-11-15" == entry["prices"][0]["source"][0]["seen"]
    assert {"priority": {"input": "6"}, "fast": {"input": "6"}} == entry["prices"][0]["service"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("provider: p", r"x\.yaml: must be a list of entries"),
        ("- {provider: p, model: m}", r"x\.yaml\[0\] \(p/m\)\.prices: is missing"),
        (
            "- {provider: p, model: m, prices: [{base: {input: 0.15}}]}",
            r"x\.yaml\[0\] \(p/m\)\.prices\[0\]\.base\.input: write the amount as a string",
        ),
    ],
)
def test_a_wrong_file_names_the_place(tmp_path, text, message) -> None:
    (tmp_path / "x.yaml").write_text(text)

    with pytest.raises(ValueError, match=message):
        compiled(tmp_path)
