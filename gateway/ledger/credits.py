"""Credits: what a customer is given beside its total budget, or what is taken back.

A credit is an event that charges nothing. Its sum stands in the account, where the books are
checked, and in the profile, where whoever admits a call reads what the customer may spend.
What its sender was told counts is in this process' log before it is told, as with reports.
"""

import orjson

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.errors import LedgerUnavailable
from gateway.event import UsageEvent
from gateway.ledger.admission import TRIES_MAX
from gateway.ledger.once import KEEP_SECONDS, RECORDED, week_of
from gateway.ledger.outcomes import Outcome
from gateway.ledger.results import Receipt, Recorded
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Counted
from gateway.store.client import Store


class Credits:
    def __init__(
        self, store: Store, directory: Directory, clock: Clock, *, wal: Log | None = None
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._wal = wal

    async def record(
        self, customer: str, event: UsageEvent, *, idempotency_key: str, fingerprint: str
    ) -> Receipt:
        """Credit what `event` says, once; on a duplicate, the receipt of the first.

        Args:
            idempotency_key: Of the customer; another customer may have the same.
            fingerprint: Of what was asked for, without blanks.

        Raises:
            NotFound: there is no such customer.
            LedgerUnavailable: nothing was credited.
        """
        counted, receipt = await self._count(customer, event, idempotency_key, fingerprint)
        if self._wal is not None and receipt.outcome is not Recorded.CONFLICT:
            self._wal.counted(counted)
            await self._wal.written()
        return receipt

    async def again(self, counted: Counted, event: UsageEvent) -> None:
        """Credit what a store that has lost its newest writes may lack; once, as ever."""
        key = counted.key or ""
        await self._count(counted.customer, event, key, counted.fingerprint)

    async def _count(
        self, customer: str, event: UsageEvent, key: str, fingerprint: str
    ) -> tuple[Counted, Receipt]:
        partition, details = self._directory.partition_of(customer), event.details()
        now_ms = self._clock.now_ms()
        for _ in range(TRIES_MAX):
            profile = await self._directory.known(customer)
            outcome, mark = await self._store.script(
                "credit",
                [
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.stream,
                    *partition.idempotency(now_ms),
                ],
                [
                    event.request_id,
                    profile.number,
                    profile.version,
                    f"{profile.number} {key}",
                    fingerprint,
                    event.credit_pico,
                    *week_of(now_ms),
                    details,
                    KEEP_SECONDS,
                ],
            )
            if outcome == Outcome.STALE:
                now_ms = int(mark)
            elif outcome != Outcome.POLICY:
                _, event_id, amount = mark.decode().split(" ")
                if event_id == event.request_id:  # the answer to our first sending was lost
                    outcome = int(Outcome.HELD)
                counted = Counted(
                    request_id=event_id,
                    customer=customer,
                    number=profile.number,
                    key=key,
                    fingerprint=fingerprint,
                    charge_pico=0,
                    cost_pico=0,
                    details=details,
                )
                return counted, Receipt(RECORDED[outcome], event_id, int(amount))
        raise LedgerUnavailable(f"Customer {customer!r} is being changed by others; try again.")


def is_credit(counted: Counted) -> bool:
    """Whether what a log remembers was a credit."""
    return bool(orjson.loads(counted.details).get("credit_pico"))
