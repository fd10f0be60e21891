"""How much the long tests do: in CI as much as proves it, with ``FAREBOX_TESTS=full`` all.

What CI runs has to end in time on two cores; docs/reliability.md says which of the two its
figures are from.
"""

import os
from typing import Final

FULL: Final = os.environ.get("FAREBOX_TESTS") == "full"


def sized(usual: int, *, full: int) -> int:
    return full if FULL else usual
