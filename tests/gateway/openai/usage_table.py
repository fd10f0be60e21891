"""Each provider's usage as it stands on the wire, and the buckets it is billed in.

One row is one shape of one provider. Read a row as: "in this form `provider` says that a call
took this; we bill that". What is 0 is left out of the buckets. `source` is where the form is
documented or was seen; figures are those of the source where it is a bill or a bug report,
else made up so that no two are alike.

A whole stream of each provider, with all its frames, is in `streams/`.
"""

from typing import Any, NamedTuple

from pricing.usage import Usage


class Row(NamedTuple):
    """`answer`: a whole answer, or the frames of a stream that matter, in their order."""

    provider: str
    shape: str
    answer: dict[str, Any] | list[dict[str, Any]]
    usage: Usage
    source: str
    cost_usd: str | None = None
    tier: str | None = None
    scope: str | None = None


def chat(usage: Any, **more: Any) -> dict[str, Any]:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice], "usage": usage, **more}


def chunk(usage: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A frame of a chat stream with one choice; without a usage the key is left out."""
    stated = {} if usage is None else {"usage": usage}
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **stated, **more}


OPENAI_SDK = "https://github.com/openai/openai-python/tree/main/src/openai/types"
ANTHROPIC_SDK = "https://github.com/anthropics/anthropic-sdk-python/tree/main/src/anthropic/types"
AI_SDK = "https://github.com/vercel/ai/tree/main/packages"

OPENAI = [
    Row(
        "openai",
        "responses: code that was run twice in a container opened for it",
        {
            "object": "response",
            "status": "completed",
            "tools": [
                {
                    "type": "code_interpreter",
                    "container": {"type": "auto", "memory_limit": "4g"},
                }
            ],
            "output": [
                {"type": "code_interpreter_call", "container_id": "cntr_1", "code": "1"},
                {"type": "code_interpreter_call", "container_id": "cntr_1", "code": "2"},
            ],
            "usage": {"input_tokens": 410, "output_tokens": 60, "total_tokens": 470},
        },
        Usage(input_tokens=410, output_tokens=60, fees=(("container:4g", 1),)),
        "https://developers.openai.com/api/docs/guides/tools-code-interpreter",
    ),
    Row(
        "openai",
        "chat",
        chat(
            {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 128,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 20,
                    "rejected_prediction_tokens": 12,  # billed, and part of the 300
                },
            },
            service_tier="flex",
        ),
        Usage(input_tokens=86, cache_read_tokens=1920, output_tokens=172, reasoning_tokens=128),
        f"{OPENAI_SDK}/completion_usage.py",
        tier="flex",
    ),
    Row(
        "openai",
        "chat, a bill of 0.18492 USD at 1.25 / 0.625 / 10",
        chat(
            {
                "prompt_tokens": 262960,
                "completion_tokens": 1744,
                "prompt_tokens_details": {"cached_tokens": 257955},
            }
        ),
        Usage(input_tokens=5005, cache_read_tokens=257955, output_tokens=1744),
        "https://github.com/BerriAI/litellm/issues/14849",
    ),
    Row(
        "openai",
        "chat with audio in and out",
        chat(
            {
                "prompt_tokens": 220,
                "completion_tokens": 90,
                "prompt_tokens_details": {
                    "cached_tokens": 64,
                    "audio_tokens": 100,
                    "cached_tokens_details": {"audio_tokens": 14},
                },
                "completion_tokens_details": {"audio_tokens": 70, "text_tokens": 20},
            }
        ),
        Usage(
            input_tokens=70,
            cache_read_tokens=50,
            audio_in_tokens=86,
            audio_cached_tokens=14,
            output_tokens=20,
            audio_out_tokens=70,
        ),
        f"{OPENAI_SDK}/completion_usage.py",
    ),
    Row(
        "openai",
        "chat with cache writes",
        chat(
            {
                "prompt_tokens": 100,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 50},
            }
        ),
        Usage(input_tokens=10, cache_read_tokens=40, cache_write_5m_tokens=50, output_tokens=7),
        f"{OPENAI_SDK}/completion_usage.py",
    ),
    Row(
        "openai",
        "chat, stream: null in each frame, then a frame of its own",
        [
            chunk(usage=None),
            {**chunk(finish="stop"), "usage": None},
            {
                "choices": [],
                "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
            },
        ],
        Usage(input_tokens=9, output_tokens=4),
        f"{OPENAI_SDK}/chat/chat_completion_chunk.py",
    ),
    Row(
        "openai",
        "completions",
        {
            "object": "text_completion",
            "choices": [{"text": "Hi", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        },
        Usage(input_tokens=5, output_tokens=7),
        f"{OPENAI_SDK}/completion.py",
    ),
    Row(
        "openai",
        "embeddings: no output at all",
        {"object": "list", "data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}},
        Usage(input_tokens=8),
        f"{OPENAI_SDK}/create_embedding_response.py",
    ),
    Row(
        "openai",
        "responses",
        {
            "object": "response",
            "status": "completed",
            "output": [
                {"type": "reasoning"},
                {"type": "web_search_call", "action": {"type": "search", "query": "x"}},
                {"type": "web_search_call", "action": {"type": "open_page"}},  # not billed
                {"type": "web_search_call", "action": {"type": "find_in_page"}},  # not billed
                {"type": "file_search_call", "queries": ["x"]},
                {"type": "function_call", "name": "web_search_call"},
                {"type": "message"},
            ],
            "usage": {
                "input_tokens": 500,
                "input_tokens_details": {"cached_tokens": 128},
                "output_tokens": 80,
                "output_tokens_details": {"reasoning_tokens": 64},
                "total_tokens": 580,
            },
        },
        Usage(
            input_tokens=372,
            cache_read_tokens=128,
            output_tokens=16,
            reasoning_tokens=64,
            fees=(("web_search", 1), ("file_search", 1)),
        ),
        "https://platform.openai.com/docs/guides/tools-web-search",
    ),
    *(
        Row(
            "openai",
            f"responses, stream: in response.{end}",
            [
                {"type": "response.created", "response": {"status": "in_progress", "usage": None}},
                {"type": "response.output_text.delta", "delta": "Hi"},
                {
                    "type": f"response.{end}",
                    "response": {
                        "status": end,
                        "service_tier": "priority",
                        "usage": {"input_tokens": 36, "output_tokens": 87, "total_tokens": 123},
                    },
                },
            ],
            Usage(input_tokens=36, output_tokens=87),
            f"{OPENAI_SDK}/responses/response_stream_event.py",
            tier="priority",
        )
        for end in ("completed", "incomplete", "failed")
    ),
    Row(
        "openai",
        "responses: its own count of searches, and images that another model drew",
        {
            "object": "response",
            "status": "completed",
            "output": [{"type": "web_search_call"}, {"type": "image_generation_call"}],
            "usage": {"input_tokens": 20, "output_tokens": 3, "total_tokens": 23},
            "tool_usage": {
                "image_gen": {
                    "input_tokens": 27,
                    "input_tokens_details": {"image_tokens": 20, "text_tokens": 7},
                    "output_tokens": 515,
                    "output_tokens_details": {"image_tokens": 515, "text_tokens": 0},
                    "total_tokens": 542,
                },
                "web_search": {"num_requests": 3},
            },
        },
        Usage(
            input_tokens=27,
            image_in_tokens=20,
            output_tokens=3,
            image_out_tokens=515,
            fees=(("web_search", 3),),
        ),
        f"{OPENAI_SDK}/responses/response.py",
    ),
    Row(
        "openai",
        "images: without details all output is images",
        {
            "created": 1,
            "data": [],
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens": 4160,
                "total_tokens": 4210,
            },
        },
        Usage(input_tokens=10, image_in_tokens=40, image_out_tokens=4160),
        f"{OPENAI_SDK}/images_response.py",
    ),
    Row(
        "openai",
        "images, stream: with both sides split",
        [
            {"type": "image_generation.partial_image", "b64_json": "QUJD"},
            {
                "type": "image_generation.completed",
                "usage": {
                    "input_tokens": 46,
                    "input_tokens_details": {"text_tokens": 46, "image_tokens": 0},
                    "output_tokens": 2459,
                    "output_tokens_details": {"image_tokens": 2400, "text_tokens": 59},
                    "total_tokens": 2505,
                },
            },
        ],
        Usage(input_tokens=46, output_tokens=59, image_out_tokens=2400),
        f"{OPENAI_SDK}/image_gen_completed_event.py",
    ),
    Row(
        "openai",
        "transcription by tokens (`input_token_details`, singular)",
        {
            "text": "Hi",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                "output_tokens": 45,
                "total_tokens": 59,
            },
        },
        Usage(input_tokens=4, audio_in_tokens=10, output_tokens=45),
        f"{OPENAI_SDK}/audio/transcription.py",
    ),
    Row(
        "openai",
        "transcription by the second; one that has begun counts",
        {"text": "Hi", "duration": 8.47, "usage": {"type": "duration", "seconds": 8.47}},
        Usage(fees=(("second", 9),)),
        f"{OPENAI_SDK}/audio/transcription_verbose.py",
    ),
    Row(
        "openai",
        "speech, stream: what it says is said aloud",
        [
            {"type": "speech.audio.delta", "audio": "QUJD"},
            {
                "type": "speech.audio.done",
                "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115},
            },
        ],
        Usage(input_tokens=14, audio_out_tokens=101),
        "https://platform.openai.com/docs/api-reference/audio/speech-audio-done-event",
    ),
    Row(
        "openai",
        "realtime: cached tokens by kind",
        [
            {
                "type": "response.done",
                "response": {
                    "status": "completed",
                    "usage": {
                        "total_tokens": 253,
                        "input_tokens": 132,
                        "output_tokens": 121,
                        "input_token_details": {
                            "text_tokens": 119,
                            "audio_tokens": 13,
                            "cached_tokens": 64,
                            "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
                        },
                        "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
                    },
                },
            }
        ],
        Usage(
            input_tokens=59,
            cache_read_tokens=60,
            audio_in_tokens=9,
            audio_cached_tokens=4,
            output_tokens=30,
            audio_out_tokens=91,
        ),
        f"{OPENAI_SDK}/realtime/realtime_response_usage.py",
    ),
    Row(
        "azure",
        "chat, stream: the first frame has no choices, and is not the usage",
        [
            {"choices": [], "id": "", "model": "", "prompt_filter_results": [{}]},
            chunk(finish="stop"),
            {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 6}},
        ],
        Usage(input_tokens=11, output_tokens=6),
        "https://learn.microsoft.com/azure/ai-services/openai/reference",
    ),
]

ANTHROPIC = [
    Row(
        "anthropic",
        "messages, a bill of 0.054399 USD at 3 / 3.75 / 15",
        {
            "type": "message",
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 12304,
                "cache_read_input_tokens": 0,
                "output_tokens": 550,
            },
        },
        Usage(input_tokens=3, cache_write_5m_tokens=12304, output_tokens=550),
        "https://github.com/BerriAI/litellm/issues/9812",
    ),
    Row(
        "anthropic",
        "messages: cache beside the input, by age; searches; where and how it was served",
        {
            "type": "message",
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 100,
                "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 60,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 10,
                    "ephemeral_1h_input_tokens": 20,
                },
                "output_tokens": 50,
                "output_tokens_details": {"thinking_tokens": 15},
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
                "service_tier": "standard",
                "inference_geo": "us",
                "speed": "fast",
            },
        },
        Usage(
            input_tokens=100,
            cache_read_tokens=60,
            cache_write_5m_tokens=10,
            cache_write_1h_tokens=20,
            output_tokens=35,
            reasoning_tokens=15,
            fees=(("web_search", 2),),
        ),
        f"{ANTHROPIC_SDK}/usage.py",
        tier="fast",
        scope="us",
    ),
    Row(
        "anthropic",
        "messages, stream: start and delta, merged field by field",
        [
            {
                "type": "message_start",
                "message": {
                    "usage": {
                        "input_tokens": 25,
                        "cache_read_input_tokens": 7,
                        "cache_creation_input_tokens": 0,
                        "output_tokens": 1,
                        "service_tier": "priority",
                        "inference_geo": "not_available",
                    }
                },
            },
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 15},
            },
            {"type": "message_stop"},
        ],
        Usage(input_tokens=25, cache_read_tokens=7, output_tokens=15),
        "https://github.com/envoyproxy/ai-gateway/pull/111",
        tier="priority",
    ),
    Row(
        "anthropic",
        "messages with a compaction: counted beside the message, billed with it",
        {
            "type": "message",
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 23000,
                "output_tokens": 1000,
                "iterations": [
                    {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
                    {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
                ],
            },
        },
        Usage(input_tokens=203000, output_tokens=4500),
        "https://platform.claude.com/docs/en/build-with-claude/compaction",
    ),
    Row(
        "anthropic",
        "messages that were a compaction and nothing else",
        {
            "type": "message",
            "stop_reason": "compaction",
            "usage": {
                "input_tokens": 0,
                "output_tokens": 0,
                "iterations": [{"type": "compaction", "input_tokens": 144, "output_tokens": 276}],
            },
        },
        Usage(input_tokens=144, output_tokens=276),
        "https://platform.claude.com/docs/en/build-with-claude/compaction",
    ),
    Row(
        "anthropic",
        "the layer that speaks OpenAI: no caches on it",
        chat({"prompt_tokens": 31, "completion_tokens": 12, "total_tokens": 43}),
        Usage(input_tokens=31, output_tokens=12),
        "https://platform.claude.com/docs/en/api/openai-sdk",
    ),
    Row(
        "bedrock",
        "converse: caches beside the input, as Anthropic",
        {
            "output": {"message": {"role": "assistant"}},
            "stopReason": "end_turn",
            "usage": {
                "inputTokens": 30,
                "outputTokens": 628,
                "totalTokens": 2658,
                "cacheReadInputTokens": 1500,
                "cacheWriteInputTokens": 500,
                "cacheDetails": [
                    {"ttl": "1h", "inputTokens": 200},
                    {"ttl": "5m", "inputTokens": 300},
                ],
            },
        },
        Usage(
            input_tokens=30,
            cache_read_tokens=1500,
            cache_write_5m_tokens=300,
            cache_write_1h_tokens=200,
            output_tokens=628,
        ),
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html",
    ),
    Row(
        "bedrock",
        "the layer that speaks OpenAI",
        chat({"prompt_tokens": 17, "completion_tokens": 21, "total_tokens": 38}),
        Usage(input_tokens=17, output_tokens=21),
        "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html",
    ),
]

GOOGLE = [
    Row(
        "google",
        "native: thoughts beside the candidates, tool results beside the prompt",
        {
            "candidates": [{"content": {}, "finishReason": "STOP"}],
            "modelVersion": "gemini-x",
            "usageMetadata": {
                "promptTokenCount": 100,
                "toolUsePromptTokenCount": 10,
                "candidatesTokenCount": 25,
                "thoughtsTokenCount": 15,
                "cachedContentTokenCount": 12,
                "totalTokenCount": 150,
                "trafficType": "ON_DEMAND_PRIORITY",
            },
        },
        Usage(input_tokens=98, cache_read_tokens=12, output_tokens=25, reasoning_tokens=15),
        "https://ai.google.dev/api/generate-content#UsageMetadata",
        tier="priority",
    ),
    Row(
        "google",
        "native stream: grounded on searches, each different one billed (or the prompt)",
        [
            {
                "candidates": [{"content": {"parts": [{"text": "It"}]}}],
                "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
            },
            {
                "candidates": [
                    {
                        "finishReason": "STOP",
                        "groundingMetadata": {
                            "webSearchQueries": ["", "euro 2024 winner", "final", "final"],
                            "groundingChunks": [{"web": {"uri": "u", "title": "uefa.com"}}],
                        },
                    }
                ],
                "modelVersion": "gemini-x",
                "usageMetadata": {
                    "promptTokenCount": 9,
                    "candidatesTokenCount": 30,
                    "toolUsePromptTokenCount": 120,
                    "totalTokenCount": 159,
                },
            },
        ],
        Usage(input_tokens=129, output_tokens=30, fees=(("web_search", 2),)),
        "https://ai.google.dev/gemini-api/docs/google-search",
    ),
    Row(
        "google",
        "native: audio and images in lists by modality; video is text",
        {
            "usageMetadata": {
                "promptTokenCount": 1000,
                "candidatesTokenCount": 1380,
                "totalTokenCount": 2380,
                "cachedContentTokenCount": 150,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 200},
                    {"modality": "AUDIO", "tokenCount": 300},
                    {"modality": "IMAGE", "tokenCount": 400},
                    {"modality": "VIDEO", "tokenCount": 100},
                ],
                "cacheTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 50},
                    {"modality": "TEXT", "tokenCount": 100},
                ],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
            }
        },
        Usage(
            input_tokens=200,
            cache_read_tokens=100,
            audio_in_tokens=250,
            audio_cached_tokens=50,
            image_in_tokens=400,
            output_tokens=90,
            image_out_tokens=1290,
        ),
        "https://ai.google.dev/api/generate-content#UsageMetadata",
    ),
    Row(
        "google",
        "native, all of it thoughts: the answer was cut before a word",
        {
            "candidates": [{"finishReason": "MAX_TOKENS"}],
            "usageMetadata": {
                "promptTokenCount": 8,
                "thoughtsTokenCount": 97,
                "totalTokenCount": 105,
            },
        },
        Usage(input_tokens=8, reasoning_tokens=97),
        "https://github.com/simonw/llm-gemini/issues/75",
    ),
    Row(
        "google",
        "native, thoughts among the candidates, says the total",
        {
            "usageMetadata": {
                "promptTokenCount": 8,
                "candidatesTokenCount": 50,
                "thoughtsTokenCount": 20,
                "totalTokenCount": 58,
            }
        },
        Usage(input_tokens=8, output_tokens=30, reasoning_tokens=20),
        "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse",
    ),
    Row(
        "google",
        "the layer that speaks OpenAI: thoughts in the total alone",
        chat({"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553}),
        Usage(input_tokens=20, output_tokens=151, reasoning_tokens=382),
        "https://github.com/mozilla-ai/any-llm/pull/1291",
    ),
    Row(
        "google",
        "the same, stream: counted in each frame, and growing",
        [
            chunk({"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 405}),
            chunk({"prompt_tokens": 20, "completion_tokens": 90, "total_tokens": 492}),
            chunk({"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553}, "stop"),
        ],
        Usage(input_tokens=20, output_tokens=151, reasoning_tokens=382),
        "https://github.com/mozilla-ai/any-llm/pull/848",
    ),
]

OTHERS = [
    Row(
        "mistral",
        "chat: three spellings of what was cached (1)",
        chat(
            {
                "prompt_tokens": 13,
                "completion_tokens": 7,
                "total_tokens": 20,
                "num_cached_tokens": 5,
                "prompt_audio_seconds": 0,
            }
        ),
        Usage(input_tokens=8, cache_read_tokens=5, output_tokens=7),
        f"{AI_SDK}/mistral",
    ),
    Row(
        "mistral",
        "chat: three spellings of what was cached (2)",
        chat(
            {
                "prompt_tokens": 13,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 5},
                "prompt_audio_seconds": None,
            }
        ),
        Usage(input_tokens=8, cache_read_tokens=5, output_tokens=7),
        f"{AI_SDK}/mistral",
    ),
    Row(
        "mistral",
        "chat: three spellings of what was cached (3)",
        chat(
            {
                "prompt_tokens": 13,
                "completion_tokens": 7,
                "prompt_token_details": {"cached_tokens": 5},
                "prompt_audio_seconds": {},
            }
        ),
        Usage(input_tokens=8, cache_read_tokens=5, output_tokens=7),
        f"{AI_SDK}/mistral",
    ),
    Row(
        "mistral",
        "transcription: audio by the second, its tokens in the total and not billed",
        {
            "text": "Hi",
            "usage": {
                "prompt_audio_seconds": 5,
                "prompt_tokens": 5,
                "completion_tokens": 24,
                "total_tokens": 404,
                "prompt_tokens_details": {"cached_tokens": 368},
            },
        },
        Usage(input_tokens=5, output_tokens=24, fees=(("second", 5),)),
        "https://docs.mistral.ai/capabilities/audio/",
    ),
    Row(
        "groq",
        "stream: a tool of its own, told as it starts and as it ends",
        [
            chunk(),
            {
                "choices": [
                    {"index": 0, "delta": {"executed_tools": [{"index": 0, "type": "search"}]}}
                ]
            },
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {
                            "executed_tools": [{"index": 0, "type": "search", "output": "It is"}]
                        },
                    }
                ]
            },
            chunk(
                finish="stop",
                x_groq={
                    "usage": {"prompt_tokens": 700, "completion_tokens": 90, "total_tokens": 790}
                },
            ),
        ],
        Usage(input_tokens=700, output_tokens=90, fees=(("tool:search", 1),)),
        "https://console.groq.com/docs/compound",
    ),
    Row(
        "groq",
        "stream: in x_groq, and once more if it was asked for",
        [
            chunk(finish="stop", x_groq={"usage": {"prompt_tokens": 18, "completion_tokens": 439}}),
            {
                "choices": [],
                "usage": {
                    "queue_time": 0.06,
                    "prompt_tokens": 18,
                    "completion_tokens": 439,
                    "total_tokens": 457,
                },
                "service_tier": "on_demand",
            },
        ],
        Usage(input_tokens=18, output_tokens=439),
        f"{AI_SDK}/groq",
        tier="on_demand",
    ),
    Row(
        "groq",
        "stream, not asked: in x_groq alone",
        [
            chunk(
                finish="stop",
                x_groq={
                    "id": "req_1",
                    "usage": {
                        "prompt_tokens": 15,
                        "completion_tokens": 10,
                        "prompt_tokens_details": {"cached_tokens": 5},
                        "completion_tokens_details": {"reasoning_tokens": 6},
                    },
                },
            )
        ],
        Usage(input_tokens=10, cache_read_tokens=5, output_tokens=4, reasoning_tokens=6),
        "https://github.com/vercel/ai/issues/1651",
    ),
    Row(
        "deepseek",
        "chat: hit and miss make up the prompt",
        chat(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36,
                "completion_tokens_details": {"reasoning_tokens": 30},
            }
        ),
        Usage(input_tokens=36, cache_read_tokens=64, output_tokens=20, reasoning_tokens=30),
        "https://api-docs.deepseek.com/guides/kv_cache",
    ),
    Row(
        "xai",
        "chat: reasoning outside the completion; its cost in ticks",
        chat(
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94},
                "num_sources_used": 0,
                "cost_in_usd_ticks": 648004500,
            }
        ),
        Usage(input_tokens=26, cache_read_tokens=6, output_tokens=9, reasoning_tokens=94),
        f"{AI_SDK}/xai",
        cost_usd="0.06480045",
    ),
    Row(
        "xai",
        "chat, should it put reasoning inside",
        chat(
            {
                "prompt_tokens": 32,
                "completion_tokens": 103,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            }
        ),
        Usage(input_tokens=32, output_tokens=9, reasoning_tokens=94),
        "https://github.com/UKGovernmentBEIS/inspect_ai/issues/5528",
    ),
    Row(
        "xai",
        "chat: more cached than in the prompt: it came on top",
        chat(
            {
                "prompt_tokens": 10,
                "completion_tokens": 50,
                "total_tokens": 90,
                "prompt_tokens_details": {"cached_tokens": 30},
            }
        ),
        Usage(input_tokens=10, cache_read_tokens=30, output_tokens=50),
        f"{AI_SDK}/xai",
    ),
    Row(
        "xai",
        "responses: its own tools, counted in the usage",
        {
            "object": "response",
            "status": "completed",
            "output": [{"type": "web_search_call"}],
            "usage": {
                "input_tokens": 21365,
                "input_tokens_details": {"cached_tokens": 10496},
                "output_tokens": 3646,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 25011,
                "num_server_side_tools_used": 12,
                "cost_in_usd_ticks": 648004500,
                "server_side_tool_usage_details": {
                    "web_search_calls": 1,
                    "x_search_calls": 8,
                    "code_interpreter_calls": 1,
                    "document_search_calls": 2,
                },
            },
        },
        Usage(
            input_tokens=10869,
            cache_read_tokens=10496,
            output_tokens=3646,
            fees=(("web_search", 9), ("file_search:attached", 2), ("tool:code_interpreter", 1)),
        ),
        "https://docs.x.ai/docs/guides/tools/overview",
        cost_usd="0.06480045",
    ),
    Row(
        "openrouter",
        "stream: beside an empty delta, with its cost",
        [
            chunk(finish="stop"),
            chunk(
                {
                    "prompt_tokens": 17135,
                    "completion_tokens": 26792,
                    "total_tokens": 43927,
                    "cost": 0.453285,
                    "is_byok": False,
                    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 35},
                    "cost_details": {"upstream_inference_cost": 0.453285},
                    "completion_tokens_details": {"reasoning_tokens": 23538, "image_tokens": 0},
                }
            ),
        ],
        Usage(
            input_tokens=17000,
            cache_read_tokens=100,
            cache_write_5m_tokens=35,
            output_tokens=3254,
            reasoning_tokens=23538,
        ),
        "https://openrouter.ai/docs/use-cases/usage-accounting",
        cost_usd="0.453285",
    ),
    Row(
        "openrouter",
        "with a key of one's own: its fee, and the provider's price on top",
        chat(
            {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "cost": 0.00005,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.001},
                "server_tool_use": {"web_search_requests": 1},
            }
        ),
        Usage(input_tokens=10, output_tokens=1, fees=(("web_search", 1),)),
        "https://openrouter.ai/docs/use-cases/byok",
        cost_usd="0.00105",
    ),
    Row(
        "perplexity",
        "deep research: reasoning and citations outside a total that knows of neither",
        chat(
            {
                "prompt_tokens": 33,
                "completion_tokens": 11395,
                "total_tokens": 11428,
                "citation_tokens": 19028,
                "num_search_queries": 21,
                "reasoning_tokens": 193947,
                "cost": {"output_tokens_cost": 0.091, "total_cost": 0.816},
            }
        ),
        Usage(
            input_tokens=19061,
            output_tokens=11395,
            reasoning_tokens=193947,
            fees=(("web_search", 21),),
        ),
        "https://docs.perplexity.ai/getting-started/pricing",
        cost_usd="0.816",
    ),
    Row(
        "perplexity",
        "sonar: a request of a stated size, and its searches are in that",
        chat(
            {
                "prompt_tokens": 24,
                "completion_tokens": 2681,
                "total_tokens": 2705,
                "search_context_size": "low",
                "citation_tokens": None,
                "num_search_queries": None,
                "reasoning_tokens": None,
                "cost": {"request_cost": 0.006, "total_cost": 0.046},
            }
        ),
        Usage(input_tokens=24, output_tokens=2681, fees=(("request:low", 1),)),
        "https://docs.perplexity.ai/getting-started/pricing",
        cost_usd="0.046",
    ),
    Row(
        "perplexity",
        "responses: cache reads and writes among the input's details",
        {
            "object": "response",
            "status": "completed",
            "usage": {
                "input_tokens": 100,
                "input_tokens_details": {
                    "cache_read_input_tokens": 40,
                    "cache_creation_input_tokens": 25,
                },
                "output_tokens": 9,
                "total_tokens": 109,
            },
        },
        Usage(input_tokens=35, cache_read_tokens=40, cache_write_5m_tokens=25, output_tokens=9),
        f"{AI_SDK}/perplexity",
    ),
    Row(
        "cohere",
        "chat, stream: billed units, not the tokens beside them",
        [
            {"type": "content-delta", "delta": {"message": {"content": {"text": "Hi"}}}},
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "COMPLETE",
                    "usage": {
                        "billed_units": {"input_tokens": 21.0, "output_tokens": 124},
                        "tokens": {"input_tokens": 186, "output_tokens": 124},
                        "cached_tokens": 16,
                    },
                },
            },
        ],
        Usage(input_tokens=5, cache_read_tokens=16, output_tokens=124),
        "https://docs.cohere.com/v2/reference/chat-stream",
    ),
    Row(
        "cohere",
        "chat without billed units",
        {
            "finish_reason": "COMPLETE",
            "usage": {"tokens": {"input_tokens": 5, "output_tokens": 3}},
        },
        Usage(input_tokens=5, output_tokens=3),
        f"{AI_SDK}/cohere",
    ),
    Row(
        "cohere",
        "rerank: by the search unit",
        {"results": [], "meta": {"billed_units": {"search_units": 2}}},
        Usage(fees=(("rerank", 2),)),
        "https://docs.cohere.com/v2/reference/rerank",
    ),
    Row(
        "cohere",
        "search units alone, as a rerank has them inside",
        {"usage": {"search_units": 3}},
        Usage(fees=(("rerank", 3),)),
        "https://docs.cohere.com/v2/reference/rerank",
    ),
    Row(
        "cohere",
        "embeddings of text and images",
        {"embeddings": {}, "meta": {"billed_units": {"input_tokens": 2, "image_tokens": 30}}},
        Usage(input_tokens=2, image_in_tokens=30),
        "https://docs.cohere.com/v2/reference/embed",
    ),
    Row(
        "voyage",
        "embeddings and rerank: a total alone",
        {"object": "list", "data": [], "usage": {"total_tokens": 26}},
        Usage(input_tokens=26),
        "https://docs.voyageai.com/reference/reranker-api",
    ),
    Row(
        "together",
        "chat: flat cached tokens, null details",
        chat(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "cached_tokens": 60,
                "prompt_tokens_details": None,
                "completion_tokens_details": None,
            }
        ),
        Usage(input_tokens=40, cache_read_tokens=60, output_tokens=50),
        f"{AI_SDK}/togetherai",
    ),
    Row(
        "fireworks",
        "chat",
        chat(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": None,
            }
        ),
        Usage(input_tokens=40, cache_read_tokens=60, output_tokens=50),
        f"{AI_SDK}/fireworks",
    ),
    Row(
        "cerebras",
        "chat with times beside the usage",
        chat(
            {"prompt_tokens": 71, "completion_tokens": 29, "total_tokens": 100},
            time_info={"queue_time": 0.001, "prompt_time": 0.002},
        ),
        Usage(input_tokens=71, output_tokens=29),
        "https://inference-docs.cerebras.ai/api-reference/chat-completions",
    ),
    Row(
        "moonshot",
        "stream: inside the choice, after zeros",
        [
            chunk({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": {
                            "prompt_tokens": 19,
                            "completion_tokens": 13,
                            "total_tokens": 32,
                            "cached_tokens": 8,
                        },
                    }
                ]
            },
        ],
        Usage(input_tokens=11, cache_read_tokens=8, output_tokens=13),
        f"{AI_SDK}/moonshotai",
    ),
    Row(
        "dashscope",
        "chat: cache writes among the prompt's details, by age",
        chat(
            {
                "prompt_tokens": 1827,
                "completion_tokens": 511,
                "total_tokens": 2338,
                "prompt_tokens_details": {
                    "cached_tokens": 1486,
                    "cache_type": "ephemeral",
                    "cache_creation_input_tokens": 335,
                    "cache_creation": {"ephemeral_5m_input_tokens": 335},
                },
            }
        ),
        Usage(input_tokens=6, cache_read_tokens=1486, cache_write_5m_tokens=335, output_tokens=511),
        f"{AI_SDK}/alibaba",
    ),
    Row(
        "vllm",
        "stream: a hundred growing counts are the last one (100, not 5050)",
        [
            *(
                chunk({"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 10 + n})
                for n in range(1, 101)
            ),
            chunk(finish="stop"),
        ],
        Usage(input_tokens=10, output_tokens=100),
        "https://github.com/tensorzero/tensorzero/issues/5481",
    ),
    Row(
        "sglang",
        "chat: flat reasoning is a part of the completion",
        chat(
            {
                "prompt_tokens": 19,
                "completion_tokens": 90,
                "total_tokens": 109,
                "reasoning_tokens": 70,
                "prompt_tokens_details": None,
            }
        ),
        Usage(input_tokens=19, output_tokens=20, reasoning_tokens=70),
        "https://github.com/sgl-project/sglang/issues/3743",
    ),
    Row(
        "llama.cpp",
        "chat: what was cached is among the timings",
        chat(
            {"prompt_tokens": 1350, "completion_tokens": 61, "total_tokens": 1411},
            timings={"cache_n": 1100, "prompt_n": 250, "predicted_n": 61, "prompt_ms": 277.8},
        ),
        Usage(input_tokens=250, cache_read_tokens=1100, output_tokens=61),
        "https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    Row(
        "llama.cpp",
        "stream, not asked for usage: timings alone",
        [chunk(finish="stop", timings={"cache_n": 23058, "prompt_n": 4, "predicted_n": 482})],
        Usage(input_tokens=4, cache_read_tokens=23058, output_tokens=482),
        "https://github.com/ggml-org/llama.cpp/pull/16052",
    ),
    Row(
        "ollama",
        "the layer that speaks OpenAI",
        chat({"prompt_tokens": 26, "completion_tokens": 298, "total_tokens": 324}),
        Usage(input_tokens=26, output_tokens=298),
        "https://github.com/ollama/ollama/blob/main/docs/openai.md",
    ),
    Row(
        "mimo",
        "stream: null, then a tail",
        [
            {**chunk(), "usage": None},
            {**chunk(finish="stop"), "usage": None},
            chunk({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}),
        ],
        Usage(input_tokens=7, output_tokens=5),
        "https://github.com/router-for-me/CLIProxyAPI/pull/3077",
    ),
    Row(
        "any",
        "stream: usage, then an empty tail",
        [
            chunk({"prompt_tokens": 7, "completion_tokens": 5}, "stop"),
            {"choices": [], "usage": {}},
        ],
        Usage(input_tokens=7, output_tokens=5),
        "https://github.com/BerriAI/litellm/issues/17136",
    ),
    Row(
        "any",
        "stream: usage, then zeros: counts do not shrink",
        [
            chunk({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}, "stop"),
            {
                "choices": [],
                "usage": {
                    "prompt_tokens": 0,
                    "completion_tokens": 0,
                    "total_tokens": 0,
                    "prompt_tokens_details": {"cached_tokens": 0},
                },
            },
        ],
        Usage(input_tokens=7, output_tokens=5),
        "https://github.com/BerriAI/litellm/issues/36168",
    ),
    Row(
        "any",
        "zeros, said with the end of the answer: it costs nothing",
        chat({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        Usage(),
        "https://github.com/BerriAI/litellm/issues/37992",
    ),
]

TABLE = [*OPENAI, *ANTHROPIC, *GOOGLE, *OTHERS]
