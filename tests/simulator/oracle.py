"""What really happened: of each call, whether it was sent and what it truly cost.

The gateways write it down as they act, out of the ledger's sight; at the end the ledger has
to agree.
"""

from dataclasses import dataclass, field


@dataclass
class Call:
    """One call, as its own gateway lived it.

    Attributes:
        sent: The upstream has it: it may cost, whatever becomes of the gateway.
        asked: What the gateway asked the ledger to book at its end: a charge, 0 for a
            release; None: it never came to that.
        cost: What came with that charge.
        so_far: What it noted that the call would cost if it ended then.
        noted: The end is in the gateway's own log, if it has one.
    """

    request_id: str
    customer: str
    gateway: str
    sent: bool = False
    asked: int | None = None
    cost: int = 0
    so_far: list[int] = field(default_factory=list)
    noted: bool = False


@dataclass
class Report:
    """A reported usage, sent again under its key until there is a receipt."""

    customer: str
    key: str
    charge: int
    received: bool = False


@dataclass
class Oracle:
    calls: dict[str, Call] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def call(self, request_id: str, customer: str, gateway: str) -> Call:
        call = self.calls[request_id] = Call(request_id, customer, gateway)
        return call

    def report(self, customer: str, key: str, charge: int) -> Report:
        report = self.reports[f"{customer} {key}"] = Report(customer, key, charge)
        return report
