"""Attempts: a hold on its way, and what it takes to withdraw it.

A hold whose reply was lost, or whose call was cancelled meanwhile, may be there without
anybody to end it. What is known of it is in the log before it is sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from gateway import crash
from gateway.customers.fields import Canonical
from gateway.customers.profile import Profile, Terms, Upsert
from gateway.customers.scopes import Scope
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, Status
from gateway.ledger.bounds import Bound
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Ending, Intent, KnownProfile
from gateway.store.keys import Partition


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One call's way to a hold: what it asks for, and how far it has come.

    Attributes:
        app, key, change, bound, opening: As `Ledger.hold` is given them.
        details: Of the event to post should this process never settle, as last sent.
        since: The store's `changes` when it was whole: granted by another it would not count.
        in_doubt: It was sent, and it is not known what became of it.
        answered: The store has refused it for good; it is not merely away.
    """

    request_id: str
    customer: str
    app: str
    change: Mapping[str, Canonical]
    bound: Callable[[Terms], Bound]
    opening: Callable[[Profile], bytes]
    partition: Partition
    key: Scope | None = None
    wal: Log | None = None
    details: bytes = b""
    number: int = 0
    window_ids: str = ""
    since: int = 0
    in_doubt: bool = False
    answered: bool = False

    async def send_with(self, number: int, window_ids: str, details: bytes) -> None:
        """To be called before each sending."""
        self.number, self.window_ids, self.details = number, window_ids, details
        self.in_doubt = True
        if self.wal is None:
            return
        self.wal.intend(
            Intent(
                request_id=self.request_id,
                customer=self.customer,
                number=number,
                window_ids=window_ids,
                opening=details,
            )
        )
        if self.wal.strict:
            await self.wal.synced()
            if self.wal.failing:
                self.over()
                self.answered = True
                raise LedgerUnavailable("The gateway's own log cannot be written.")
        if crash.is_armed:
            self.wal.flush()
            crash.at("after_intent")

    def over(self) -> None:
        """Nothing is held: there is nothing to end."""
        self.in_doubt = False
        if self.wal is not None:
            self.wal.confirm(self.request_id)

    def wrote(self, planned: Upsert) -> None:
        """The customer is now as the call has said."""
        if self.wal is not None:
            profile: Profile = planned.profile
            self.wal.know(KnownProfile(self.customer, profile.number, profile.stored))

    def withdrawal(self, status: Status) -> Ending:
        return self._ending(Kind.RELEASE, {"status": status, "status_code": 503})

    def refusal(self, *, status_code: int, error_code: str, hold_pico: int) -> Ending:
        """Of a hold that is there, where the call's group or app had no room."""
        known = {"status_code": status_code, "error_code": error_code, "hold_pico": hold_pico}
        return self._ending(Kind.REFUSE, {"status": Status.REJECTED, **known})

    def _ending(self, kind: Kind, facts: Mapping[str, object]) -> Ending:
        return Ending(
            request_id=self.request_id,
            customer=self.customer,
            verb="release",
            kind=kind,
            number=self.number,
            window_ids=self.window_ids,
            charge_pico=0,
            cost_pico=0,
            details=orjson.dumps(orjson.loads(self.details) | facts),
        )
