"""Cohere: what is billed, by the token, the search and the page."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Refusal

PRICING = "https://cohere.com/pricing"
PARSE = "https://cohere.com/blog/parse"

BILLS = [
    Bill(
        "cohere/command-a-03-2025",
        "both ways",
        Usage(input_tokens=5, output_tokens=418),
        "5 at 2.5, 418 at 10",
        "0.0041925",
        PRICING,
    ),
    Bill(
        "cohere/command-a-03-2025",
        "what it reads again costs what it read first",
        Usage(input_tokens=5, cache_read_tokens=5, cache_write_5m_tokens=5),
        "15 at 2.5",
        "0.0000375",
        PRICING,
    ),
    Bill(
        "cohere/embed-v4.0",
        "text and pictures",
        Usage(input_tokens=1_000, image_in_tokens=3_000),
        "1000 at 0.12, 3000 at 0.47",
        "0.00153",
        PRICING,
    ),
    Bill(
        "cohere/rerank-v3.5",
        "by the search of a hundred documents",
        Usage(fees=(("rerank", 11),)),
        "11 at 2/1000",
        "0.022",
        PRICING,
    ),
    Bill(
        "cohere/parse-v5.0",
        "by the page",
        Usage(fees=(("page", 3),)),
        "3 at 1.5/1000",
        "0.0045",
        PARSE,
    ),
]

REFUSALS = [
    Refusal("cohere/embed-v4.0", "output", Usage(output_tokens=1), PRICING),
    Refusal("cohere/embed-v4.0", "audio_in", Usage(audio_in_tokens=1), PRICING),
    Refusal("cohere/command-a-03-2025", "web_search", Usage(fees=(("web_search", 1),)), PRICING),
]
