"""Routes that are not ours: which of them generate, and what a body of theirs says to us."""

import re
from typing import Final, NamedTuple

import orjson

from gateway.errors import InvalidCall
from gateway.openai.body import apply, cut, members
from gateway.openai.call import REFUSED
from gateway.openai.carriers import (
    CARRIERS,
    KEPT_CARRIERS,
    NO_CUSTOMER_FIELDS,
    CustomerFields,
    customer_fields,
)

_READING: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
METHODS: Final = frozenset({"POST", "PUT", "PATCH", *_READING})

_MAKES_NOTHING: Final = re.compile(
    r"(files|uploads|vector_stores|assistants|conversations)(/.*)?"
    r"|threads(/(?!runs$)[^/]+(/messages(/[^/]+)?)?)?"
    r"|batches/[^/]+/cancel"
    r"|fine_tuning/jobs/[^/]+/(cancel|pause|resume)"
    r"|threads/[^/]+/runs/[^/]+/cancel"
)
"""What OpenAI documents to keep things or to stop them. Whatever else is sent may generate."""

_WISHES: Final = REFUSED - {"prompt", "models"}
"""Of another gateway's fields those that no provider has."""


class Cut(NamedTuple):
    """A body without our fields, and these."""

    fields: CustomerFields
    rest: bytes


def may_generate(method: str, below: str) -> bool:
    """Whether a request may make a model work.

    Args:
        below: The path below ``/v1/``, percent-decoded.
    """
    return method not in _READING and not _MAKES_NOTHING.fullmatch(below.rstrip("/"))


def from_body(body: bytes) -> Cut:
    """Take our fields out of JSON; what is no JSON object stays as it is.

    Raises:
        InvalidCall: a field of ours stands twice, or is another gateway's.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Cut(NO_CUSTOMER_FIELDS, body)
    if not isinstance(document, dict):
        return Cut(NO_CUSTOMER_FIELDS, body)
    for name in sorted(_WISHES & document.keys()):
        raise InvalidCall(
            f"`{name}` is not supported by this gateway: leave it out.",
            code="unsupported_field",
            param=name,
        )
    found = members(body)
    for name in sorted(CARRIERS & document.keys()):
        if sum(member.key == name for member in found) > 1:
            raise InvalidCall(
                f"`{name}` stands twice in the body: send it once.",
                code="duplicate_field",
                param=name,
            )
    edits = cut(found, CARRIERS - KEPT_CARRIERS)
    return Cut(customer_fields(document, body, found), apply(body, edits) if edits else body)
