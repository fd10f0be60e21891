"""Generated text in an answer, found without parsing it: enough for an estimate.

Bytes as they stand in the JSON: an escape counts as long as it is written.
"""

import re
from typing import Final

_STRING: Final = rb' ?"([^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+)'

# What models say, think, and hand to tools, by the keys of all dialects.
_TEXT: Final = re.compile(
    rb'"(?:content|reasoning|reasoning_content|arguments|refusal|text|transcript'
    rb'|thinking|partial_json|delta)":' + _STRING
)
_SAID: Final = re.compile(rb'"delta":' + _STRING)


def text_bytes(raw: bytes) -> int:
    """How many bytes of generated text there are in an answer, or in frames of a stream."""
    return sum(map(len, _TEXT.findall(raw)))


def said_bytes(frames: bytes) -> int:
    """The same for streams that say each text in deltas and then repeat it as a whole."""
    return sum(map(len, _SAID.findall(frames)))
