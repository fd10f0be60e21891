"""Whole streams, one a provider and shape, and what each of them is billed as.

The frames are in `streams/<name>.sse`, as they come over the wire: with their comments,
their empty choices, their nulls and zeros. They are made after recordings and documents of
the sources in `usage_table`, with other texts, and fewer of them.
"""

from pathlib import Path
from typing import NamedTuple

from pricing.usage import Usage

FOLDER = Path(__file__).parent / "streams"


class Expected(NamedTuple):
    """What a stream says of itself.

    `text_bytes`: what the model said, thought or searched for in it, in UTF-8.
    """

    usage: Usage | None
    finish: str
    text_bytes: int
    tier: str | None = None
    cost_usd: str | None = None
    failed: bool = False


STREAMS = {
    "openai-chat": Expected(
        Usage(input_tokens=24, output_tokens=11, reasoning_tokens=192),
        "stop",
        len("Four."),
        tier="default",
    ),
    "azure-chat": Expected(Usage(input_tokens=14, output_tokens=1), "stop", len("Paris")),
    "openai-responses": Expected(
        Usage(
            input_tokens=5016,
            cache_read_tokens=4096,
            output_tokens=22,
            reasoning_tokens=128,
            fees=(("web_search", 1),),
        ),
        "completed",
        len("It is mild, 12 °C.".encode()),
        tier="default",
    ),
    "openai-responses-incomplete": Expected(
        Usage(input_tokens=20, output_tokens=16),
        "max_output_tokens",
        len("Once upon"),
        tier="auto",
    ),
    "openai-responses-failed": Expected(None, "failed", 0, tier="auto", failed=True),
    "openai-transcription": Expected(
        Usage(audio_in_tokens=25, output_tokens=6),
        "transcript.text.done",
        len("Good morning." * 2),  # said once more when it is done
    ),
    "openai-images": Expected(
        Usage(input_tokens=10, image_in_tokens=40, image_out_tokens=4160),
        "image_generation.completed",
        0,
    ),
    "anthropic-messages": Expected(
        Usage(
            input_tokens=588,
            cache_read_tokens=20368,
            cache_write_1h_tokens=1090,
            output_tokens=64,
            fees=(("web_search", 1),),
        ),
        "end_turn",
        len("The user greets me.Hello! How can I help?"),
        tier="standard",
    ),
    "google-native": Expected(
        Usage(input_tokens=9, audio_in_tokens=96, output_tokens=5, reasoning_tokens=95),
        "STOP",
        len("ConsideringShe says hello."),
    ),
    "google-compat": Expected(
        Usage(input_tokens=20, output_tokens=151, reasoning_tokens=382),
        "stop",
        len("The answer is 42."),
    ),
    "groq-chat": Expected(
        Usage(input_tokens=78, output_tokens=9, reasoning_tokens=22), "stop", len("Short.ok")
    ),
    "xai-chat": Expected(
        Usage(input_tokens=6, cache_read_tokens=32, output_tokens=5, reasoning_tokens=214),
        "stop",
        len("HmmCoca-Cola"),
        cost_usd="0.0033294",
    ),
    "deepseek-chat": Expected(
        Usage(input_tokens=11, cache_read_tokens=320, output_tokens=3, reasoning_tokens=42),
        "stop",
        len("We add.7"),
    ),
    "mistral-chat": Expected(
        Usage(input_tokens=9, cache_read_tokens=4, output_tokens=7), "stop", len("Bonjour")
    ),
    "moonshot-chat": Expected(
        Usage(cache_read_tokens=19, output_tokens=13), "stop", len("你好".encode())
    ),
    "openrouter-chat": Expected(
        Usage(input_tokens=694, output_tokens=840, reasoning_tokens=2314),
        "stop",
        len("Let me see." * 2 + "Yes."),  # its reasoning comes in two forms
        cost_usd="0.00215798",
    ),
    "perplexity-chat": Expected(
        Usage(input_tokens=24, output_tokens=7, fees=(("request:low", 1),)),
        "stop",
        # Each frame has what is new, and the whole of it until then.
        len("Bern is the capital[1]." * 2 + "Bern" + "Bern is"),
        cost_usd="0.006",
    ),
    "cohere-chat": Expected(Usage(input_tokens=21, output_tokens=124), "COMPLETE", len("Cola")),
    "vllm-chat": Expected(Usage(input_tokens=11, output_tokens=9), "stop", len(" 1 2 3 4 5 6 7 8")),
    "sglang-chat": Expected(
        Usage(input_tokens=15, cache_read_tokens=4, output_tokens=20, reasoning_tokens=70),
        "stop",
        len("Add.9"),
    ),
    "dashscope-chat": Expected(
        Usage(input_tokens=6, cache_read_tokens=1486, cache_write_5m_tokens=335, output_tokens=511),
        "stop",
        len("你好".encode()),
    ),
    "llamacpp-chat": Expected(
        Usage(input_tokens=250, cache_read_tokens=1100, output_tokens=61), "stop", len("Hi")
    ),
    "together-chat": Expected(
        Usage(input_tokens=21, cache_read_tokens=16, output_tokens=2),
        "stop",
        len("Hey" * 2),  # for completions, and for chat
    ),
}


def stream(name: str) -> bytes:
    return (FOLDER / f"{name}.sse").read_bytes()
