"""The metered routes, and what tells each from the others.

All live the same life: what differs is a row of `TRAITS`, so that nothing else asks which
route a call came by.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.openai.errors import Surface
from gateway.openai.input_bound import InputBound, chat_bound, embeddings_bound, prompts_bound
from gateway.openai.media_input import audio_bound, pictures_bound
from gateway.openai.messages_input import messages_bound
from gateway.openai.output_cap import CHAT_CAP_FIELDS
from gateway.openai.outputs import (
    Output,
    image_output,
    no_output,
    prompts_output,
    rerank_output,
    speech_output,
    text_output,
    transcript_output,
)
from gateway.openai.rerank_input import rerank_bound
from gateway.openai.responses_input import responses_bound

Document = Mapping[str, Any]


class Endpoint(StrEnum):
    """The path below ``/v1/``."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    EMBEDDINGS = "embeddings"
    MODERATIONS = "moderations"
    RERANK = "rerank"
    IMAGES = "images/generations"
    IMAGE_EDITS = "images/edits"
    IMAGE_VARIATIONS = "images/variations"
    SPEECH = "audio/speech"
    TRANSCRIPTIONS = "audio/transcriptions"
    TRANSLATIONS = "audio/translations"

    @property
    def traits(self) -> "Traits":
        return TRAITS[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is particular to a route.

    Attributes:
        input_bound: How much a body can make the model read.
        input_field: What is to blame where that has no bound.
        each_input: The model's context bounds each input, not all of them together.
        output: What can come of a body, where the caps do not say.
        caps: The fields that limit the output.
        cap_field: Which of them counts; None: the model's card says.
        cap_required: A body without that field is refused.
        reads: Further fields that are read: none of them may stand twice.
        own: Fields of its own that are another gateway's wishes elsewhere.
        streams: ``stream`` is read.
        asks_usage: A stream may be asked for its usage with ``stream_options``.
        hosted: The provider may run tools of its own.
        backgrounds: ``background`` lets an answer be made after the answer.
        last_events: Types of events that end a stream, where ``[DONE]`` does not.
        draws: Its output is images, unless the usage says otherwise.
        hears: Its input is audio.
        form: The body is a form (multipart), with a file.
        default_model: The one that is meant when none is named; None: it must be.
        names_user: ``metadata.user_id`` says what ``user`` says elsewhere.
        surface: Whose errors its callers expect.
    """

    input_bound: Callable[[Document, int], InputBound]
    input_field: str
    each_input: bool = False
    output: Callable[[Document], Output] = text_output
    caps: tuple[str, ...] = ()
    cap_field: str | None = None
    cap_required: bool = False
    reads: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    streams: bool = False
    asks_usage: bool = False
    hosted: bool = False
    backgrounds: bool = False
    last_events: frozenset[str] = frozenset()
    draws: bool = False
    hears: bool = False
    form: bool = False
    default_model: str | None = None
    names_user: bool = False
    surface: Surface = Surface.OPENAI

    @property
    def ends_done(self) -> bool:
        """Whether its streams end with ``[DONE]``, before which a frame of ours has a place."""
        return self.asks_usage


def _images(*, form: bool = False) -> Traits:
    return Traits(
        input_bound=pictures_bound,
        input_field="prompt",
        each_input=True,
        output=image_output,
        reads=frozenset({"prompt", "n", "size", "quality", "partial_images"}),
        own=frozenset({"prompt"}),
        streams=True,
        last_events=frozenset({"image_generation.completed", "image_edit.completed"}),
        draws=True,
        form=form,
    )


def _transcripts() -> Traits:
    return Traits(
        input_bound=audio_bound,
        input_field="file",
        output=transcript_output,
        reads=frozenset({"prompt"}),
        own=frozenset({"prompt"}),
        streams=True,
        last_events=frozenset({"transcript.text.done"}),
        hears=True,
        form=True,
    )


_CHOSEN: Final = frozenset({"n", "best_of", "service_tier"})

TRAITS: Final[Mapping[Endpoint, Traits]] = {
    Endpoint.CHAT: Traits(
        input_bound=chat_bound,
        input_field="messages",
        caps=CHAT_CAP_FIELDS,
        reads=_CHOSEN | {"messages", "functions", "response_format", "prediction", "thinking"},
        streams=True,
        asks_usage=True,
        hosted=True,
    ),
    Endpoint.COMPLETIONS: Traits(
        input_bound=prompts_bound,
        input_field="prompt",
        each_input=True,
        output=prompts_output,
        caps=("max_tokens",),
        cap_field="max_tokens",
        reads=_CHOSEN | {"prompt"},
        own=frozenset({"prompt"}),
        streams=True,
        asks_usage=True,
    ),
    Endpoint.RESPONSES: Traits(
        input_bound=responses_bound,
        input_field="input",
        caps=("max_output_tokens",),
        cap_field="max_output_tokens",
        reads=frozenset({"input", "instructions", "text", "service_tier", "background"})
        | {"prompt", "previous_response_id", "conversation"},
        own=frozenset({"prompt"}),
        streams=True,
        hosted=True,
        backgrounds=True,
        last_events=frozenset(
            {
                "response.completed",
                "response.incomplete",
                "response.failed",
                "response.cancelled",
            }
        ),
    ),
    Endpoint.MESSAGES: Traits(
        input_bound=messages_bound,
        input_field="messages",
        caps=("max_tokens",),
        cap_field="max_tokens",
        cap_required=True,
        reads=frozenset({"messages", "system", "thinking", "metadata", "service_tier"}),
        streams=True,
        hosted=True,
        last_events=frozenset({"message_stop"}),
        names_user=True,
        surface=Surface.ANTHROPIC,
    ),
    Endpoint.EMBEDDINGS: Traits(
        input_bound=embeddings_bound,
        input_field="input",
        each_input=True,
        output=no_output,
        reads=frozenset({"input"}),
    ),
    Endpoint.MODERATIONS: Traits(
        input_bound=embeddings_bound,
        input_field="input",
        each_input=True,
        output=no_output,
        reads=frozenset({"input"}),
        default_model="omni-moderation-latest",
    ),
    Endpoint.RERANK: Traits(
        input_bound=rerank_bound,
        input_field="documents",
        each_input=True,
        output=rerank_output,
        reads=frozenset({"query", "documents"}),
    ),
    Endpoint.IMAGES: _images(),
    Endpoint.IMAGE_EDITS: _images(form=True),
    Endpoint.IMAGE_VARIATIONS: _images(form=True),
    Endpoint.SPEECH: Traits(
        input_bound=embeddings_bound,
        input_field="input",
        each_input=True,
        output=speech_output,
        reads=frozenset({"input", "instructions"}),
        last_events=frozenset({"speech.audio.done"}),
    ),
    Endpoint.TRANSCRIPTIONS: _transcripts(),
    Endpoint.TRANSLATIONS: _transcripts(),
}
