"""What the ledger should do, in Python ints: a model to hold the scripts against."""

from dataclasses import dataclass, field

from gateway.ledger.bounds import Bound

REFUSED = "refused"
IN_FLIGHT = "in flight"


@dataclass
class OpenHold:
    amount: int
    orphan: int


@dataclass
class Account:
    """One customer; `orphans`: what was posted for calls whose truth is still to come."""

    limits: tuple[int | None, ...] = (None, None)
    spent: int = 0
    holds: dict[str, OpenHold] = field(default_factory=dict)
    orphans: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    over_settle: int = 0
    over_event: int = 0
    over_limit: int = 0

    @property
    def unresolved(self) -> int:
        return sum(self.orphans.values())

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values())

    @property
    def unspent(self) -> int | None:
        """Of the tighter limit. All is spent in one window, so total and period agree."""
        return min((limit - self.spent for limit in self.limits if limit is not None), default=None)

    @property
    def beyond(self) -> int:
        """What is taken beyond the tighter limit."""
        return 0 if self.unspent is None else max(0, self.held - self.unspent)


class Model:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._of: dict[str, Account] = {}

    def account(self, customer: str) -> Account:
        return self.accounts.setdefault(customer, Account())

    def change_limits(self, customer: str, limits: tuple[int | None, ...]) -> None:
        account = self.account(customer)
        before = account.beyond
        account.limits = limits
        account.over_limit += max(0, account.beyond - before)

    def grant(self, customer: str, bound: Bound) -> int | str:
        """What is granted; or why nothing is."""
        account = self.account(customer)
        unspent = account.unspent
        if unspent is None or bound.wanted_pico == 0:
            return bound.wanted_pico
        room = unspent - account.held
        if bound.least_pico > unspent:
            return REFUSED
        if bound.least_pico > room:
            return IN_FLIGHT
        return max(bound.least_pico, min(bound.wanted_pico, room // bound.share))

    def held(self, customer: str, request_id: str, bound: Bound) -> None:
        account, amount = self.account(customer), self.grant(customer, bound)
        assert isinstance(amount, int)
        account.holds[request_id] = OpenHold(amount, min(amount, bound.input_pico))
        self._of[request_id] = account

    def progress(self, request_id: str, so_far: int) -> None:
        hold = self._of[request_id].holds[request_id]
        hold.orphan = max(hold.orphan, so_far)

    def end(self, request_id: str, charge: int) -> None:
        """Settle, or release with a charge of 0; a repetition changes nothing."""
        account = self._of[request_id]
        reserved = None
        if request_id in account.holds:
            reserved = account.holds.pop(request_id).amount
            account.spent += charge
        elif request_id in account.orphans:
            reserved = account.orphans.pop(request_id)
            account.spent += charge - reserved
        if reserved is not None:
            account.over_settle += max(0, charge - reserved)

    def expire(self, request_id: str) -> None:
        account = self._of[request_id]
        orphan = account.holds.pop(request_id).orphan
        account.orphans[request_id] = orphan
        account.spent += orphan

    def report(self, customer: str, key: str | None, charge: int) -> bool:
        """Whether it counts: not if the key came before."""
        account = self.account(customer)
        if key is not None and key in account.keys:
            return False
        if key is not None:
            account.keys.add(key)
        account.spent += charge
        if account.unspent is not None:
            account.over_event += max(0, min(charge, account.held - account.unspent))
        return True
