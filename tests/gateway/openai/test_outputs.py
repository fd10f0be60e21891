"""What can come of a call: how many answers, and what is billed by the piece."""

import pytest

from gateway.errors import InvalidCall
from gateway.openai import outputs
from gateway.openai.forms import Attached
from gateway.openai.heard import heard_seconds
from gateway.openai.media_input import audio_bound, pictures_bound, seconds_max
from gateway.openai.outputs import IMAGE_TOKENS_MAX


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ({}, 1),
        ({"prompt": "x", "n": 3, "best_of": 5}, 5),
        ({"prompt": ["x", "y"], "n": 3}, 6),
        ({"prompt": [1, 2, 3], "n": 3}, 3),
        ({"prompt": [[1, 2], [3]], "n": 3}, 6),
        ({"prompt": [], "n": 3}, 3),
    ],
)
def test_each_prompt_has_its_answers(body, answers):
    assert answers == outputs.prompts_output(body).answers


@pytest.mark.parametrize(
    ("body", "piece"),
    [
        ({}, ("image:standard-1024x1024", 1)),
        ({"n": 2, "quality": "hd", "size": "1792x1024"}, ("image:hd-1792x1024", 2)),
        ({"quality": "auto", "size": "auto"}, ("image:standard-auto", 1)),
        ({"quality": ["x"], "size": {"y": 1}}, ("image:standard-1024x1024", 1)),
    ],
)
def test_images_by_their_kind(body, piece):
    """A price for the kind goes before that of any image; one that is nonsense is none."""
    made = outputs.image_output(body)
    assert ((piece,), piece[1] * IMAGE_TOKENS_MAX) == (made.pieces, made.tokens)


def test_partial_images_are_drawn_too():
    made = outputs.image_output({"partial_images": 3})
    assert IMAGE_TOKENS_MAX + 300 == made.tokens
    with pytest.raises(InvalidCall):
        outputs.image_output({"n": 0})


@pytest.mark.parametrize(
    ("documents", "units"),
    [(["x"] * 100, 1), (["x"] * 101, 2), (["x" * 2_500] * 100, 11), ("x", 1), (None, 1), ([], 1)],
)
def test_search_units(documents, units):
    """A hundred documents each, parts of long ones counted."""
    made = outputs.rerank_output({"documents": documents})
    assert (("rerank", units),) == made.pieces


def test_speech_counts_characters_not_bytes():
    assert (("character", 2),) == outputs.speech_output({"input": "世界"}).pieces
    assert (("character", 0),) == outputs.speech_output({"input": ["x"]}).pieces


def test_audio_is_as_long_as_its_size_allows():
    """No less than providers bill; what is only named may be a day long."""
    assert 2_000 == seconds_max({"file": Attached(1_500_000)})
    assert 10 == seconds_max({"file": Attached(100)})
    assert 86_400 == seconds_max({"url": "https://x"})
    assert audio_bound({"file": Attached(7_500)}, 7_700).tokens == 200 + 64 + 10 * 32


@pytest.mark.parametrize(
    ("body", "pictures"),
    [
        ({}, 0),
        ({"image": Attached(100), "mask": Attached(50)}, 2),
        ({"image": [Attached(100), Attached(100)]}, 2),
        ({"images": [{"file_id": "f"}, {"image_url": "u"}]}, 2),
    ],
)
def test_pictures_are_held_for_each(body, pictures):
    size = 1_000 + sum(100 if key == "image" else 50 for key in body)
    bound = pictures_bound(body, 10_000).tokens
    assert pictures * 50_000 <= bound <= pictures * 50_000 + 10_064, size


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (b"1\r\n00:00:01,000 --> 00:01:02,001\r\nHi\r\n", 63),
        (b"WEBVTT\n\n00:00.000 --> 00:07.000\nHi\n\n01:00:07.000 --> 01:00:09.500\nyou", 3_610),
        (b'{"task":"transcribe","duration":8.47,"text":"Hi"}', 9),
        (b'{"duration": "61"}', 61),
        (b"Just text, at 00:00:01,000.", None),
        (b"", None),
        (b'{"duration": null}', None),
    ],
)
def test_how_long_a_transcript_says_its_audio_was(said, seconds):
    assert seconds == heard_seconds(said)
