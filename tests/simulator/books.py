"""The books as an auditor keeps them: from the stream alone, beside the server's own sums.

After every script: what is held is the sum of the holds; what was spent is the sum of the
events, in total and in each window; a call has one end; nobody was admitted beyond a limit.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.customers.windows import KINDS, Calendar
from gateway.event import MONEY_KINDS, Kind, UsageEvent, decode
from gateway.ledger.rules import Rules
from gateway.store.keys import Keyspace, Partition
from tests.simulator.counting import Counting
from tests.simulator.promises import expect
from tests.simulator.virtual_server import Executed, VirtualServer

TERMINAL = frozenset({Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.ORPHAN})
RECORD = re.compile(rb"(\d+)\|(\d+)\|(\d+)\|([\d ]+)\|")
MONEY_VERBS = frozenset({"hold", "settle", "release", "expire", "event", "refuse"})
HELD, EXCEEDED, IN_FLIGHT = 1, 2, 3
EXPIRED = 1
KIND_OF = {b"daily": "day", b"weekly": "week", b"monthly": "month", b"yearly": "year"}


@dataclass(frozen=True)
class Asked:
    """What a hold asks for."""

    number: int
    wanted: int
    least: int
    share: int
    input: int

    @classmethod
    def of(cls, args: Sequence[bytes]) -> "Asked":
        return cls(int(args[1]), *map(int, args[3:6]), int(args[6] or b"0"))


@dataclass
class Account:
    """Of one customer: what the events say, and what was ever charged in each window."""

    events: list[UsageEvent] = field(default_factory=list)
    charge: int = 0
    cost: int = 0
    over: int = 0
    in_window: Counter[tuple[str, int]] = field(default_factory=Counter)
    cost_in: Counter[tuple[str, int]] = field(default_factory=Counter)

    def opened(self, kind: str) -> int:
        return max((window_id for k, window_id in self.in_window if k == kind), default=0)


class Books:
    """Reads along; `log` has every event that was ever posted, by partition and stream id."""

    def __init__(
        self, server: VirtualServer, keyspace: Keyspace, calendar: Calendar, rules: Rules
    ) -> None:
        self._rules = rules
        self._server = server
        self._calendar = calendar
        self.counting = [Counting(server, partition) for partition in keyspace.partitions]
        self._by_tag = {p.tag: p for p in keyspace.partitions}
        self.log: dict[tuple[int, str], UsageEvent] = {}
        self.accounts: dict[int, Account] = defaultdict(Account)
        self.held_ids: dict[str, tuple[int, ...]] = {}
        self.granted: dict[str, int] = {}
        self.orphaned: dict[str, int] = {}
        self.held: Counter[int] = Counter()
        self._leased_to_ms: dict[str, int] = {}
        self.ends: Counter[str] = Counter()
        self.adjusts: Counter[str] = Counter()
        self.by_call: dict[str, list[UsageEvent]] = defaultdict(list)
        self._last_id: dict[int, str] = {}

    def follow(self, executed: Executed) -> None:
        self._follow_leases(executed)
        if executed.verb not in MONEY_VERBS | {"apply"}:
            return
        partition = self._by_tag[executed.keys[0].split("}")[0] + "}"]
        if executed.verb == "apply":
            self.counting[partition.index].follow(executed)
            return
        request_id = executed.args[0].decode()
        if executed.verb == "hold":
            self._follow_hold(partition, executed, request_id)
        self._read_on(partition, executed)
        number = int(executed.args[1])
        if number:
            self.check_account(partition, number)

    def _follow_leases(self, executed: Executed) -> None:
        """A call whose lease is renewed is never taken for dead."""
        now_ms = self._server.clock.now_ms()
        if executed.verb == "renew":
            for request_id in executed.args[1::2]:
                self._leased_to_ms[request_id.decode()] = now_ms + int(executed.args[0])
        if executed.verb == "expire" and executed.reply == EXPIRED:
            request_id = executed.args[0].decode()
            expect(self._leased_to_ms[request_id] <= now_ms, f"{request_id} expired too early")

    def _follow_hold(self, partition: Partition, executed: Executed, request_id: str) -> None:
        assert isinstance(executed.reply, list)
        outcome = executed.reply[0]
        if outcome not in (HELD, EXCEEDED, IN_FLIGHT):
            return
        asked = Asked.of(executed.args)
        granted = 0
        if outcome == HELD:
            record = self._server.ask("HGET", partition.holds, request_id)
            expect(record is not None, f"{request_id} was HELD and there is no hold")
            match = RECORD.match(record)
            assert match is not None
            granted = int(match[2])
            if request_id in self.granted:
                before = self.granted[request_id]
                expect(before == granted, f"{request_id} was held as {before} and as {granted}")
                return
            expect(not self.ends[request_id], f"{request_id} was held after its end")
            self.granted[request_id] = granted
            self._leased_to_ms[request_id] = self._server.clock.now_ms() + int(executed.args[7])
            self.orphaned[request_id] = granted
            if self._rules.orphans == "input":
                self.orphaned[request_id] = min(granted, asked.input)
            ids = tuple(map(int, match[4].split()))
            self.held_ids[request_id] = ids
        else:
            ids = tuple(map(int, executed.reply[6].split()))
        self._check_ids(asked.number, ids)
        self._check_decision(partition, asked, outcome, granted, ids)

    def _check_ids(self, number: int, ids: tuple[int, ...]) -> None:
        """A hold is in the windows of now, or in later ones that have been opened."""
        now = self._calendar.at(self._server.clock.now_ms())
        for i, kind in enumerate(KINDS[:-1]):
            this = now.by_kind[kind].start_ms // 1000
            latest = max(this, self.accounts[number].opened(kind))
            expect(ids[i] == latest, f"held in {kind} {ids[i]}, now is {latest}")

    def _check_decision(
        self,
        partition: Partition,
        asked: "Asked",
        outcome: int,
        granted: int,
        ids: tuple[int, ...],
    ) -> None:
        """As much as there is room for below every limit, and never more."""
        held = self.held[asked.number]
        self.held[asked.number] += granted
        unspent = self._unspent(partition, asked.number, ids)
        if asked.wanted == 0 or unspent is None:
            expect((outcome, granted) == (HELD, asked.wanted), f"{asked}: {outcome} {granted}")
            return
        expect(granted <= max(0, unspent - held), f"{granted} granted, {unspent} - {held} left")
        room = unspent - held
        if unspent < asked.least:
            decision = EXCEEDED, 0
        elif room < asked.least:
            decision = IN_FLIGHT, 0
        else:
            decision = HELD, min(asked.wanted, max(asked.least, room // asked.share))
        expect((outcome, granted) == decision, f"{asked}: {outcome} {granted}, not {decision}")

    def _unspent(self, partition: Partition, number: int, ids: tuple[int, ...]) -> int | None:
        """What the events leave of the tightest limit; None without one."""
        profile = dict(pairs(self._server.ask("HGETALL", partition.profile(number))))
        account = self.accounts[number]
        by_cost = self._rules.count == "cost"
        left = []
        if total := profile.get(b"total_budget"):
            left.append(int(total) - (account.cost if by_cost else account.charge))
        if limit := profile.get(b"period_budget"):
            kind = KIND_OF[profile.get(b"budget_duration", b"monthly")]
            if b"period_start" in profile:
                kind = "custom"
            counted = account.cost_in if by_cost else account.in_window
            left.append(int(limit) - counted[kind, ids[KINDS.index(kind)]])
        return min(left, default=None)

    def _read_on(self, partition: Partition, executed: Executed) -> None:
        """Take in what the script has posted."""
        last = self._last_id.get(partition.index)
        entries = self._server.ask(
            "XRANGE", partition.stream, f"({last}" if last else "-", "+"
        )
        for stream_id, flat in entries:
            event = decode(dict(pairs(flat)))
            self._last_id[partition.index] = stream_id.decode()
            self.log[partition.index, stream_id.decode()] = event
            self.counting[partition.index].posted(stream_id.decode(), event)
            self._enter(event, executed)

    def _enter(self, event: UsageEvent, executed: Executed) -> None:
        request_id = event.request_id
        self.by_call[request_id].append(event)
        if event.kind in TERMINAL:
            self.held[event.customer_number] -= self.granted.get(request_id, 0)
            self.ends[request_id] += 1
            expect(self.ends[request_id] == 1, f"{request_id} ended twice: {event.kind}")
        if event.kind is Kind.ADJUST:
            self.adjusts[request_id] += 1
            expect(self.adjusts[request_id] == 1, f"{request_id} was adjusted twice")
            orphaned = self.by_call[request_id][0].kind is Kind.ORPHAN
            expect(orphaned, f"{request_id} was adjusted and was no orphan")
        account = self.accounts[event.customer_number]
        account.events.append(event)
        account.charge += event.charge_pico
        account.cost += event.cost_pico
        if event.kind is Kind.SETTLE and request_id in self.granted:
            account.over += max(0, event.charge_pico - self.granted[request_id])
        if event.kind is Kind.ADJUST:
            account.over += max(0, event.charge_pico)
        if event.kind not in MONEY_KINDS:
            return
        ids = self.held_ids.get(request_id)
        if event.kind is Kind.EVENT:
            now = map(int, executed.args[7].split())
            ids = tuple(
                window_id and max(window_id, account.opened(kind))
                for kind, window_id in zip(KINDS, now, strict=False)
            )
        for kind, window_id in zip(KINDS, ids or (), strict=False):
            if window_id:
                account.in_window[kind, window_id] += event.charge_pico
                account.cost_in[kind, window_id] += event.cost_pico

    def check_account(self, partition: Partition, number: int) -> None:
        ask = self._server.asks
        flat, records, leases = ask(
            ("HGETALL", partition.account(number)),
            ("HGETALL", partition.holds),
            ("ZRANGE", partition.expiries, 0, -1),
        )
        fields = dict(pairs(flat))
        holds = dict(pairs(records))
        expect(set(holds) == set(leases), "a hold without a lease, or a lease without a hold")
        amounts = [RECORD.match(record) for record in holds.values()]
        held = sum(int(m[2]) for m in amounts if m is not None and int(m[1]) == number)
        expect(held == self.held[number], f"holds of {held}, by the events {self.held[number]}")
        expect(held == int(fields.get(b"held", 0)), f"held {fields.get(b'held')}, holds {held}")
        account = self.accounts[number]
        spent = int(fields.get(b"spent", 0))
        expect(account.charge == spent, f"spent {spent}, the events say {account.charge}")
        expect(account.cost == int(fields.get(b"cost", 0)), "cost is not that of the events")
        over = int(fields.get(b"over.settle", 0))
        expect(account.over == over, f"over.settle {over}, the events say {account.over}")
        self._check_windows(account, fields)

    def _check_windows(self, account: Account, fields: dict[bytes, bytes]) -> None:
        """What counts in a window is what was held in it, and the latest window is open."""
        for kind in KINDS:
            opened = account.opened(kind)
            if not opened:
                continue
            current = int(fields.get(kind.encode(), 0))
            expect(current == opened, f"{kind} {current} is open, not {opened}")
            counted = int(fields.get(f"{kind}.charge".encode(), 0))
            said = account.in_window[kind, current]
            expect(counted == said, f"{kind} {current}: counted {counted}, the events say {said}")
            cost = int(fields.get(f"{kind}.cost".encode(), 0))
            expect(cost == account.cost_in[kind, current], f"{kind} {current}: cost {cost}")


def pairs(flat: list[bytes]) -> zip:
    return zip(flat[::2], flat[1::2], strict=True)
