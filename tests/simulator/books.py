"""The books as an auditor keeps them: from the stream alone, beside the server's own sums.

After every script: what is held is the sum of the holds; what was spent is the sum of the
events, in total and in each window; a call has one end; a hold was granted what it must be.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.customers.profile import Limits
from gateway.customers.windows import KINDS, Calendar
from gateway.event import MONEY_KINDS, Kind, UsageEvent, decode
from gateway.ledger.rules import Rules
from gateway.metering.window_sums import named_in
from gateway.store.keys import Keyspace, Partition
from tests.simulator.accounts import Account
from tests.simulator.counting import Counting
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
from tests.simulator.scope_books import ScopeBooks
from tests.simulator.trimming import Trimming
from tests.simulator.virtual_server import Executed, Part, VirtualServer

TERMINAL = frozenset({Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.ORPHAN})
RECORD = re.compile(rb"(?P<number>\d+)\|(?P<amount>\d+)\|(?P<orphan>\d+)\|(?P<ids>[\d ]+)\|")
MONEY_VERBS = frozenset({"hold", "restore", "settle", "release", "expire", "event", "refuse"})
EXPIRED = 1


class Books(Kept):
    """Reads along.

    Args:
        scopes: The limits of groups and apps.

    Attributes:
        log: Every event that was posted, by partition and stream id; trimmed ones, too.
        by_call: The same, by request id.
        granted, orphaned: By request id: what was held, what to post should it never end.
        lost: Calls and reports of which the store has ever lost something.
    """

    KEPT = (
        *("_accounts", "_ends", "_ids", "_last_id", "_leased_to_ms"),
        *("by_call", "granted", "log", "orphaned"),
    )

    def __init__(
        self,
        server: VirtualServer,
        keyspace: Keyspace,
        calendar: Calendar,
        *,
        rules: Rules,
        scopes: Mapping[str, Limits],
    ) -> None:
        self._server = server
        self._calendar = calendar
        self._rules = rules
        self.keyspace = keyspace
        self._by_tag = {p.tag: p for p in keyspace.partitions}
        self._last_id: dict[int, str] = {}
        self._ids: dict[str, Sequence[int]] = {}
        self._leased_to_ms: dict[str, int] = {}
        self._ends: Counter[str] = Counter()
        self._accounts: defaultdict[int, Account] = defaultdict(Account)
        self.counting = [Counting(server, partition) for partition in keyspace.partitions]
        self.scopes = ScopeBooks(server, keyspace, calendar, rules=rules, limits=scopes)
        self.trimming = [Trimming(server, p, self.scopes) for p in keyspace.partitions]
        self.lost: set[str] = set()
        self._kept: list[bytes] = []
        self.log: dict[tuple[int, str], UsageEvent] = {}
        self.by_call: defaultdict[str, list[UsageEvent]] = defaultdict(list)
        self.granted: dict[str, int] = {}
        self.orphaned: dict[str, int] = {}

    @property
    def pages(self) -> list[Kept]:
        """All that goes back with the store."""
        return [self, self.scopes, *self.counting, *self.trimming]

    def keep_all(self) -> None:
        self._kept = [page.keep() for page in self.pages]

    def lose(self) -> None:
        """The store is again as it was when it was kept."""
        ends, granted = self._ends_by_call(), set(self.granted)
        for page, kept in zip(self.pages, self._kept, strict=True):
            page.go_back(kept)
        left = self._ends_by_call()
        self.lost |= {name for name, events in ends.items() if left.get(name) != events}
        self.lost |= granted - set(self.granted)

    def _ends_by_call(self) -> dict[str, int]:
        return {name: len(events) for name, events in self.by_call.items()}

    def has_ended(self, request_id: str) -> bool:
        return bool(self._ends[request_id])

    def look_at(self, verb: str, keys: list[str], args: list[bytes]) -> list[Sequence[Part]]:
        """What to read right after a script."""
        if verb == "trim":
            return self.trimming[self._partition(keys).index].look_at()
        if verb not in MONEY_VERBS:
            return self.scopes.look_at(verb, keys)
        partition, number = self._partition(keys), int(args[1])
        last = self._last_id.get(partition.index)
        return [
            ("XRANGE", partition.stream, f"({last}" if last else "-", "+"),
            ("HGETALL", partition.holds),
            ("ZRANGE", partition.expiries, 0, -1),
            ("HGETALL", partition.account(number)),
            ("HGETALL", partition.profile(number)),
        ]

    def follow(self, executed: Executed) -> None:
        self._follow_leases(executed)
        self.scopes.follow(executed)
        if executed.verb == "apply":
            self.counting[self._partition(executed.keys).index].follow(executed)
        if executed.verb == "trim":
            self.trimming[self._partition(executed.keys).index].follow(executed)
        if executed.verb not in MONEY_VERBS:
            return
        partition, number = self._partition(executed.keys), int(executed.args[1])
        entries, records, leases, account, profile = self._server.seen
        holds = dict(paired(records))
        expect(set(holds) == set(leases), "a hold without a lease, or a lease without a hold")
        if executed.verb == "hold":
            self._follow_hold(executed, holds, dict(paired(profile)))
        if executed.verb == "restore" and executed.reply == HELD:
            self._follow_restore(executed)
        for stream_id, flat in entries:
            self._enter(partition, stream_id.decode(), flat, executed)
        if number:
            self._check_account(number, holds.values(), dict(paired(account)))

    def _partition(self, keys: Sequence[str]) -> Partition:
        return self._by_tag[keys[0].split("}")[0] + "}"]

    def _follow_leases(self, executed: Executed) -> None:
        """A call whose lease is renewed is never taken for dead."""
        now_ms = self._server.clock.now_ms()
        if executed.verb == "renew":
            for renewed, orphan in zip(*(executed.args[i::2] for i in (1, 2)), strict=True):
                request_id = renewed.decode()
                self._leased_to_ms[request_id] = now_ms + int(executed.args[0])
                if orphan and request_id in self.granted and not self._ends[request_id]:
                    self.orphaned[request_id] = max(self.orphaned[request_id], int(orphan))
        if executed.verb == "expire" and executed.reply == EXPIRED:
            request_id = executed.args[0].decode()
            expect(self._leased_to_ms[request_id] <= now_ms, f"{request_id} expired too early")

    def _follow_hold(
        self, executed: Executed, holds: dict[bytes, bytes], profile: dict[bytes, bytes]
    ) -> None:
        reply: Any = executed.reply
        request_id, asked = executed.args[0].decode(), Asked.of(executed.args)
        outcome, granted, ids = reply[0], 0, reply[-1]
        if outcome not in DECISIONS:
            return
        if outcome == HELD:
            record = RECORD.match(holds.get(executed.args[0], b""))
            expect(record is not None, f"{request_id} was HELD and there is no hold")
            assert record is not None
            granted, ids = int(record["amount"]), record["ids"]
            if request_id in self.granted:
                before = self.granted[request_id]
                expect(before == granted, f"{request_id} was held as {before} and as {granted}")
                return
        expect(not self._ends[request_id], f"{request_id} was held after its end")
        account = self._accounts[asked.number]
        windows = tuple(map(int, ids.split()))
        check_windows(self._calendar, self._server.clock.now_ms(), account, windows)
        unspent = unspent_of(account, profile, windows, self._rules)
        check_decision(asked, outcome, granted, unspent=unspent, held=account.held)
        if outcome == HELD:
            account.held += granted
            self.granted[request_id] = granted
            self.orphaned[request_id] = asked.orphaned(granted, self._rules)
            self._ids[request_id] = windows
            self._leased_to_ms[request_id] = self._server.clock.now_ms() + asked.lease_ms

    def _follow_restore(self, executed: Executed) -> None:
        """A hold that was lost is put back, whatever the limits; one that is there stays."""
        request_id = executed.args[0].decode()
        expect(not self._ends[request_id], f"{request_id} was put back after its end")
        if request_id in self.granted:
            return
        number, amount, orphan, lease_ms = map(int, executed.args[1:5])
        self._accounts[number].held += amount
        self.granted[request_id], self.orphaned[request_id] = amount, orphan
        self._ids[request_id] = tuple(map(int, executed.args[5].split()))
        self._leased_to_ms[request_id] = self._server.clock.now_ms() + lease_ms

    def _enter(
        self, partition: Partition, stream_id: str, flat: list[bytes], executed: Executed
    ) -> None:
        """Take in what a script has posted."""
        event, named = decode(flat), named_in(flat)
        expect((named is not None) == (event.kind in MONEY_KINDS), f"{event.kind} names {named!r}")
        self._last_id[partition.index] = stream_id
        self.log[partition.index, stream_id] = event
        self.counting[partition.index].posted(stream_id, event)
        self.trimming[partition.index].posted(stream_id, event, named)
        self.scopes.posted(partition.index, stream_id, event)
        account = self._accounts[event.customer_number]
        self._check_end(event, account)
        self.by_call[event.request_id].append(event)
        if event.kind in MONEY_KINDS:
            ids = self._ids.get(event.request_id, ())
            if event.kind is Kind.SETTLE and not ids:  # it passed while the store was away
                told = [int(i) for i in executed.args[4].split()]
                now_s = self._server.clock.now_ms() // 1000
                both = zip(KINDS, told, strict=False)
                ids = [i if i <= now_s else account.opened(kind) for kind, i in both]
            if event.kind is Kind.EVENT:
                now = map(int, executed.args[7].split())
                ids = [i and max(i, account.opened(k)) for k, i in zip(KINDS, now, strict=False)]
            account.count(event.charge_pico, event.cost_pico, ids, named)
            account.check_named()

    def _check_end(self, event: UsageEvent, account: Account) -> None:
        """A call ends once; only an orphan is corrected, and once."""
        request_id = event.request_id
        kinds = [earlier.kind for earlier in self.by_call[request_id]]
        granted = self.granted.get(request_id, 0)
        if event.kind in TERMINAL:
            self._ends[request_id] += 1
            account.held -= granted
            expect(self._ends[request_id] == 1, f"{request_id} ended twice: {kinds}, {event.kind}")
        if event.kind is Kind.SETTLE and request_id in self.granted:
            account.over += max(0, event.charge_pico - granted)
        if event.kind is Kind.ADJUST:
            account.over += max(0, event.charge_pico)
            expect(kinds == [Kind.ORPHAN], f"{request_id} was corrected after {kinds}")

    def _check_account(
        self, number: int, records: Iterable[bytes], fields: dict[bytes, bytes]
    ) -> None:
        found = [match for record in records if (match := RECORD.match(record))]
        holds = sum(int(m["amount"]) for m in found if int(m["number"]) == number)
        account = self._accounts[number]
        expect(holds == account.held, f"holds of {holds}, the events say {account.held}")
        account.check(fields)


def paired(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
