"""The books of groups and apps: what the flusher may have counted of the events that name them.

A scope's account follows its calls by a moment. So it is compared, after each script that
writes it, with the events that the scope's cursors have passed, each call once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.customers.profile import Limits
from gateway.customers.scopes import app_name, group_name
from gateway.customers.windows import KINDS, Calendar
from gateway.event import Kind, UsageEvent
from gateway.ledger.rules import Rules
from gateway.store.keys import Keyspace, Partition
from gateway.store.stream_ids import halves
from tests.simulator.accounts import Account
from tests.simulator.decisions import (
    DECISIONS,
    HELD,
    Asked,
    check_decision,
    check_windows,
    unspent_of,
)
from tests.simulator.kept import Kept
from tests.simulator.promises import expect
from tests.simulator.virtual_server import Executed, Part, VirtualServer

DUPLICATE = 7
SCOPE, ENTRY = 6, 7
"""How many arguments of `scope_apply` tell of each."""

Member = tuple[str, str]
"""A scope, and the id of a call or report that names it."""

Told = tuple[str, int, int]
"""Kind, charge and cost of an event."""

Waiting = tuple[str, Member, Told]
"""Where an event stands that is to be counted, and what it says."""


@dataclass(frozen=True)
class Counted:
    """What was counted of one call: its end, and what corrected it."""

    end: Told | None = None
    adjust: tuple[int, int] = (0, 0)

    @property
    def sums(self) -> tuple[int, int]:
        _, charge, cost = self.end or ("", 0, 0)
        return charge + self.adjust[0], cost + self.adjust[1]


class ScopeBooks(Kept):
    """Args: limits: of each scope that has any."""

    KEPT = ("_accounts", "_at", "_counted", "_held", "_posted", "_waiting")

    def __init__(
        self,
        server: VirtualServer,
        keyspace: Keyspace,
        calendar: Calendar,
        *,
        rules: Rules,
        limits: Mapping[str, Limits],
    ) -> None:
        self._server = server
        self._keyspace = keyspace
        self._calendar = calendar
        self._rules = rules
        self._limits = limits
        self._accounts: defaultdict[str, Account] = defaultdict(Account)
        self._at: defaultdict[tuple[int, int], str] = defaultdict(str)
        self._held: dict[Member, tuple[int, tuple[int, ...]]] = {}
        self._counted: dict[Member, Counted] = {}
        self._posted: dict[Member, list[Told]] = {}
        self._waiting: defaultdict[tuple[int, int], list[Waiting]] = defaultdict(list)

    def scopes_of(self, event: UsageEvent) -> Iterator[str]:
        if event.kind is Kind.REFUSE and not event.hold_pico:
            return
        if event.group:
            yield group_name(event.group)
        if app_name(event.app) in self._limits:
            yield app_name(event.app)

    def posted(self, source: int, stream_id: str, event: UsageEvent) -> None:
        for scope in self.scopes_of(event):
            member = scope, event.request_id
            told = event.kind.value, event.charge_pico, event.cost_pico
            self._posted.setdefault(member, []).append(told)
            self._waiting[self._home(scope), source].append((stream_id, member, told))

    def needs(self, source: int, last_id: str) -> list[str]:
        """The scopes that have not counted what this stream has up to `last_id`."""
        return [
            scope
            for (_, of), waiting in self._waiting.items()
            for stream_id, (scope, _), _ in waiting
            if of == source and halves(stream_id) <= halves(last_id)
        ]

    @staticmethod
    def look_at(verb: str, keys: list[str]) -> list[Sequence[Part]]:
        """What to read right after a script."""
        if verb == "scope_hold":
            return [("HGETALL", keys[0]), ("HGETALL", keys[1])]
        if verb == "scope_apply":
            return [("HGETALL", key) for key in [*keys[:2], *accounts_in(keys)]]
        return []

    def follow(self, executed: Executed) -> None:
        match executed.verb:
            case "scope_hold":
                self._follow_hold(executed)
            case "scope_apply":
                self._follow_apply(executed)
            case "HSETNX" if executed.reply == 1:
                self._begin(*(arg.decode() for arg in executed.args))

    def check_at_rest(self, events: Sequence[UsageEvent]) -> None:
        """Nothing is held any more, and what was spent is the sum of the events."""
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for event in events:
            for scope in self.scopes_of(event):
                sums[scope][0] += event.charge_pico
                sums[scope][1] += event.cost_pico
        for partition in self._keyspace.partitions:
            left = self._server.ask("HLEN", partition.scope_holds)
            expect(left == 0, f"{left} holds of scopes are left for ever in {partition.tag}")
        for scope in {*sums, *self._limits}:
            home = self._keyspace.partition_of(scope)
            flat = self._server.ask("HGETALL", home.scope_account(scope))
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            found = [int(fields.get(name, 0)) for name in (b"spent", b"cost", b"held")]
            expect(found == [*sums[scope], 0], f"{scope} is {found}, its events say {sums[scope]}")

    def _home(self, scope: str) -> int:
        return self._keyspace.partition_of(scope).index

    def _begin(self, key: str, cursor: str, place: str) -> None:
        for partition in self._keyspace.partitions:
            if key == partition.cursors and cursor.startswith("g:"):
                self._at[partition.index, int(cursor[2:])] = place

    def _follow_hold(self, executed: Executed) -> None:
        args, reply = executed.args, executed.reply
        assert isinstance(reply, list)
        scope, request_id = args[0].decode(), args[1].decode()
        member, outcome = (scope, request_id), reply[0]
        if outcome == DUPLICATE:
            expect(member in self._counted, f"{scope} takes {request_id} for ended")
        if outcome not in DECISIONS:
            return
        fields, holds = map(paired, self._server.seen)
        account, granted = self._accounts[scope], 0
        now_ms = self._server.clock.now_ms()
        now = self._calendar.at(now_ms)
        ids = tuple(
            max(now.by_kind[kind].start_ms // 1000, account.opened(kind)) for kind in KINDS[:-1]
        )
        if outcome == HELD:
            record = holds.get(b"%b %b" % (args[0], args[1]))
            expect(record is not None, f"{scope} said HELD to {request_id}, and holds nothing")
            assert record is not None
            amount, its_ids = record.decode().split("|")
            granted = int(amount)
            if member in self._held:
                expect(self._held[member][0] == granted, f"{scope} changed what {request_id} holds")
                return
            expect(member not in self._counted, f"{scope} holds for {request_id} after its end")
            ids = tuple(map(int, its_ids.split()))
            check_windows(self._calendar, now_ms, account, ids)
        wanted, least, share = map(int, args[2:5])
        asked = Asked(0, wanted, least, share, 0, 0)
        is_put_back = args[9] == args[10] == b""
        limits = {} if is_put_back else fields_of(self._limits[scope])
        unspent = unspent_of(account, limits, ids, self._rules)
        check_decision(asked, outcome, granted, unspent=unspent, held=account.held)
        if outcome == HELD:
            account.held += granted
            self._held[member] = granted, ids
        account.check(fields)

    def _follow_apply(self, executed: Executed) -> None:
        args = [arg.decode() for arg in executed.args]
        home = self._partition_at(executed.keys[0]).index
        moved: Any = executed.reply
        last = 2 + SCOPE * int(args[1])
        names = args[3:last:SCOPE]
        at = last + 1
        for has_moved in moved:
            cursor, expected, new, entries = args[at : at + 4]
            at, end = at + 4, at + 4 + ENTRY * int(entries)
            if has_moved:
                place = home, int(cursor[2:])
                stood = self._at[place]
                expect(
                    stood == expected, f"{cursor} moved from {expected!r}, it stood at {stood!r}"
                )
                self._at[place] = new
                for i in range(at, end, ENTRY):
                    member = names[int(args[i]) - 1], args[i + 2]
                    self._count(member, *args[i + 3 : i + ENTRY])
                self._check_all_counted(place, new)
            at = end
        cursors, _, *accounts = map(paired, self._server.seen)
        for (of, source), stands in self._at.items():
            if of == home:
                stored = cursors.get(b"g:%d" % source, b"").decode()
                expect(stored == stands, f"g:{source} is at {stored!r}, not at {stands!r}")
        for key, fields in zip(accounts_in(executed.keys), accounts, strict=True):
            self._accounts[key.partition("}g:")[2]].check(fields)

    def _partition_at(self, key: str) -> Partition:
        return next(p for p in self._keyspace.partitions if key.startswith(p.tag))

    def _count(self, member: Member, kind: str, charge: str, cost: str, ids: str) -> None:
        scope, told = member[0], (kind, int(charge), int(cost))
        is_there = told in self._posted.get(member, ())
        expect(is_there, f"{kind} of {member} is counted, and is not there")
        before = self._counted.get(member, Counted())
        if kind == Kind.ADJUST:
            after = replace(before, adjust=told[1:])
        elif before.end is None:
            after = replace(before, end=told)
        else:
            after = before if before.end == told else Counted(told)
        self._counted[member] = after
        more_charge, more_cost = (a - b for a, b in zip(after.sums, before.sums, strict=True))
        account, windows = self._accounts[scope], tuple(map(int, ids.split()))
        held = self._held.pop(member, None) if kind != Kind.ADJUST else None
        if held:
            amount, windows = held
            account.held -= amount
            account.over += max(0, more_charge - amount)
        elif kind == Kind.ADJUST:
            account.over += max(0, more_charge)
        if held or more_charge or more_cost:
            account.count(more_charge, more_cost, windows)

    def _check_all_counted(self, place: tuple[int, int], new: str) -> None:
        """What a cursor passes has been counted."""
        left = []
        for stream_id, member, told in self._waiting[place]:
            if halves(stream_id) > halves(new):
                left.append((stream_id, member, told))
                continue
            counted = self._counted.get(member, Counted())
            has_been = counted.adjust == told[1:] if told[0] == Kind.ADJUST else counted.end
            expect(has_been, f"{told[0]} of {member} was passed and not counted")
        self._waiting[place] = left


def accounts_in(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if "}g:" in key]


def paired(flat: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def fields_of(limits: Limits) -> dict[bytes, bytes]:
    """As a customer's profile would have them."""
    told = {
        b"total_budget": limits.total_budget_pico,
        b"period_budget": limits.period_budget_pico,
        b"budget_duration": limits.budget_duration.value,
    }
    return {name: str(value).encode() for name, value in told.items() if value is not None}
