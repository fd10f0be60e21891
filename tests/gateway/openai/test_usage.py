"""Each dialect becomes the same buckets; nonsense becomes an error, never a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.counts import TOKENS_MAX, UsageUnreadable
from gateway.openai.usage import KEYS_MAX, merge, told_in, usage_blocks, usage_from
from pricing.usage import Usage


def chat(prompt=100, completion=50, **more):
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param(
            chat(total_tokens=150), Usage(input_tokens=100, output_tokens=50), id="openai"
        ),
        pytest.param(
            chat(
                prompt_tokens_details={"cached_tokens": 60, "audio_tokens": 10},
                completion_tokens_details={
                    "reasoning_tokens": 20,
                    "audio_tokens": 5,
                    "accepted_prediction_tokens": 3,
                    "rejected_prediction_tokens": 4,
                },
            ),
            Usage(
                input_tokens=30,
                cache_read_tokens=60,
                audio_in_tokens=10,
                output_tokens=25,
                reasoning_tokens=20,
                audio_out_tokens=5,
            ),
            id="openai details are subsets",
        ),
        pytest.param(
            chat(prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 30}),
            Usage(
                input_tokens=10, cache_read_tokens=60, cache_write_5m_tokens=30, output_tokens=50
            ),
            id="cache writes are a subset",
        ),
        pytest.param(
            chat(
                prompt_tokens_details={
                    "cached_tokens": 60,
                    "audio_tokens": 30,
                    "image_tokens": 20,
                    "cached_tokens_details": {"audio_tokens": 10, "image_tokens": 15},
                }
            ),
            Usage(
                input_tokens=15,
                cache_read_tokens=35,
                audio_in_tokens=20,
                audio_cached_tokens=10,
                image_in_tokens=5,
                image_cached_tokens=15,
                output_tokens=50,
            ),
            id="cached media",
        ),
        pytest.param(
            chat(prompt_tokens_details=None, completion_tokens_details=None),
            Usage(input_tokens=100, output_tokens=50),
            id="null details",
        ),
        pytest.param(
            {"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8), id="embeddings"
        ),
        pytest.param({"total_tokens": 8}, Usage(input_tokens=8), id="a total alone is input"),
        pytest.param(
            {"completion_tokens": 5, "total_tokens": 15},
            Usage(input_tokens=10, output_tokens=5),
            id="input from the total",
        ),
        pytest.param(
            chat(prompt_cache_hit_tokens=60, prompt_cache_miss_tokens=40),
            Usage(input_tokens=40, cache_read_tokens=60, output_tokens=50),
            id="deepseek",
        ),
        pytest.param(
            chat(cached_tokens=60),
            Usage(input_tokens=40, cache_read_tokens=60, output_tokens=50),
            id="moonshot, together",
        ),
        pytest.param(
            chat(num_cached_tokens=60),
            Usage(input_tokens=40, cache_read_tokens=60, output_tokens=50),
            id="mistral",
        ),
        pytest.param(
            chat(prompt_tokens_details={"cached_tokens": 5, "cache_creation_input_tokens": 6}),
            Usage(input_tokens=89, cache_read_tokens=5, cache_write_5m_tokens=6, output_tokens=50),
            id="qwen",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "output_tokens": 50,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 30,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 10,
                    "ephemeral_1h_input_tokens": 20,
                },
            },
            Usage(
                input_tokens=100,
                cache_read_tokens=60,
                cache_write_5m_tokens=10,
                cache_write_1h_tokens=20,
                output_tokens=50,
            ),
            id="anthropic: beside the input",
        ),
        pytest.param(
            chat(cache_read_input_tokens=60),
            Usage(input_tokens=40, cache_read_tokens=60, output_tokens=50),
            id="beside prompt_tokens it is a subset",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 60},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 150,
            },
            Usage(input_tokens=40, cache_read_tokens=60, output_tokens=30, reasoning_tokens=20),
            id="the responses form",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553},
            Usage(input_tokens=20, output_tokens=151, reasoning_tokens=382),
            id="gemini: thoughts only in the total",
        ),
        pytest.param(
            chat(total_tokens=350, completion_tokens_details={"reasoning_tokens": 200}),
            Usage(input_tokens=100, output_tokens=50, reasoning_tokens=200),
            id="xai: reasoning outside completion",
        ),
        pytest.param(
            chat(total_tokens=150, completion_tokens_details={"reasoning_tokens": 20}),
            Usage(input_tokens=100, output_tokens=30, reasoning_tokens=20),
            id="xai, should it change its mind",
        ),
        pytest.param(
            chat(total_tokens=160, completion_tokens_details={"reasoning_tokens": 20}),
            Usage(input_tokens=100, output_tokens=30, reasoning_tokens=20),
            id="an unexplained rest is not billed",
        ),
        pytest.param(
            chat(prompt=10, total_tokens=90, prompt_tokens_details={"cached_tokens": 30}),
            Usage(input_tokens=10, cache_read_tokens=30, output_tokens=50),
            id="xai: cached on top, says the total",
        ),
        pytest.param(
            chat(prompt=10, total_tokens=60, prompt_tokens_details={"cached_tokens": 30}),
            Usage(cache_read_tokens=10, output_tokens=50),
            id="more cached than there is",
        ),
        pytest.param(
            chat(completion_tokens_details={"reasoning_tokens": 70, "audio_tokens": 7}),
            Usage(input_tokens=100, reasoning_tokens=50),
            id="more reasoning than there is",
        ),
        pytest.param(
            chat(prompt_tokens_details={"cached_tokens": -5, "audio_tokens": "x"}),
            Usage(input_tokens=100, output_tokens=50),
            id="parts that are no counts",
        ),
        pytest.param(
            chat(prompt=100.0, completion=50.0),
            Usage(input_tokens=100, output_tokens=50),
            id="floats that are whole",
        ),
    ],
)
def test_dialects(block, expected) -> None:
    assert expected == usage_from(block)


@pytest.mark.parametrize(
    "block",
    [
        None,
        [],
        "12",
        {},
        {"cost": 0.1},
        {"prompt_tokens": None, "completion_tokens": None},
        chat(prompt="100"),
        chat(prompt=-1),
        chat(prompt=True),
        chat(prompt=1.5),
        chat(completion=1e30),
        chat(completion=TOKENS_MAX + 1),
        chat(completion={}),
        chat(completion=float("nan")),
        chat(completion=float("inf")),
    ],
)
def test_nonsense_is_unreadable(block) -> None:
    with pytest.raises(UsageUnreadable):
        usage_from(block)


names = st.sampled_from(
    [
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "total_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "image_tokens",
    ]
)
counts = st.integers(-2, 50) | st.none() | st.floats() | st.text(max_size=2) | st.booleans()
details = st.dictionaries(names, counts)


@given(
    st.dictionaries(names, counts),
    details,
    details,
    details,
)
def test_buckets_never_exceed_what_was_reported(block, inputs, outputs, cached) -> None:
    """Whatever the numbers: none negative, and together at most what the provider stated."""
    block |= {
        "prompt_tokens_details": inputs | {"cached_tokens_details": cached},
        "completion_tokens_details": outputs,
    }
    try:
        usage = usage_from(block)
    except UsageUnreadable:
        return
    stated = [v for v in block.values() if isinstance(v, int | float) and 0 < v < 99]
    assert usage.total <= sum(stated) + sum(
        v for v in inputs.values() if isinstance(v, int | float) and 0 < v < 99
    )


def test_blocks_are_found_wherever_they_stand() -> None:
    """The top-level one comes last, so it has the last word."""
    document = {
        "usage": {"a": 1},
        "x_groq": {"usage": {"a": 2}},
        "choices": [{"usage": {"a": 3}}, {"usage": None}, "odd", {}],
    }

    assert [{"a": 2}, {"a": 3}, {"a": 1}] == list(usage_blocks(document))


@pytest.mark.parametrize(
    "document", [{}, {"usage": {}}, {"usage": []}, {"usage": "x", "choices": 7, "x_groq": [1]}]
)
def test_no_blocks(document) -> None:
    assert [] == list(usage_blocks(document))


def test_later_statements_replace_and_never_add() -> None:
    """Frames are cumulative; a null or an absent key leaves what was known."""
    block: dict[str, object] = {}

    merge(block, {"prompt_tokens": 9, "completion_tokens": 1, "d": {"cached_tokens": 4}})
    merge(block, {"completion_tokens": 7, "prompt_tokens": None, "d": {"cached_tokens": None}})
    merge(block, {"d": {"x": 1}})

    expected = {"prompt_tokens": 9, "completion_tokens": 7, "d": {"cached_tokens": 4, "x": 1}}
    assert expected == block


def test_a_merged_block_is_bounded() -> None:
    block: dict[str, object] = {"prompt_tokens": 1}
    for n in range(100):
        merge(block, {f"k{n}-{i}": i for i in range(100)} | {"prompt_tokens": n})

    assert (KEYS_MAX, 99) == (len(block), block["prompt_tokens"])


@pytest.mark.parametrize(
    ("details", "cut"),
    [
        # Exactly the whole is no contradiction, one more is.
        ({"prompt_tokens_details": {"cached_tokens": 100}}, ()),
        ({"prompt_tokens_details": {"cached_tokens": 101}}, ("cache_read",)),
        ({"cached_tokens": 101}, ("cache_read",)),
        ({"prompt_cache_hit_tokens": 101}, ("cache_read",)),
        ({"prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 40}}, ()),
        (
            {"prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 41}},
            ("cache_write",),
        ),
        ({"prompt_tokens_details": {"audio_tokens": 70, "image_tokens": 30}}, ()),
        ({"prompt_tokens_details": {"audio_tokens": 70, "image_tokens": 31}}, ("image_in",)),
        ({"prompt_tokens_details": {"audio_tokens": 101}}, ("audio_in",)),
        (
            {
                "prompt_tokens_details": {
                    "cached_tokens": 9,
                    "cached_tokens_details": {"audio_tokens": 10, "image_tokens": 1},
                }
            },
            ("audio_cached", "image_cached"),
        ),
        ({"completion_tokens_details": {"reasoning_tokens": 50}}, ()),
        ({"completion_tokens_details": {"reasoning_tokens": 51}}, ("reasoning",)),
        (
            {"completion_tokens_details": {"reasoning_tokens": 50, "audio_tokens": 1}},
            ("audio_out",),
        ),
        ({"completion_tokens_details": {"audio_tokens": 50, "image_tokens": 1}}, ("image_out",)),
        (
            {
                "prompt_tokens_details": {"cached_tokens": 999},
                "completion_tokens_details": {"reasoning_tokens": 999},
            },
            ("cache_read", "reasoning"),
        ),
        # No numbers are no parts; so they contradict nothing.
        ({"prompt_tokens_details": {"cached_tokens": "999"}}, ()),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, ()),
    ],
)
def test_r11_parts_above_their_whole_are_named(details, cut) -> None:
    """They are cut down to it, and what was cut is told, since the amounts may be wrong."""
    told = told_in({"prompt_tokens": 100, "completion_tokens": 50, **details})

    assert cut == told.cut
    assert (100, 50) == (told.usage.input_total, told.usage.output_total)


@pytest.mark.parametrize(
    ("block", "cut"),
    [
        # On top of the input there is no whole to pass; writes of an hour are a part of all.
        ({"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 999}, ()),
        (
            {
                "input_tokens": 1,
                "output_tokens": 1,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_1h_input_tokens": 6},
            },
            ("cache_write_1h",),
        ),
        # Where the total says so, the cached ones came on top.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 45,
                "prompt_tokens_details": {"cached_tokens": 30},
            },
            (),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 44,
                "prompt_tokens_details": {"cached_tokens": 30},
            },
            ("cache_read",),
        ),
        # Perplexity's reasoning is beside the answer.
        ({"prompt_tokens": 1, "completion_tokens": 5, "reasoning_tokens": 900}, ()),
    ],
)
def test_r11_what_comes_on_top_is_no_contradiction(block, cut) -> None:
    assert cut == told_in(block).cut
