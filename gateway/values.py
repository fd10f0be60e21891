"""Values: frozen for whoever checks types, plain when they are made.

``@value(...)`` is ``@dataclass(...)``. The ``__init__`` of a frozen dataclass goes round its
own lock for each field, which takes four times as long as setting it; a call makes an event,
a hold and an ending of sixty fields together. So it is mypy that forbids to set a field.
Use it for what every call makes, `dataclass` for all else.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(*, frozen: bool, **options: Any) -> Any:
        """Compares and hashes by its fields, as a frozen one does."""
        return dataclass(**options, unsafe_hash=frozen)


__all__ = ["value"]
