"""Where a call was served, and which of a price's factors that is.

A price names places of different widths: `regional` (anywhere but everywhere), zones (`us`,
`eu`), single regions of a cloud (`ap-south-1`). A region that a price does not name is
`regional` where it knows that, and costs what the base rates say where only single regions
are dearer. A price that says nothing of places is the same everywhere; any other has no
price where it does not know the place: one would be a guess.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

GLOBAL: Final = "global"
"""The scope of a call that was served nowhere in particular: what base rates are for."""

REGIONAL: Final = "regional"

WIDE: Final = frozenset({REGIONAL, "us", "eu", "apac"})
"""Scopes that a price which names one of them tells apart from everywhere."""

GOVERNMENT: Final = "us-gov"
"""Regions of their own, with prices of their own."""

Factor = tuple[int, int]
EVERYWHERE: Final[Factor] = (1, 1)

_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")


def is_region(scope: str) -> bool:
    """Whether it is spelled like a region of AWS: ``eu-central-1``."""
    return _REGION.fullmatch(scope) is not None


def factors_of(held: Collection[str] | None, named: Mapping[str, Factor]) -> dict[str, Factor]:
    """The factor of each place that a price knows; empty: it is the same everywhere.

    Args:
        held: The places that its base rates are for, `GLOBAL` always; None: it does not say.
        named: The places that cost otherwise, with their factors.
    """
    if held is None:
        if not named:
            return {}
        held = () if WIDE & named.keys() else (REGIONAL,)
    return {GLOBAL: EVERYWHERE, **dict.fromkeys(held, EVERYWHERE), **named}


def factor_in(factors: Mapping[str, Factor], scope: str) -> Factor | None:
    """What a bill is multiplied with where a call was served in `scope`, in any case.

    Args:
        factors: Of a price, by scope, as `factors_of` makes them.

    Returns:
        Numerator and denominator; None: the price does not say what it costs there.
    """
    scope = scope.lower()
    factor = factors.get(scope)
    if factor is not None or scope == GLOBAL or not factors:
        return factor or EVERYWHERE
    if scope.startswith(GOVERNMENT):
        return factors.get(GOVERNMENT)
    if scope == REGIONAL or is_region(scope):
        return factors.get(REGIONAL)
    return None


def knows(scopes: Collection[str], scope: str) -> bool:
    """Whether a provider whose prices have these scopes can serve in `scope`."""
    if scope in scopes or scope == GLOBAL:
        return True
    return is_region(scope) and any(map(is_region, scopes))
