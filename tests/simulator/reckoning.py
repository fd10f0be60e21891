"""The reckoning, once everything has come to rest: was each call charged what it cost?"""

from collections import Counter
from typing import TYPE_CHECKING

from gateway.event import Kind, UsageEvent
from tests.simulator.oracle import Call
from tests.simulator.promises import expect

if TYPE_CHECKING:
    from tests.simulator.simulation import Simulation


def reckon(simulation: "Simulation") -> None:
    books, fate = simulation.books, simulation.fate
    alive = {gateway.name for gateway in simulation.gateways}
    for call in simulation.oracle.calls.values():
        events, orphaned = books.by_call[call.request_id], books.orphaned.get(call.request_id)
        expected = charges(call, fate.has_logs, call.gateway in alive, orphaned)
        is_known = fate.has_logs or call.request_id not in books.lost
        if not is_known:  # the store has forgotten it, and nobody tells it again
            expected |= {0, orphaned or 0}
        was_held = orphaned is not None
        check_call(call, events, expected, was_held=was_held, is_known=is_known)
    check_reports(simulation)
    if fate.is_calm and (fate.has_logs or not simulation.losing.count):
        check_calm(simulation)
    for partition in simulation.keyspace.partitions:
        left = simulation.server.ask("HLEN", partition.holds)
        expect(left == 0, f"{left} holds are left for ever in {partition.tag}")
    for counting in books.counting:
        counting.check_complete()
    for trimming in books.trimming:
        trimming.check_at_rest()
    books.scopes.check_at_rest(list(books.log.values()))
    check_archive(simulation)


def check_calm(simulation: "Simulation") -> None:
    books = simulation.books
    orphans = [e.request_id for e in books.log.values() if e.kind is Kind.ORPHAN]
    expect(not orphans, f"nobody died and nothing was cut off, yet {orphans} expired")


def check_archive(simulation: "Simulation") -> None:
    """A row for each event. Of what the store has lost there may be one that nobody answers for.

    That is a refusal, which moves no money, and a report whose sender got no receipt.
    """
    books, has_logs = simulation.books, simulation.fate.has_logs
    rows = Counter((row.partition, row.stream_id, row.event) for row in simulation.archive.rows())
    posted = Counter((*place, event) for place, event in books.log.items())
    missing, more = posted - rows, rows - posted
    expect(not missing, f"the archive has not {list(missing)[:1]}, of {len(missing)}")
    for _, _, event in more:
        may_stay = event.kind in {Kind.REFUSE, Kind.EVENT} or not has_logs
        is_lost = may_stay and event.request_id in books.lost
        expect(is_lost, f"the archive has {event}, the store has not")


def charges(call: Call, has_log: bool, is_alive: bool, orphaned: int | None) -> set[int]:
    """What the call may have been charged in the end, by what is left that knows of it."""
    if is_alive or (has_log and call.noted):
        return {call.asked or 0}
    if has_log:
        return set(call.so_far) if call.sent else {0}
    # Its gateway died with all it knew: what it asked for may have arrived; else its hold stays.
    return {call.asked or 0, orphaned or 0}


def check_call(
    call: Call, events: list[UsageEvent], expected: set[int], *, was_held: bool, is_known: bool
) -> None:
    """It ended once, for what it truly cost, or for what is known of it."""
    name = call.request_id
    kinds = [event.kind for event in events]
    net = sum(event.charge_pico for event in events)
    ends = [kind for kind in kinds if kind is not Kind.ADJUST]
    expect(len(ends) == 1 or not was_held, f"{name} was held and has {len(ends)} ends")
    expect(net in expected, f"{name} was charged {net} by {kinds}, not {expected}")
    is_there = kinds or not is_known
    expect(not call.noted or is_there or not call.sent, f"{name} was sent and left no event")
    if net != (call.asked or 0):
        resolved = {Kind.SETTLE, Kind.ADJUST} & set(kinds)
        expect(call.so_far or not resolved, f"{name} was charged {net} by {kinds}")


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
    is_lossy = simulation.losing.count and not simulation.fate.has_logs
    surely = 0 if is_lossy else sum(report.charge for report in reports if report.received)
    at_most = sum(report.charge for report in reports)
    expect(surely <= total <= at_most, f"reported {surely} to {at_most}, counted {total}")
    expect(sum(posted.values()) <= len(reports), "a report was counted twice")
