"""A body that only passes: read no further than for its model, and less our fields."""

from dataclasses import dataclass, field
from dataclasses import replace as replace_fields

import orjson

from gateway.openai.body import Member, cut, members, replace
from gateway.openai.call import COMMON, document_of, model_of
from gateway.openai.carriers import CARRIERS, KEPT_CARRIERS
from gateway.openai.content import Content, edited
from gateway.openai.fields import refuse_duplicates


@dataclass(frozen=True, slots=True)
class Passed:
    """A body that only passes: nothing is counted of it."""

    model: str
    body: bytes = field(repr=False)
    members: tuple[Member, ...] = field(repr=False)

    def forwarded(self, model: str) -> bytes | Content:
        """The caller's bytes without our fields, for the upstream's name of the model."""
        edits = cut(self.members, CARRIERS - KEPT_CARRIERS)
        if model != self.model:
            edits += [replace(m, orjson.dumps(model)) for m in self.members if m.key == "model"]
        return edited(self.body, edits)


def passed(body: bytes) -> Passed:
    """Read no more than what tells the upstream.

    Raises:
        InvalidCall: it is no JSON object, or names no model, or two.
    """
    document = document_of(body)
    found = members(body)
    refuse_duplicates((m.key for m in found), COMMON)
    return Passed(model_of(document, None), body, found)


def passed_shallow(body: bytes) -> Passed:
    """As `passed`, and the body is left out."""
    return replace_fields(passed(body), body=b"")
