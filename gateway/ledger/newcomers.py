"""Newcomers: how many customers whom nobody knows an app may bring in a day.

Each unknown identifier gets a budget of its own, so an app whose users can make identifiers
up could spend without end. A place is taken in the store, before the customer is created,
by whichever gateway meets it: no more are created than there are places. Who has taken one
keeps it, also when its first call is then refused.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from gateway.clock import Clock
from gateway.errors import PermissionRefused
from gateway.store.client import Store
from gateway.store.keys import DAY_MS, NEWCOMERS_SECONDS, newcomers

ADMITTED: Final = 1


class Newcomers:
    """Gives out places.

    Args:
        places: Of an app in a UTC day; one that is not named has no end of them.
    """

    def __init__(self, store: Store, clock: Clock, places: Mapping[str, int]) -> None:
        self._store = store
        self._clock = clock
        self._places = places

    def concern(self, app: str) -> bool:
        return app in self._places

    async def admit(self, app: str, customer: str) -> None:
        """Take a place for a customer that does not exist.

        Raises:
            PermissionRefused: none is left today.
            LedgerUnavailable: nobody knows.
        """
        places = self._places.get(app)
        if places is None:
            return
        outcome = await self._store.script(
            "arrive",
            [newcomers(app, self._clock.now_ms() // DAY_MS)],
            [sha256(customer.encode()).hexdigest(), places, NEWCOMERS_SECONDS],
        )
        if outcome != ADMITTED:
            raise PermissionRefused(
                f"Customer {customer!r} is not registered, and this app has brought its "
                f"{places:,} new customers of today (new_customers_per_day). Create it through "
                "POST /api/users/, or come back tomorrow (UTC).",
                code="customer_not_registered",
            )
