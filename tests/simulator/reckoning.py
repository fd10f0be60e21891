"""The reckoning, once everything has come to rest: was each call charged what it cost?"""

from collections import Counter
from typing import TYPE_CHECKING

from gateway.event import Kind, UsageEvent
from tests.simulator.oracle import Call
from tests.simulator.promises import expect

if TYPE_CHECKING:
    from tests.simulator.simulation import Simulation


def reckon(simulation: "Simulation") -> None:
    books = simulation.books
    alive = {gateway.name for gateway in simulation.gateways}
    for call in simulation.oracle.calls.values():
        events, orphaned = books.by_call[call.request_id], books.orphaned.get(call.request_id)
        check_call(call, events, orphaned, is_known=call.booked or call.gateway in alive)
    check_reports(simulation)
    for partition in simulation.keyspace.partitions:
        left = simulation.server.ask("HLEN", partition.holds)
        expect(left == 0, f"{left} holds are left for ever in {partition.tag}")
    for counting in books.counting:
        counting.check_complete()
    expect(books.log == simulation.archive.rows, "the archive is not what was posted")


def check_call(
    call: Call, events: list[UsageEvent], orphaned: int | None, *, is_known: bool
) -> None:
    """It ended once, for what it truly cost, or for its hold where nobody knows any more."""
    name = call.request_id
    kinds = [event.kind for event in events]
    net = sum(event.charge_pico for event in events)
    if orphaned is not None:
        ends = [kind for kind in kinds if kind is not Kind.ADJUST]
        expect(len(ends) == 1, f"{name} was held and has {len(ends)} ends")
    if is_known:
        truth = (call.asked or 0) if call.sent else 0
        expect(net == truth, f"{name} cost {truth} and was charged {net} by {kinds}")
        expect(not call.sent or kinds, f"{name} was sent and left no event")
        return
    # Its gateway died with it. What it asked for may have arrived; else it is what was held.
    told = [kind for kind in kinds if kind in (Kind.SETTLE, Kind.ADJUST, Kind.RELEASE)]
    if told:
        expect(net == (call.asked or 0), f"{name} cost {call.asked} and was charged {net}")
    elif orphaned is not None:
        expect(net == orphaned, f"{name} was charged {net}, not {orphaned}: nobody knows its end")
    else:
        expect(net == 0, f"{name} was never held and was charged {net}")


def check_reports(simulation: "Simulation") -> None:
    """A usage that was acknowledged is counted; one that was sent often, once."""
    posted = Counter(
        (event.customer_number, event.charge_pico)
        for events in simulation.books.by_call.values()
        for event in events
        if event.kind is Kind.EVENT
    )
    total = sum(number * charge for (_, charge), number in posted.items())
    reports = simulation.oracle.reports.values()
    surely = sum(report.charge for report in reports if report.received)
    at_most = sum(report.charge for report in reports)
    expect(surely <= total <= at_most, f"reported {surely} to {at_most}, counted {total}")
    expect(sum(posted.values()) <= len(reports), "a report was counted twice")
