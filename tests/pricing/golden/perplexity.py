"""Perplexity: each request by the size of its search, and other labs' models at their rates."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Refusal

PRICING = "https://docs.perplexity.ai/getting-started/pricing"
AGENTS = "https://docs.perplexity.ai/docs/agent-api/models"

BILLS = [
    Bill(
        "perplexity/sonar-pro",
        "a request that read little",
        Usage(input_tokens=8, output_tokens=439, fees=(("request:low", 1),)),
        "8 at 3, 439 at 15, 1 at 6/1000",
        "0.012609",
        PRICING,
    ),
    Bill(
        "perplexity/sonar-pro",
        "… more",
        Usage(input_tokens=8, output_tokens=439, fees=(("request:medium", 1),)),
        "8 at 3, 439 at 15, 1 at 10/1000",
        "0.016609",
        PRICING,
    ),
    Bill(
        "perplexity/sonar-pro",
        "… most",
        Usage(input_tokens=8, output_tokens=439, fees=(("request:high", 1),)),
        "8 at 3, 439 at 15, 1 at 14/1000",
        "0.020609",
        PRICING,
    ),
    Bill(
        "perplexity/sonar-pro",
        "one that says no size is one of the dearest",
        Usage(input_tokens=8, output_tokens=439),
        "8 at 3, 439 at 15, 1 at 14/1000",
        "0.020609",
        PRICING,
    ),
    Bill(
        "perplexity/sonar",
        "and the smaller model",
        Usage(input_tokens=8, output_tokens=439, fees=(("request:low", 1),)),
        "447 at 1, 1 at 5/1000",
        "0.005447",
        PRICING,
    ),
    Bill(
        "perplexity/sonar",
        "… more",
        Usage(input_tokens=8, output_tokens=439, fees=(("request:medium", 1),)),
        "447 at 1, 1 at 8/1000",
        "0.008447",
        PRICING,
    ),
    Bill(
        "perplexity/sonar-deep-research",
        "thinking, citations and searches, each apart",
        Usage(
            input_tokens=7,
            output_tokens=3_847,
            reasoning_tokens=73_997,
            fees=(
                ("citation", 20_016),
                ("web_search", 18),
            ),
        ),
        "7 at 2, 3847 at 8, 73997 at 3, 20016 at 2, 18 at 5/1000",
        "0.382813",
        PRICING,
    ),
    Bill(
        "perplexity/perplexity/sonar",
        "in the agents' interface: by the search",
        Usage(
            input_tokens=1_000, cache_read_tokens=100, output_tokens=10, fees=(("web_search", 2),)
        ),
        "1000 at 0.25, 100 at 0.0625, 10 at 2.5, 2 at 2.5/1000",
        "0.00528125",
        AGENTS,
    ),
    Bill(
        "perplexity/openai/gpt-6-astra",
        "272,000 of three kinds",
        Usage(
            input_tokens=270_000,
            cache_read_tokens=1_000,
            cache_write_5m_tokens=1_000,
            output_tokens=10,
        ),
        "270000 at 10, 1000 at 1, 1000 at 12.5, 10 at 50",
        "2.714",
        AGENTS,
    ),
    Bill(
        "perplexity/openai/gpt-6-astra",
        "272,001",
        Usage(
            input_tokens=270_000,
            cache_read_tokens=1_000,
            cache_write_5m_tokens=1_001,
            output_tokens=10,
        ),
        "270000 at 20, 1000 at 2, 1001 at 25, 10 at 75",
        "5.427775",
        AGENTS,
    ),
    Bill(
        "perplexity/google/gemini-3.1-pro-preview",
        "200,000",
        Usage(input_tokens=199_000, cache_read_tokens=1_000, output_tokens=10),
        "199000 at 2, 1000 at 0.2, 10 at 12",
        "0.39832",
        AGENTS,
    ),
    Bill(
        "perplexity/google/gemini-3.1-pro-preview",
        "200,001",
        Usage(input_tokens=199_000, cache_read_tokens=1_001, output_tokens=10),
        "199000 at 4, 1001 at 0.4, 10 at 18",
        "0.7965804",
        AGENTS,
    ),
    Bill(
        "perplexity/anthropic/claude-haiku-5-5",
        "100,000",
        Usage(input_tokens=99_000, cache_read_tokens=1_000, output_tokens=10),
        "99000 at 0.1, 1000 at 0.01, 10 at 0.5",
        "0.009915",
        AGENTS,
    ),
    Bill(
        "perplexity/anthropic/claude-haiku-5-5",
        "100,001",
        Usage(input_tokens=99_000, cache_read_tokens=1_001, output_tokens=10),
        "99000 at 0.5, 1001 at 0.05, 10 at 2.5",
        "0.04957505",
        AGENTS,
    ),
    Bill(
        "perplexity/xai/grok-4.3",
        "200,000: Perplexity counts what exceeds them",
        Usage(input_tokens=200_000, output_tokens=10),
        "200000 at 1.25, 10 at 2.5",
        "0.250025",
        AGENTS,
    ),
    Bill(
        "perplexity/xai/grok-4.3",
        "200,001",
        Usage(input_tokens=200_001, output_tokens=10),
        "200001 at 2.5, 10 at 5",
        "0.5000525",
        AGENTS,
    ),
]

REFUSALS = [
    Refusal(
        "perplexity/sonar-pro", "service_tier:flex", Usage(input_tokens=1), PRICING, tier="flex"
    ),
    Refusal("perplexity/sonar-pro", "image_out", Usage(image_out_tokens=1), PRICING),
]
