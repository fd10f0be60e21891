"""What can be done with users, whoever asks: the routes, the dashboard, the command line.

No HTTP here. A `Standing` is all that is known of one customer, a `Found` a page of the
list; `user_rows` shows both as JSON.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from hashlib import sha256
from typing import Final

import orjson

from gateway.api.user_fields import IDENTIFIER, Credit, check_merged_metadata
from gateway.api.user_rows import Standing
from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.fields import Canonical
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.errors import Conflict, InvalidCall, LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.ledger import Ledger, Receipt, Recorded
from gateway.ledger.requests import new_request_id
from gateway.metering.counters import Counters
from gateway.metering.roster.indexer import Indexer
from gateway.metering.roster.roster import Found, Roster, Wanted
from gateway.store.archive import Archive, LogFilter, unless_away
from gateway.store.archive.outbox import CUSTOMER, subject_of

FINGERPRINT_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UserService:
    """`zone` is the reporting zone.

    Raises, from every method:
        LedgerUnavailable: the store is away.
    """

    directory: Directory
    ledger: Ledger
    counters: Counters
    archive: Archive
    roster: Roster
    indexer: Indexer
    clock: Clock
    zone: tzinfo

    async def page(self, wanted: Wanted) -> Found:
        """A page of the list. It follows what is written by a moment."""
        return await self.roster.page(wanted)

    async def show(self, identifier: str) -> Standing:
        """Raises NotFound: there is no such customer."""
        return await self._standing(await self.directory.known(identifier))

    async def create(self, identifier: str, change: Mapping[str, Canonical]) -> Standing:
        """Create a customer without a call; it is in the list at once.

        Raises:
            Conflict: it exists.
            InvalidCall: the fields contradict each other.
        """
        given = {name: value for name, value in change.items() if value is not None}
        return await self._written(await self.directory.create(identifier, given))

    async def change(self, identifier: str, change: Mapping[str, Canonical]) -> Standing:
        """Set fields, and pin them; None removes a field and its pin.

        Raises:
            NotFound: there is no such customer.
            InvalidCall: the fields contradict each other.
        """
        check_merged_metadata(await self.directory.known(identifier), change)
        return await self._written(await self.directory.change(identifier, change))

    async def delete(self, identifier: str) -> None:
        """Forget who a customer is. Its events stay, under a number that nothing names.

        Raises:
            NotFound: there is no such customer.
        """
        if identifier == ANONYMOUS:
            raise InvalidCall("The anonymous customer cannot be deleted.", param=IDENTIFIER)
        profile = await self.directory.delete(identifier)
        await self._list(profile)
        # While the archive is away `Erasure` does it, as soon as it can.
        await unless_away(self.archive.outbox.erase([subject_of(CUSTOMER, identifier)]))

    async def credit(self, identifier: str, credit: Credit) -> tuple[Receipt, Standing]:
        """Give credit, once a key; with the customer as it stands then.

        Raises:
            NotFound: there is no such customer.
            Conflict: the key was used for another credit.
        """
        now_ms = self.clock.now_ms()
        request_id = new_request_id(now_ms)
        event = UsageEvent(
            request_id=request_id,
            kind=Kind.CREDIT,
            at_ms=now_ms,
            endpoint="credits",
            credit_pico=credit.amount_pico,
            metadata={"reason": credit.reason} if credit.reason else None,
        )
        asked = orjson.dumps([credit.amount_pico, credit.reason])
        receipt = await self.ledger.credits.record(
            identifier,
            event,
            # No app is called so: an application's own keys are others.
            idempotency_key=f"~credit\n{credit.key or request_id}",
            fingerprint=sha256(asked).hexdigest()[:FINGERPRINT_DIGITS],
        )
        if receipt.outcome is Recorded.CONFLICT:
            raise Conflict(
                "This idempotency_key was used before, for another credit.",
                param="idempotency_key",
                code="credit_conflict",
            )
        return receipt, await self.show(identifier)

    async def _written(self, profile: Profile) -> Standing:
        await self._list(profile)
        return await self._standing(profile)

    async def _list(self, profile: Profile) -> None:
        """So that who has written it sees it in the list."""
        partition = self.directory.partition_of(profile.identifier)
        with suppress(LedgerUnavailable):  # the indexer comes by, too
            await self.indexer.refresh((partition, profile.number))

    async def _standing(self, profile: Profile) -> Standing:
        partition = self.directory.partition_of(profile.identifier)
        balance, lifetime, models = await asyncio.gather(
            self.ledger.balance(profile),
            self.counters.lifetime(partition, profile.number),
            unless_away(self.archive.models(LogFilter(customer_numbers=(profile.number,)))),
        )
        now_ms = self.clock.now_ms()
        return Standing(
            partition=partition,
            profile=profile,
            lifetime=lifetime,
            balance=balance,
            terms=self.directory.terms(profile, now_ms),
            models=models,
            now_ms=now_ms,
            zone=self.zone,
            count=self.ledger.rules.count,
        )
