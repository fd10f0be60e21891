"""The fields of a body that say whose call it is, as found and not yet judged.

`gateway.customers` validates them; here they are only picked up.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, Final

from gateway.errors import InvalidCall
from gateway.openai.body import Member, members
from gateway.openai.fields import refuse_duplicates


class Absent(Enum):
    """Tells a field that is not there from one that is null."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFields:
    """Each the parsed JSON value (None for null) or `ABSENT`; integers are exact at any size."""

    customer_params: Any = ABSENT
    customer_identifier: Any = ABSENT
    user: Any = ABSENT
    safety_identifier: Any = ABSENT
    group_identifier: Any = ABSENT
    thread_identifier: Any = ABSENT
    custom_identifier: Any = ABSENT
    disable_log: Any = ABSENT
    request_breakdown: Any = ABSENT


CARRIERS: Final = frozenset(f.name for f in fields(CustomerFields))
KEPT_CARRIERS: Final = frozenset({"user", "safety_identifier"})
"""OpenAI's own: they stay in the forwarded body."""

NO_CUSTOMER_FIELDS: Final = CustomerFields()


def over(said: CustomerFields, less: CustomerFields) -> CustomerFields:
    """What both say; of what both do, what `said` has."""
    if less is NO_CUSTOMER_FIELDS:
        return said
    spoken = {f: value for f in CARRIERS if (value := getattr(said, f)) is not ABSENT}
    return replace(less, **spoken)


# orjson turns integers from 2^64 on into floats, and we halves of characters into U+FFFD: both
# would merge two customers into one.
_INEXACT: Final = re.compile(rb"[0-9]{19}|\\u[dD][89a-fA-F]")


def customer_fields(
    document: Mapping[str, Any], body: bytes, found: tuple[Member, ...]
) -> CustomerFields:
    """Pick the carriers out of `document`, the parsed `body` with its members `found`.

    Raises:
        InvalidCall: a number in a carrier is too long to be read exactly, or one of the
            customer's fields stands twice.
    """
    values = {}
    for member in found:
        if member.key in CARRIERS:
            raw = body[member.value_start : member.value_end]
            exact = _exact(member.key, raw) if _INEXACT.search(raw) else document[member.key]
            values[member.key] = exact
            if member.key == "customer_params" and isinstance(exact, dict):
                inner = [inside.key for inside in members(raw)]
                refuse_duplicates(inner, inner, "customer_params.")
    return CustomerFields(**values) if values else NO_CUSTOMER_FIELDS


def _exact(key: str, raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise InvalidCall(
            f"`{key}` holds a number too long to be read, or is nested too deeply.", param=key
        ) from exc
