"""Debts: what a series of records says is still owed to the ledger."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.ledger.wal.records import (
    Confirmed,
    Counted,
    Ending,
    Intent,
    KnownProfile,
    Record,
    SoFar,
    StoreIdentity,
    ending_of_the_dead,
)


@dataclass(slots=True)
class _Call:
    intent: Intent | None = None
    so_far: SoFar | None = None
    ending: Ending | None = None
    confirmed: bool = False


@dataclass(slots=True)
class Debts:
    """Folds records, oldest first; of a dead gateway's log, or of one's own.

    Attributes:
        profiles: The newest that the log knows of each customer.
        reports: What applications were told counts.
        identity: Of the store that the last records were sent to; '' when it is not told.
    """

    profiles: dict[str, KnownProfile] = field(default_factory=dict)
    reports: list[Counted] = field(default_factory=list)
    identity: str = ""
    _calls: dict[str, _Call] = field(default_factory=dict)

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            match record:
                case KnownProfile():
                    self.profiles[record.customer] = record
                case StoreIdentity():
                    self.identity = record.identity
                case Counted():
                    self.reports.append(record)
                case _:
                    self._note(self._calls.setdefault(record.request_id, _Call()), record)

    @property
    def are_none(self) -> bool:
        """The log tells of no call, and of no reported usage."""
        return not self._calls and not self.reports

    def unpaid(self) -> list[Ending]:
        """Of a dead gateway: how every call ends that the store may not know the end of."""
        owed = []
        for call in self._calls.values():
            if call.confirmed:
                continue
            if call.ending is not None:
                owed.append(call.ending)
            elif call.intent is not None:
                owed.append(ending_of_the_dead(call.intent, call.so_far))
        return owed

    def outcomes(self) -> Counter[str]:
        """Of `unpaid`, how many are ``settled``, ``estimated`` or ``released``."""
        found: Counter[str] = Counter()
        for call in self._calls.values():
            if call.confirmed:
                continue
            if call.ending is not None:
                found["settled" if call.ending.verb == "settle" else "released"] += 1
            elif call.intent is not None:
                found["released" if call.so_far is None else "estimated"] += 1
        return found

    def unconfirmed(self) -> list[Ending]:
        """Of a log that is being written: the ends that the store may not know."""
        return [call.ending for call in self._calls.values() if call.ending and not call.confirmed]

    def endings(self) -> list[Ending]:
        """What a store that has lost its newest writes may lack; the newest first."""
        return [call.ending for call in reversed(self._calls.values()) if call.ending]

    @staticmethod
    def _note(call: _Call, record: Intent | SoFar | Ending | Confirmed) -> None:
        match record:
            case Intent():
                # Confirmed was at most an earlier try, which the store had sent back.
                call.intent, call.confirmed = record, False
            case SoFar():
                call.so_far = record
            case Ending():
                call.ending, call.confirmed = record, False
            case Confirmed():
                call.confirmed = True
