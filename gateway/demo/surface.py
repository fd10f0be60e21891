"""Surface: one way to ask for a text, and to be answered. What is said is the same by each."""

from collections.abc import Iterator
from typing import Any, Protocol

from gateway.demo.models import DemoModel
from gateway.demo.playback import Step
from gateway.demo.script import Answer


class Surface(Protocol):
    """A route of the demo upstream."""

    def read(self, body: dict[str, Any]) -> tuple[DemoModel, list[dict[str, Any]]]:
        """Refuse what the provider would; return the model, and the same asked as chats."""
        ...

    def id(self, unique: str) -> str:
        """An id of an answer."""
        ...

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The answer in one piece."""
        ...

    def steps(self, answer: Answer, body: dict[str, Any]) -> Iterator[Step]:
        """The answer as a stream."""
        ...

    def refusal(self, body: dict[str, Any]) -> dict[str, Any]:
        """An error of OpenAI's in this route's form."""
        ...
