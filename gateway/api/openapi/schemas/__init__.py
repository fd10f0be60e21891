"""What requests and answers look like, as JSON Schema (2020-12).

What may be sent is made of the parsers' own tables: a field that is added there is described
here, or building the document fails.
"""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas.customers import CUSTOMERS
from gateway.api.openapi.schemas.events import EVENTS
from gateway.api.openapi.schemas.keys import KEYS
from gateway.api.openapi.schemas.operating import OPERATING
from gateway.api.openapi.schemas.refusals import REFUSALS
from gateway.api.openapi.schemas.shapes import Schema
from gateway.api.openapi.schemas.usage import USAGE

SCHEMAS: Final[Mapping[str, Schema]] = {
    **CUSTOMERS,
    **USAGE,
    **EVENTS,
    **KEYS,
    **OPERATING,
    **REFUSALS,
}
