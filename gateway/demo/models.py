"""The models of the demo upstream: what each is for and how it behaves."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
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

PLAYED: Final = ("gpt-[3-9]*", "chatgpt-*", "o[1-9]*", "text-embedding-*")
"""OpenAI's names, as globs: the demo answers to them too, so that an application may keep its
own. They are not listed, being many."""


def model_named(name: str) -> DemoModel | None:
    """The model of that name; one of OpenAI's is played by one of ours."""
    if name in MODELS:
        return MODELS[name]
    if not any(fnmatchcase(name, glob) for glob in PLAYED):
        return None
    return DemoModel(
        name=name,
        embeds=name.startswith("text-embedding-"),
        reasons=fnmatchcase(name, "o[1-9]*") or fnmatchcase(name, "gpt-[5-9]*"),
    )
