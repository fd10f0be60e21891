"""Every row of the table: by itself, as a whole answer, as a stream, and however it is cut."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.answer import Reading, read_answer
from gateway.openai.counts import count
from gateway.openai.sse import StreamReader
from pricing.card import FEE_UNITS
from pricing.money import usd
from pricing.usage import Usage
from tests.gateway.openai.usage_table import TABLE, Row

WHOLE = [row for row in TABLE if isinstance(row.answer, dict)]
STREAMED = [row for row in TABLE if isinstance(row.answer, list)]
PROVIDERS = {
    *("openai", "azure", "anthropic", "bedrock", "google", "mistral", "groq", "deepseek"),
    *("xai", "cohere", "together", "fireworks", "perplexity", "openrouter", "voyage"),
    *("cerebras", "moonshot", "dashscope", "vllm", "sglang", "llama.cpp", "ollama"),
}


def name(row: Row) -> str:
    return f"{row.provider}: {row.shape}"


def frames(row: Row) -> bytes:
    documents = row.answer if isinstance(row.answer, list) else [row.answer]
    return b"".join(b"data: " + orjson.dumps(d) + b"\n\n" for d in documents)


def read(row: Row) -> Reading:
    if isinstance(row.answer, dict):
        return read_answer(orjson.dumps(row.answer))
    reader = StreamReader(hold_back_usage=False)
    reader.feed(frames(row))
    reader.finish()
    assert reader.ended
    return reader.reading()


def test_r70_the_table_has_every_provider() -> None:
    """One that is promised and not here is not tested."""
    assert set() == PROVIDERS - {row.provider for row in TABLE}
    assert len(TABLE) == len({name(row) for row in TABLE}) >= 40
    assert all(row.source.startswith("https://") for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_r70_a_row_becomes_its_buckets(row: Row) -> None:
    """Each token in one bucket, each piece under its unit, as the provider bills them."""
    reading = read(row)

    assert row.usage == reading.usage
    assert reading.usage_final
    assert reading.unparsed is None


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_what_stands_beside_the_tokens(row: Row) -> None:
    """The provider's own figure, the tier it served, and the place, where it states them."""
    reading = read(row)

    reported = reading.reported_cost_pico
    assert row.cost_usd == (None if reported is None else usd(reported))
    assert (row.tier, row.scope) == (reading.service_tier, reading.scope)


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_pieces_have_units_that_prices_know(row: Row) -> None:
    assert {unit.partition(":")[0] for unit, _ in row.usage.fees} <= set(FEE_UNITS)


@pytest.mark.parametrize("row", WHOLE, ids=name)
def test_a_whole_answer_in_one_frame_says_the_same(row: Row) -> None:
    """Some upstreams answer a stream in one piece."""
    reader = StreamReader(hold_back_usage=False)
    reader.feed(frames(row))

    found = reader.reading().usage

    assert found == (row.usage if row.usage != Usage() or reader.ended else None)


@pytest.mark.parametrize("row", STREAMED, ids=name)
def test_frames_that_come_twice_count_once(row: Row) -> None:
    """Nothing is ever added up: all frames again are the same usage."""
    reader = StreamReader(hold_back_usage=False)
    reader.feed(frames(row) * 2)
    reader.finish()

    assert row.usage == reader.reading().usage


@pytest.mark.parametrize("row", STREAMED, ids=name)
def test_no_beginning_of_a_stream_is_free(row: Row) -> None:
    """Cut off at any frame: usage that was counted, or none and so an estimate; never zeros."""
    documents = row.answer
    assert isinstance(documents, list)
    for end in range(len(documents)):
        reader = StreamReader(hold_back_usage=False)
        reader.feed(frames(row._replace(answer=documents[:end])))
        reading = reader.reading()
        assert reading.usage is None or reading.usage.total or reading.usage.fees
        if not reader.ended:
            assert not reading.usage_final


@pytest.mark.parametrize("row", TABLE, ids=name)
@pytest.mark.parametrize("spoilt", [None, -1, "many", 1e30, [], {}, True, 0.5])
def test_r37_one_spoilt_number_is_no_crash_and_no_invention(row: Row, spoilt) -> None:
    """Any number of the answer replaced: it is unread, or what is left of it is."""
    for answer in _spoilt(row.answer, spoilt):
        usage = read(row._replace(answer=answer)).usage if _ends(answer) else None
        assert usage is None or usage.total <= numbers(answer)


def numbers(node) -> int:
    """All the counts in an answer added up: more than that nobody can have used."""
    if isinstance(node, dict | list):
        return sum(map(numbers, node.values() if isinstance(node, dict) else node))
    return count(node) or 0


def _ends(answer) -> bool:
    if isinstance(answer, dict):
        return True
    reader = StreamReader(hold_back_usage=False)
    reader.feed(frames(Row("", "", answer, Usage(), "")))
    return reader.ended


def _spoilt(node, value):
    """`node` with each number in it replaced, one after the other."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, inside in items:
        if isinstance(inside, dict | list):
            versions = _spoilt(inside, value)
        elif isinstance(inside, int | float) and not isinstance(inside, bool):
            versions = iter([value])
        else:
            continue
        for version in versions:
            changed = node.copy()
            changed[key] = version
            yield changed


@given(st.sampled_from(TABLE), st.sampled_from(TABLE))
def test_an_answer_that_speaks_two_dialects_is_read(one: Row, other: Row) -> None:
    """No mixture of shapes raises, or becomes more than both."""
    first, second = (read_answer_of(row) for row in (one, other))
    mixed = {**first, **second}
    usage = read_answer(orjson.dumps(mixed)).usage

    assert usage is None or usage.total <= numbers(mixed)


def read_answer_of(row: Row):
    return row.answer if isinstance(row.answer, dict) else row.answer[-1]
