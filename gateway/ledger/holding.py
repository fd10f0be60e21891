"""Holding: one call's way to a hold, whatever the store does meanwhile.

The customer's own hold, then those of its group and its app. A store that is away is not
waited for; one that came back as another is asked again once it is whole; and whatever may
have landed of a hold that is not granted is taken back.
"""

import asyncio

from redis.exceptions import ResponseError

from gateway.errors import CallerError, LedgerUnavailable
from gateway.event import Status
from gateway.ledger.admission import Admission
from gateway.ledger.attempts import Attempt
from gateway.ledger.bounds import Bound
from gateway.ledger.continuity import Continuity
from gateway.ledger.endings import Endings
from gateway.ledger.results import Hold
from gateway.ledger.scope_holds import ScopeHolds
from gateway.ledger.unheld import Unheld
from gateway.openai.errors import wire_form
from gateway.store.client import NOT_REACHABLE, Store


class Holding:
    def __init__(
        self,
        store: Store,
        admission: Admission,
        scopes: ScopeHolds,
        *,
        endings: Endings,
        continuity: Continuity,
        unheld: Unheld,
    ) -> None:
        self._store = store
        self._admission = admission
        self._scopes = scopes
        self._endings = endings
        self._continuity = continuity
        self._unheld = unheld

    async def hold(self, attempt: Attempt) -> Hold:
        """As `Ledger.hold`."""
        try:
            hold, asked = await self._own(attempt)
        except asyncio.CancelledError:
            if attempt.in_doubt:
                self._endings.withdraw(attempt.withdrawal(Status.ABORTED))
            raise
        except ResponseError:
            attempt.over()
            raise
        except LedgerUnavailable as exc:
            passed = self._without_store(attempt, exc)
            if passed is None:
                raise
            return passed
        return await self._shared(attempt, hold, asked) if hold.terms.shared else hold

    async def _own(self, attempt: Attempt) -> tuple[Hold, Bound]:
        if not self._store.is_up:  # nobody waits for a store that is known to be away
            raise LedgerUnavailable(NOT_REACHABLE)
        if not self._continuity.is_open:
            await self._continuity.wait()
        attempt.since = self._store.changes
        try:
            return await self._admission.hold(attempt)
        except LedgerUnavailable:
            is_same = attempt.since == self._store.changes and self._continuity.is_open
            if is_same or attempt.answered:
                raise
        # The store came back as another while it was asked: it is asked once more.
        await self._continuity.wait()
        attempt.since = self._store.changes
        return await self._admission.hold(attempt)

    def _without_store(self, attempt: Attempt, problem: LedgerUnavailable) -> Hold | None:
        """A call passes unheld, or what may have landed of its hold is taken back."""
        if isinstance(problem.__cause__, ResponseError):  # it is there, and full
            attempt.over()
            return None
        passed = None if attempt.answered else self._unheld.admit(attempt)
        if passed is None and attempt.in_doubt:
            self._endings.withdraw(attempt.withdrawal(Status.ERROR))
        return passed  # if its hold has landed after all, its end takes it off

    async def _shared(self, attempt: Attempt, hold: Hold, asked: Bound) -> Hold:
        """The hold once its group and its app have granted it; else it is ended here."""
        try:
            return await self._scopes.hold(hold, asked, since=attempt.since)
        except asyncio.CancelledError:
            self._endings.withdraw(attempt.withdrawal(Status.ABORTED))
            raise
        except CallerError as exc:
            status_code = wire_form(exc, reject_status=self._admission.reject_status)[0]
            self._endings.withdraw(
                attempt.refusal(
                    status_code=status_code, error_code=exc.code, hold_pico=hold.amount_pico
                )
            )
            exc.recorded = True
            raise
        except BaseException:
            self._endings.withdraw(attempt.withdrawal(Status.ERROR))
            raise
