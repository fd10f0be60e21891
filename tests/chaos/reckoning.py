"""After a chaos run: what was served against what was charged, call by call.

A fault is a sentence. Promised, and checked here:

* a call whose caller got its whole answer is charged exactly what the upstream counted;
* a call that reached the upstream and was cut is never free, and never above its hold;
* a call that did not reach it is free, or settled within its hold where its gateway died
  before it could know;
* every call has one end, nothing counts twice, and nothing is held in the end;
* a reported event that was taken counts once;
* a limit is passed by no more than what calls cost whose gateway died while the store lost
  their holds;
* balances, groups' balances and archive agree with the events.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from operator import is_
from pathlib import Path
from typing import Any

from gateway.event import Kind, UsageEvent
from gateway.store.keys import Keyspace
from tests.chaos.load import GROUP, GROUP_LIMIT_USD, Customer, Load, Reported, Told
from tests.support.streams import events_in

INPUT_PICO, OUTPUT_PICO = 150_000, 600_000
"""Of demo-small, a token."""

ENDS = {Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.ORPHAN}
DIED = "gateway_died"


@dataclass(slots=True)
class Served:
    """What the upstream says of one call."""

    charge_pico: int
    whole: bool = False


@dataclass
class Findings:
    """What a run came to.

    Attributes:
        faults: Broken promises, in words.
        tally: How many calls went which way.
    """

    faults: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)


def served(truth: Path) -> dict[str, Served]:
    calls: dict[str, Served] = {}
    for line in truth.read_text().splitlines():
        told = json.loads(line)
        if "ended" in told:
            calls[told["name"]].whole = told["ended"] == "whole"
        else:
            assert told["name"] not in calls, f"{told['name']} was sent twice"
            calls[told["name"]] = Served(price(told["prompt_tokens"], told["completion_tokens"]))
    return calls


def price(input_tokens: int, output_tokens: int) -> int:
    return input_tokens * INPUT_PICO + output_tokens * OUTPUT_PICO


def events_of(store: Any) -> list[UsageEvent]:
    return [
        event
        for partition in Keyspace().partitions
        for _, event in events_in(store, partition.stream)
    ]


def reckon(load: Load, truth: Path, store: Any, archive: Path, *, cut: bool) -> Findings:
    """Hold everything against everything.

    Args:
        cut: The store has lost acknowledged writes in this run.
    """
    found = Findings()
    events, upstream = events_of(store), served(truth)
    by_name: dict[str, list[UsageEvent]] = defaultdict(list)
    for event in events:
        by_name[(event.metadata or {}).get("custom_identifier", "")].append(event)
    for stranger in by_name.keys() - load.calls.keys() - load.reports.keys():
        found.faults.append(f"events of nobody's call: {stranger!r}")
    for told in load.calls.values():
        found.faults += _call(told, upstream.get(told.name), by_name[told.name], found.tally)
    for report in load.reports.values():
        found.faults += _report(report, by_name[report.key], found.tally)
    found.faults += _balances(load, store, events, by_name, cut=cut, tally=found.tally)
    found.faults += _archived(archive, events)
    return found


def _call(
    told: Told, truth: Served | None, events: list[UsageEvent], tally: Counter[str]
) -> Iterator[str]:
    died = any(event.error_code == DIED for event in events)
    orphaned = any(event.kind is Kind.ORPHAN for event in events)
    tally[f"{told.outcome}{'' if truth else ', not sent'}"] += 1
    tally["settled for the dead"] += died
    tally["orphaned"] += orphaned
    ends = [event for event in events if event.kind in ENDS]
    net = sum(event.charge_pico for event in events)
    problems = []
    if len(ends) > 1 or len({event.request_id for event in events}) > 1:
        problems.append("ended more than once")
    if told.outcome == "whole":
        problems += _exact(truth, net)
    elif truth is not None:
        problems += _paid_for(ends, net)
    elif net and not (died or orphaned):
        problems.append("never sent, and charged")
    hold = max((event.hold_pico for event in events), default=0)
    if net > hold and not orphaned:  # an orphan is charged its hold
        problems.append(f"charged above its hold of {hold}")
    who = f"{told.name} ({told.customer.name}, {told.outcome} {told.code})"
    seen = [(e.kind.value, e.source, e.charge_pico, e.error_code) for e in events]
    for problem in problems:
        yield f"{who}: {problem}; charged {net}; {truth}; {seen}"


def _exact(truth: Served | None, net: int) -> Iterator[str]:
    if truth is None or not truth.whole:
        yield "an answer from nowhere"
    elif net != truth.charge_pico:
        yield "not charged what was served"


def _paid_for(ends: list[UsageEvent], net: int) -> Iterator[str]:
    if not ends:
        yield "sent, and not in the books"
    elif net <= 0:
        yield "sent, and free"


def _report(report: Reported, events: list[UsageEvent], tally: Counter[str]) -> Iterator[str]:
    tally["reported"] += 1
    charges = [event.charge_pico for event in events if event.kind is Kind.EVENT]
    expected = [price(report.input_tokens, report.output_tokens)]
    if charges != expected:
        yield (
            f"report {report.key} (accepted {report.accepted}, again {report.duplicates}): "
            f"counted {charges}, not {expected}"
        )


def _balances(
    load: Load,
    store: Any,
    events: Iterable[UsageEvent],
    by_name: dict[str, list[UsageEvent]],
    *,
    cut: bool,
    tally: Counter[str],
) -> Iterator[str]:
    sums: Counter[int] = Counter()
    for event in events:
        sums[event.customer_number] += event.charge_pico
    for customer in load.customers:
        partition = Keyspace().partition_of(customer.name)
        number = int(store.get(partition.number(customer.name)) or 0)
        spent, held = (
            int(amount or 0) for amount in store.hmget(partition.account(number), "spent", "held")
        )
        if held:
            yield f"{customer.name}: {held} held, for nobody"
        if spent != sums[number]:
            yield f"{customer.name}: spent {spent}, and its events come to {sums[number]}"
        of_limit = _Limited(customer.name, customer.limit_usd, partial(is_, customer))
        yield from _limit(of_limit, spent, load, by_name, cut=cut, tally=tally)
    scope = f"group:{GROUP}"
    account = Keyspace().partition_of(scope).scope_account(scope)
    spent, held = (int(amount or 0) for amount in store.hmget(account, "spent", "held"))
    charged = sum(event.charge_pico for event in events if event.group == GROUP)
    if held:
        yield f"{scope}: {held} held, for nobody"
    if spent != charged:
        yield f"{scope}: spent {spent}, and its events come to {charged}"
    of_group = _Limited(scope, GROUP_LIMIT_USD, lambda customer: customer.group == GROUP)
    yield from _limit(of_group, spent, load, by_name, cut=cut, tally=tally)


@dataclass(frozen=True, slots=True)
class _Limited:
    name: str
    limit_usd: str | None
    whose: Callable[[Customer], bool]


def _limit(
    limited: _Limited,
    spent: int,
    load: Load,
    by_name: dict[str, list[UsageEvent]],
    *,
    cut: bool,
    tally: Counter[str],
) -> Iterator[str]:
    if limited.limit_usd is None:
        return
    limit = int(Decimal(limited.limit_usd).scaleb(12))
    reported = sum(
        price(report.input_tokens, report.output_tokens)
        for report in load.reports.values()
        if limited.whose(report.customer)
    )
    lost = 0
    if cut:
        lost = sum(
            event.charge_pico
            for told in load.calls.values()
            if limited.whose(told.customer)
            for event in by_name[told.name]
            if event.error_code == DIED or event.kind is Kind.ORPHAN
        )
    tally["limits used to nine tenths"] += spent >= limit * 9 // 10
    tally["limits passed, as allowed"] += spent - reported > limit
    if spent - reported > limit + lost:
        yield (
            f"{limited.name}: {spent - reported} spent by calls, over its limit of {limit}, "
            f"of which {lost} may be"
        )


def _archived(archive: Path, events: list[UsageEvent]) -> Iterator[str]:
    with sqlite3.connect(f"file:{archive}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT request_id, kind, charge_pico FROM events").fetchall()
    expected = Counter((e.request_id, e.kind.value, e.charge_pico) for e in events)
    got = Counter(map(tuple, rows))
    for row in got.keys() - expected.keys():
        if row[1] == Kind.REFUSE:  # the store has lost it, and it moved no money
            got[row] = 0
    difference = _difference(got, expected)
    if difference:
        yield f"the archive differs from the streams: {difference}"


def _difference(got: Counter[Any], expected: Counter[Any]) -> str:
    more, less = got - expected, expected - got
    if not more and not less:
        return ""
    return f"{len(more)} rows too many {list(more)[:3]}, {len(less)} missing {list(less)[:3]}"
