"""Routes that are not ours: which of them generate, and what a body of theirs says to us."""

import re
from typing import Final, NamedTuple

import orjson

from gateway.errors import InvalidCall
from gateway.openai.body import Edit, cut, members
from gateway.openai.call import REFUSED
from gateway.openai.carriers import (
    CARRIERS,
    KEPT_CARRIERS,
    NO_CUSTOMER_FIELDS,
    CustomerFields,
    customer_fields,
)
from gateway.openai.halves import loads

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


class Ours(NamedTuple):
    """What a body says to us, and what takes it out."""

    fields: CustomerFields = NO_CUSTOMER_FIELDS
    cuts: tuple[Edit, ...] = ()


def may_generate(method: str, below: str) -> bool:
    """Whether a request may make a model work.

    Args:
        below: The path below ``/v1/``, percent-decoded.
    """
    return method not in _READING and not _MAKES_NOTHING.fullmatch(below.rstrip("/"))


def ours_in(body: bytes) -> Ours:
    """Find our fields in JSON; what is no JSON object has none.

    Raises:
        InvalidCall: a field of ours stands twice, or is another gateway's.
    """
    try:
        document = loads(body)
    except orjson.JSONDecodeError:
        return Ours()
    if not isinstance(document, dict):
        return Ours()
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
    cuts = cut(found, CARRIERS - KEPT_CARRIERS)
    return Ours(customer_fields(document, body, found), tuple(cuts))
