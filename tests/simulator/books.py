"""The books as an auditor keeps them: from the stream alone, beside the server's own sums.

After every script: what is held is the sum of the holds; what was spent is the sum of the
events, in total and in each window; a call has one end; nobody was admitted beyond a limit.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.customers.windows import KINDS, Calendar
from gateway.event import MONEY_KINDS, Kind, UsageEvent, decode
from gateway.store.keys import Keyspace, Partition
from tests.simulator.virtual_server import Executed, VirtualServer

TERMINAL = frozenset({Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.ORPHAN})
RECORD = re.compile(rb"(\d+)\|(\d+)\|(?:(\d*)\|)?([\d ]+)\|")
MONEY_VERBS = frozenset({"hold", "settle", "release", "expire", "event", "refuse"})
LIMITS = (b"period_budget", b"total_budget", b"budget_duration")
KIND_OF = {b"daily": "day", b"weekly": "week", b"monthly": "month", b"yearly": "year"}


class Wrong(AssertionError):
    """The ledger broke a promise."""


@dataclass
class Account:
    """Of one customer: what the events say, and what was ever charged in each window."""

    events: list[UsageEvent] = field(default_factory=list)
    charge: int = 0
    cost: int = 0
    in_window: Counter[tuple[str, int]] = field(default_factory=Counter)

    def opened(self, kind: str) -> int:
        return max((window_id for k, window_id in self.in_window if k == kind), default=0)


class Books:
    """Reads along; `log` has every event that was ever posted, by partition and stream id."""

    def __init__(self, server: VirtualServer, keyspace: Keyspace, calendar: Calendar) -> None:
        self._server = server
        self._calendar = calendar
        self._by_tag = {p.tag: p for p in keyspace.partitions}
        self.log: dict[tuple[int, str], UsageEvent] = {}
        self.accounts: dict[int, Account] = defaultdict(Account)
        self.held_ids: dict[str, tuple[int, ...]] = {}
        self.granted: dict[str, int] = {}
        self.ends: Counter[str] = Counter()
        self.adjusts: Counter[str] = Counter()
        self.by_call: dict[str, list[UsageEvent]] = defaultdict(list)
        self._last_id: dict[int, str] = {}

    def follow(self, executed: Executed) -> None:
        if executed.verb not in MONEY_VERBS:
            return
        partition = self._by_tag[executed.keys[0].split("}")[0] + "}"]
        request_id = executed.args[0].decode()
        if executed.verb == "hold":
            self._follow_hold(partition, executed, request_id)
        self._read_on(partition, executed)
        number = int(executed.args[1])
        if number:
            self.check_account(partition, number)

    def _follow_hold(self, partition: Partition, executed: Executed, request_id: str) -> None:
        assert isinstance(executed.reply, list)
        if executed.reply[0] != 1:
            return
        record = self._server.ask("HGET", partition.holds, request_id)
        expect(record is not None, f"{request_id} was HELD and there is no hold")
        match = RECORD.match(record)
        assert match is not None
        ids = tuple(map(int, match[4].split()))
        amount = int(match[2])
        if request_id in self.granted:
            expect(self.granted[request_id] == amount, f"{request_id} was held as two amounts")
            return
        expect(not self.ends[request_id], f"{request_id} was held after its end")
        self.granted[request_id], self.held_ids[request_id] = amount, ids
        if amount:
            self._check_admission(partition, int(match[1]), amount, ids)

    def _check_admission(
        self, partition: Partition, number: int, amount: int, ids: tuple[int, ...]
    ) -> None:
        """A hold that was granted fits below every limit, beside all that is held already."""
        profile = dict(pairs(self._server.ask("HGETALL", partition.profile(number))))
        fields = dict(pairs(self._server.ask("HGETALL", partition.account(number))))
        held = int(fields.get(b"held", 0))
        expect(held >= amount, f"{amount} was granted and is not in {held} held")
        if total := profile.get(b"total_budget"):
            spent = int(fields.get(b"spent", 0))
            expect(spent + held <= int(total), f"total: {spent} + {held} > {int(total)}")
        if limit := profile.get(b"period_budget"):
            kind = KIND_OF[profile.get(b"budget_duration", b"monthly")]
            if b"period_start" in profile:
                kind = "custom"
            window_id = ids[KINDS.index(kind)]
            spent = self.accounts[number].in_window[kind, window_id]
            expect(spent + held <= int(limit), f"{kind}: {spent} + {held} > {int(limit)}")
        now = self._calendar.at(self._server.clock.now_ms())
        for i, kind in enumerate(KINDS[:-1]):
            opened = int(fields.get(kind.encode(), 0))
            this = now.by_kind[kind].start_ms // 1000
            expect(ids[i] == max(this, opened), f"held in {kind} {ids[i]}, now is {this}")

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
            self._enter(event, executed)

    def _enter(self, event: UsageEvent, executed: Executed) -> None:
        request_id = event.request_id
        self.by_call[request_id].append(event)
        if event.kind in TERMINAL:
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
        expect(held == int(fields.get(b"held", 0)), f"held {fields.get(b'held')}, holds {held}")
        account = self.accounts[number]
        spent = int(fields.get(b"spent", 0))
        expect(account.charge == spent, f"spent {spent}, the events say {account.charge}")
        expect(account.cost == int(fields.get(b"cost", 0)), "cost is not that of the events")
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


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise Wrong(otherwise)


def pairs(flat: list[bytes]) -> zip:
    return zip(flat[::2], flat[1::2], strict=True)


Check = Callable[[Executed], None]
