"""Voyage: what is read, for embeddings and rerankings alike."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Refusal

PRICING = "https://docs.voyageai.com/docs/pricing"

BILLS = [
    Bill(
        "voyage/voyage-4-large",
        "what it reads",
        Usage(input_tokens=8_191),
        "8191 at 0.12",
        "0.00098292",
        PRICING,
    ),
    Bill(
        "voyage/rerank-3",
        "rerankings are by the token here",
        Usage(input_tokens=12_345),
        "12345 at 0.05",
        "0.00061725",
        PRICING,
    ),
]

REFUSALS = [
    Refusal("voyage/rerank-3", "rerank", Usage(fees=(("rerank", 1),)), PRICING),
    Refusal("voyage/voyage-4-large", "output", Usage(output_tokens=1), PRICING),
]
