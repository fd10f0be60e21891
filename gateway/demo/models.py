"""The models of the demo upstream: what each is for and how it behaves."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoModel:
    """One model.

    Attributes:
        slowness: Multiplies the pace: a large model takes its time.
        embeds: Answers ``/v1/embeddings`` instead of ``/v1/chat/completions``.
        reasons: Spends hidden tokens first, counted inside ``completion_tokens``.
    """

    name: str
    slowness: float = 1.0
    embeds: bool = False
    reasons: bool = False


_ALL: Final = (
    DemoModel(name="demo-small"),
    DemoModel(name="demo-large", slowness=2.0),
    DemoModel(name="demo-reasoning", slowness=1.5, reasons=True),
    DemoModel(name="demo-embedding", embeds=True),
    # Has no price card, so that a demo shows what becomes of an unpriced call.
    DemoModel(name="demo-unpriced"),
)

MODELS: Final = {model.name: model for model in _ALL}
"""Name -> model, in the order in which ``GET /v1/models`` lists them."""
