"""Leases: the calls that this process is serving, and those whose end is in doubt.

A hold lives by its lease, which is renewed while its call runs; without this process it
ends by itself. A hold whose reply was lost, or whose call was cancelled meanwhile, may be
there without anybody to end it: it is withdrawn, again and again until the store has it.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from gateway.errors import LedgerUnavailable
from gateway.event import Kind, Status
from gateway.ledger.requests import hour_of
from gateway.store.client import Part, Store
from gateway.store.keys import Partition

LEASE_MS: Final = 60_000
RENEW_SECONDS: Final = 20.0
RENEWED_AT_ONCE_MAX: Final = 500
"""By one script, so that a renewal of thousands of calls keeps nobody waiting."""

DOUBTS_MAX: Final = 10_000
"""More are left to their leases, and posted as unresolved."""

log = logging.getLogger(__name__)


class Withdrawal(NamedTuple):
    """The keys and arguments of ``release.lua``."""

    keys: list[str]
    args: list[Part]


@dataclass(slots=True)
class Attempt:
    """A hold on its way, and what it takes to withdraw it.

    Attributes:
        opening: Details of the event to post should this process never settle.
        in_doubt: It was sent, and it is not known what became of it.
    """

    request_id: str
    partition: Partition
    opening: bytes = b""
    number: int = 0
    window_ids: str = ""
    in_doubt: bool = False

    def send_with(self, number: int, window_ids: str, opening: bytes) -> None:
        self.number, self.window_ids, self.opening = number, window_ids, opening
        self.in_doubt = True

    def withdrawal(self, status: Status) -> Withdrawal:
        return self._ending(Kind.RELEASE, {"status": status, "status_code": 503})

    def refusal(self, *, status_code: int, error_code: str, hold_pico: int) -> Withdrawal:
        """Of a hold that is there, where the call's group or app had no room."""
        known = {"status_code": status_code, "error_code": error_code, "hold_pico": hold_pico}
        return self._ending(Kind.REFUSE, {"status": Status.REJECTED, **known})

    def _ending(self, kind: Kind, facts: Mapping[str, object]) -> Withdrawal:
        details = orjson.loads(self.opening) | facts
        return Withdrawal(
            ending_keys(self.partition, self.number, self.request_id),
            [self.request_id, self.number, self.window_ids, orjson.dumps(details), kind.value],
        )


def ending_keys(partition: Partition, number: int, request_id: str) -> list[str]:
    """What ``settle.lua`` and ``release.lua`` take."""
    hour = hour_of(request_id)
    return [
        partition.account(number),
        partition.holds,
        partition.expiries,
        partition.stream,
        partition.tombstones(hour),
        partition.orphans(hour),
    ]


class Leases:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, Partition] = {}
        self._raised: dict[str, int] = {}
        self._doubts: dict[str, Withdrawal] = {}

    def begin(self, request_id: str, partition: Partition) -> None:
        self._live[request_id] = partition

    def raise_orphan(self, request_id: str, amount_pico: int) -> None:
        """With the next renewal: what to post should the call never end."""
        if request_id in self._live and amount_pico > self._raised.get(request_id, 0):
            self._raised[request_id] = amount_pico

    def orphan_pico(self, request_id: str) -> int:
        return self._raised.get(request_id, 0)

    def end(self, request_id: str) -> None:
        self._live.pop(request_id, None)
        self._raised.pop(request_id, None)

    def withdraw(self, request_id: str, withdrawal: Withdrawal) -> None:
        """Release a hold that may have landed.

        The store sends this after the hold itself, whoever is cancelled.
        """

        def note(sent: asyncio.Future[Any]) -> None:
            if sent.cancelled() or isinstance(sent.exception(), LedgerUnavailable):
                if len(self._doubts) < DOUBTS_MAX:
                    self._doubts[request_id] = withdrawal
                else:
                    log.error("hold_left_to_its_lease request_id=%s", request_id)

        self._store.script("release", *withdrawal).add_done_callback(note)

    async def step(self) -> None:
        """Renew the leases of all calls that run, and withdraw what is in doubt."""
        by_partition: dict[Partition, list[Part]] = {}
        for request_id, partition in self._live.items():
            amount = self._raised.get(request_id)
            pair = (request_id, "" if amount is None else amount)
            by_partition.setdefault(partition, []).extend(pair)
        await asyncio.gather(
            *(
                self._store.script(
                    "renew",
                    [partition.expiries, partition.holds],
                    [LEASE_MS, *pairs[at : at + 2 * RENEWED_AT_ONCE_MAX]],
                )
                for partition, pairs in by_partition.items()
                for at in range(0, len(pairs), 2 * RENEWED_AT_ONCE_MAX)
            )
        )
        doubts, self._doubts = self._doubts, {}
        for request_id, withdrawal in doubts.items():
            self.withdraw(request_id, withdrawal)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self.step()
            except LedgerUnavailable:
                log.warning("leases_not_renewed live=%d", len(self._live))
