"""The caps on a call's output: which of its fields is obeyed, and how one is lowered.

Most routes have one, and obey it: ``max_output_tokens`` of the responses, ``max_tokens`` of
Anthropic's messages and of the old completions. A chat has two:

``max_tokens`` came first, ``max_completion_tokens`` replaces it at OpenAI; a price card says
which of them its model is made for (`output_cap_field`). What the caller set is a bound only
where the provider cannot have ignored it:

* ``max_tokens`` always is. Who speaks OpenAI's language obeys it, or refuses it, as OpenAI's
  reasoning models do (``unsupported_parameter``).
* ``max_completion_tokens`` is where the card names it, or the provider documents that it
  obeys either. Others ignore it: llama.cpp until February 2026, Ollama.
* Of two, the larger: OpenAI refuses the pair (``invalid_parameter_combination``), vLLM and
  SGLang obey the newer one.
* 0 and null are no cap: the parser of a chat leaves them out.

Both count for one choice of the answer, hidden reasoning included. A cap above the model's own
maximum is held for in full all the same: a provider refuses or clamps it, so a smaller hold
would help no call that works; but where the card is out of date, it would be too small.

Sources: https://platform.openai.com/docs/api-reference/chat/create ·
https://platform.claude.com/docs/en/api/openai-sdk (max_tokens, max_completion_tokens: fully
supported) · https://github.com/ggml-org/llama.cpp/issues/13700
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.openai.body import Edit, Member, insert_after, replace

OUTPUT_CAP_TOKENS_MIN: Final = 16
"""No cap is written below it: OpenAI refuses less for some of its models."""

_OBEY_EITHER: Final = frozenset({"anthropic"})
"""Providers that document both fields, whatever the card names."""


class OutputCaps(NamedTuple):
    """The caller's own caps per choice, in tokens; None where it set none, or has no such field."""

    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    max_output_tokens: int | None = None

    def obeyed(self, *, field: str | None, provider: str) -> int | None:
        """The most that one choice can have, by what the caller set; None: nothing says.

        Args:
            field: The only one of the route, or the one that the model's card names, if it does.
        """
        if field == "max_output_tokens":
            return self.max_output_tokens
        newer_counts = field == "max_completion_tokens" or provider in _OBEY_EITHER
        if self.max_tokens is None and not newer_counts:
            return None
        return max((cap for cap in self if cap is not None), default=None)

    def lowered(
        self, found: Sequence[Member], tokens: int, *, field: str, provider: str
    ) -> tuple[Edit, ...]:
        """The smallest edits after which no choice has more than `tokens`.

        Larger caps of the caller are lowered where they stand. `field` is set only if none of
        the caller's is sure to be obeyed: OpenAI refuses the pair.

        Args:
            found: The members of the body, ``model`` among them.
        """
        at = {member.key: member for member in found}
        value = b"%d" % tokens
        edits = [
            replace(at[name], value)
            for name, cap in zip(self._fields, self, strict=True)
            if cap is not None and cap > tokens
        ]
        if self.obeyed(field=field, provider=provider) is None:
            if field in at:  # as null or 0
                edits.append(replace(at[field], value))
            else:
                edits.append(insert_after(at["model"], b'"%b":%b' % (field.encode(), value)))
        return tuple(edits)


OUTPUT_CAP_FIELDS: Final = OutputCaps._fields
CHAT_CAP_FIELDS: Final = ("max_completion_tokens", "max_tokens")
