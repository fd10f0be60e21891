"""Edits by span: what is not ours stays byte for byte."""

import json
from itertools import pairwise, product
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.body import (
    NESTING_MAX,
    Edit,
    Member,
    apply,
    cut,
    insert_after,
    members,
    replace,
)

OURS = frozenset({"customer_params", "customer_identifier"})

space = st.text(" \t\n\r", max_size=3)
number = st.sampled_from(["0", "-0", "1.0", "1e-7", "1E+2", "-1.50", "1" + "0" * 30, "3.14159"])
character = st.one_of(
    st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters='"\\'),
    st.sampled_from(
        ["\\\\", '\\"', "\\n", "\\/", "\\u0041", "\\u2028", "\\ud83d\\ude00", "\u2028"]
    ),
    st.sampled_from(list("{}[],:")),
)
string = st.lists(character, max_size=6).map(lambda pieces: '"' + "".join(pieces) + '"')
scalar = st.one_of(number, string, st.sampled_from(["true", "false", "null"]))


def spaced(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(space, value, space).map("".join)


def container(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(spaced(string), spaced(value)).map(":".join)
    return st.one_of(
        st.one_of(st.just([" "]), st.lists(spaced(value), max_size=3)).map(
            lambda items: "[" + ",".join(items) + "]"
        ),
        st.lists(pair, max_size=3).map(lambda items: "{" + ",".join(items) + "}"),
    )


value = st.recursive(scalar, container, max_leaves=8)
deep = st.tuples(st.integers(NESTING_MAX - 2, NESTING_MAX + 20), scalar).map(
    lambda n: '[{"a":' * n[0] + n[1] + "}]" * n[0]
)
escaped_key = st.sampled_from(
    ['"customer_params"', '"customer\\u005fparams"', '"\\u0063ustomer_identifier"']
)


class Piece(NamedTuple):
    """A member as text, with the space before it and the one before the comma after it."""

    before: str
    text: str
    after: str


def piece(key: st.SearchStrategy[str]) -> st.SearchStrategy[Piece]:
    text = st.tuples(key, space, st.just(":"), space, st.one_of(value, deep)).map("".join)
    return st.builds(Piece, space, text, space)


ours = piece(escaped_key).map(lambda p: (True, p))
theirs = piece(string.filter(lambda k: json.loads(k) not in OURS)).map(lambda p: (False, p))


def joined(pieces: list[tuple[bool, Piece]], *, without_ours: bool) -> str:
    """Build the object from text: each kept member behind the first gap after the last."""
    gaps = [pieces[0][1].before]
    gaps += [a.after + "," + b.before for (_, a), (_, b) in pairwise(pieces)]
    gaps.append(pieces[-1][1].after)
    text, free_gap = "{", 0
    for index, (mine, member) in enumerate(pieces):
        if not (mine and without_ours):
            text += gaps[free_gap] + member.text
            free_gap = index + 1
    return text + (gaps[0] if free_gap == 0 else "") + gaps[-1] + "}"


@given(space, st.lists(st.one_of(ours, theirs), min_size=1, max_size=7), space)
def test_cutting_leaves_every_other_byte(lead, pieces, trail) -> None:
    """Whatever the formatting, the result is the object written without our members."""
    body = (lead + joined(pieces, without_ours=False) + trail).encode()
    expected = (lead + joined(pieces, without_ours=True) + trail).encode()

    result = apply(body, cut(members(body), OURS))

    assert expected == result
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    assert [pair for pair in pairs if pair[0] not in OURS] == json.loads(
        result, object_pairs_hook=list
    )


@given(space, st.lists(theirs, min_size=1, max_size=6))
def test_spans_are_those_of_a_parser(lead, pieces) -> None:
    """Keys and values read through the spans are what `json` reads, duplicates included."""
    body = (lead + joined(pieces, without_ours=False)).encode()

    found = members(body)

    expected = json.loads(body, object_pairs_hook=list)
    keys_and_values = [
        (m.key, json.loads(body[m.value_start : m.value_end], object_pairs_hook=list))
        for m in found
    ]
    assert expected == keys_and_values
    assert all(body[m.start : m.start + 1] == b'"' for m in found)


@pytest.mark.parametrize("flags", [f for n in range(6) for f in product("ox", repeat=n)])
@pytest.mark.parametrize("comma", [",", " , ", ",\n  "])
def test_every_pattern_of_ours_and_theirs(flags, comma) -> None:
    """First, middle, last, adjacent, all, none: one comma leaves with each member."""
    texts = [f'"customer_params":{i}' if f == "x" else f'"k{i}":[{i}]' for i, f in enumerate(flags)]
    kept = [text for text, flag in zip(texts, flags, strict=True) if flag == "o"]
    body = "{" + comma.join(texts) + "}"

    result = apply(body.encode(), cut(members(body.encode()), OURS))

    assert "{" + comma.join(kept) + "}" == result.decode()


def test_an_empty_object_has_no_members() -> None:
    assert [()] * 3 == [members(b"{}"), members(b" { } "), members(b"{\n}\n")]
    assert b" { } " == apply(b" { } ", cut((), OURS))


def test_escaped_quotes_and_backslashes_end_no_string() -> None:
    """A run of backslashes before a quote is read in pairs, as JSON does."""
    body = rb'{"a\"":"\\\\","b":"\\\"}","c\\":"x"}'

    assert ['a"', "b", "c\\"] == [m.key for m in members(body)]


def test_edits_are_made_at_once() -> None:
    body = b'{"a": 1, "customer_params": {}, "b": 2}'
    found = members(body)

    edits = [*cut(found, OURS), replace(found[2], b"3"), insert_after(found[0], b'"x":0')]

    assert b'{"a": 1,"x":0, "b": 3}' == apply(body, edits)


def test_an_insertion_survives_beside_a_cut() -> None:
    """Insert and cut may meet at one offset: behind the last kept member."""
    body = b'{"a":1,"customer_params":{}}'
    found = members(body)

    assert b'{"a":1,"x":0}' == apply(body, [*cut(found, OURS), insert_after(found[0], b'"x":0')])


def test_overlapping_edits_are_our_mistake() -> None:
    with pytest.raises(AssertionError, match="overlap"):
        apply(b"0123456789", [Edit(0, 5, b""), Edit(3, 6, b"")])


@pytest.mark.parametrize("depth", [1, NESTING_MAX - 1, NESTING_MAX, NESTING_MAX + 1, 500])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_depth_does_not_matter(depth, brackets) -> None:
    opening = "[" if brackets == "[]" else '{"]":'
    value = opening * depth + "1" + brackets[1] * depth
    body = f'{{"a":{value} , "b":2}}'.encode()

    assert (Member("a", 1, 5, 5 + len(value)), "b") == (members(body)[0], members(body)[1].key)


@given(st.binary(max_size=60) | st.text('{}[],:"\\ a1', max_size=40).map(str.encode))
def test_what_is_no_object_ends(body) -> None:
    """Unvalidated bytes may give nonsense or a ValueError, but never anything else."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            members(body)
        except ValueError:
            return
    else:
        if not body.lstrip().startswith(b"{"):
            with pytest.raises(ValueError, match="not a JSON object"):
                members(body)
