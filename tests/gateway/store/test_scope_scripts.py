"""The scripts of groups and apps: what they admit, and that an end counts once."""

from itertools import permutations

import pytest
import redis

from gateway.store import scripts
from gateway.store.keys import HOUR_MS, Keyspace
from tests.support import windows

SCOPE = "group:acme & sons"
IDS = "86400 86400 86400 86400 0 0"
LATER = "172800 86400 86400 86400 0 0"
FOREVER = [0, 2**53]
HELD, EXCEEDED, IN_FLIGHT, STALE, DUPLICATE = 1, 2, 3, 6, 7


def request_id(n: int) -> str:
    return f"fbx_{HOUR_MS:012x}{n:020x}"


class Bench:
    """One scope, and the scripts on it."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.home = Keyspace().partition_of(SCOPE)
        self.account = self.home.scope_account(SCOPE)
        self.ended = self.home.scope_tombstones(1)
        self.scripts = {
            name: self.client.register_script(scripts.load(name).source)
            for name in ("scope_hold", "scope_apply")
        }

    def hold(
        self,
        n: int,
        wanted,
        *,
        least=None,
        share=1,
        kind="month",
        limit="",
        total="",
        ids=IDS,
        anchor="",
        between=FOREVER,
    ):
        return self.scripts["scope_hold"](
            keys=[self.account, self.home.scope_holds, self.ended],
            args=[
                *(SCOPE, request_id(n), wanted, wanted if least is None else least, share),
                *(*between, ids, kind, limit, total, "charge", anchor),
            ],
        )

    def apply(
        self,
        *batches,
        source=3,
        expected="",
        new="5-0",
        kind="month",
        limit="",
        total="",
        anchor="",
        count="charge",
    ):
        entries = [
            part
            for n, of, charge, cost, ids in batches
            for part in (1, 4, request_id(n), of, charge, cost, ids)
        ]
        scope = [3, SCOPE, anchor, kind, limit, total]
        return self.scripts["scope_apply"](
            keys=[self.home.cursors, self.home.scope_holds, self.account, self.ended],
            args=[count, 1, *scope, 1, f"g:{source}", expected, new, len(batches), *entries],
        )

    def fields(self, *names) -> list[int]:
        return [int(v or 0) for v in self.client.hmget(self.account, names)]

    def window(self, kind: str) -> list[int]:
        """Id, charge and cost of the open window of a kind."""
        names = ("spent", "cost", f"{kind}.past.charge", f"{kind}.past.cost")
        charge, cost, past_charge, past_cost = self.fields(*names)
        window_id = windows.read(self.client.hget(self.account, "windows"))[kind]
        return [window_id, charge - past_charge, cost - past_cost]

    @property
    def spent(self) -> int:
        return self.fields("spent")[0]

    @property
    def held(self) -> int:
        records = self.client.hvals(self.home.scope_holds)
        holds = [int(str(record).split("|")[0]) for record in records]
        assert sum(holds) == self.fields("held")[0]
        return sum(holds)


@pytest.fixture
def bench(url: str):
    opened = Bench(url)
    yield opened
    opened.client.close()


def test_holds_up_to_the_limit_and_not_beyond(bench: Bench) -> None:
    """Whatever is held counts against the limit, and a repetition holds nothing more."""
    assert [HELD, "40", "0", "0", "0"] == bench.hold(1, 40, limit=100)[:5]
    assert [HELD, "40"] == bench.hold(1, 40, limit=100)[:2]
    assert [HELD, "60", "0", "0", "40"] == bench.hold(2, 60, limit=100)[:5]
    assert IN_FLIGHT == bench.hold(3, 1, limit=100)[0]
    assert EXCEEDED == bench.hold(3, 101, limit=100)[0]
    assert IN_FLIGHT == bench.hold(3, 1, total=100)[0]
    assert HELD == bench.hold(4, 0, limit=100)[0]
    assert 100 == bench.held


@pytest.mark.parametrize(
    ("wanted", "least", "share", "granted"),
    [(90, 90, 1, 90), (200, 10, 1, 100), (200, 10, 2, 50), (200, 60, 2, 60), (40, 40, 4, 40)],
)
def test_grants_between_least_and_wanted(bench: Bench, wanted, least, share, granted) -> None:
    """The share bounds what is granted; `least` is granted where it has room at all."""
    reply = bench.hold(1, wanted, least=least, share=share, limit=100)
    assert [HELD, str(granted)] == reply[:2]


def test_a_hold_outside_its_windows_is_sent_back(bench: Bench) -> None:
    """Server time decides; the reply says what it is."""
    outcome, *_, now_ms = bench.hold(1, 1, between=[0, 1])
    assert outcome == STALE
    assert now_ms > HOUR_MS
    assert 0 == bench.held


def test_an_end_takes_the_hold_off_and_counts_in_its_windows(bench: Bench) -> None:
    """Charge and cost go to the totals and the hold's own windows; what is above it is said."""
    bench.hold(1, 40, ids=LATER)
    assert [1] == bench.apply((1, "settle", 50, 45, IDS))
    assert 0 == bench.held
    assert [50, 45, 10] == bench.fields("spent", "cost", "over.settle")
    assert [172800, 50, 45] == bench.window("day")
    bench.apply((2, "event", 7, 7, IDS), expected="5-0", new="6-0")
    assert 57 == bench.spent
    assert [172800, 50, 45] == bench.window("day")
    assert [86400, 57, 52] == bench.window("month")


def test_a_cursor_moves_once(bench: Bench) -> None:
    """A zombie's batch, or the same one again, changes nothing."""
    assert [1] == bench.apply((1, "settle", 5, 5, IDS))
    assert [0] == bench.apply((1, "settle", 5, 5, IDS), (2, "settle", 9, 9, IDS))
    assert [0] == bench.apply((2, "settle", 9, 9, IDS), expected="4-0", new="9-0")
    assert 5 == bench.spent
    assert [1] == bench.apply((2, "settle", 9, 9, IDS), source=4)
    assert 14 == bench.spent


def test_a_late_hold_does_not_land(bench: Bench) -> None:
    """A hold that was delayed past the end of its call is refused, whatever that end was."""
    for n, kind in enumerate(("settle", "release", "refuse", "orphan")):
        bench.apply((n, kind, 0, 0, IDS), source=n)
        assert DUPLICATE == bench.hold(n, 1)[0]
    assert 0 == bench.held


def test_an_end_posted_anew_counts_once(bench: Bench) -> None:
    """A source that lost its tail posts the same end under another stream id."""
    for turn, expected in enumerate(("", "0-1", "1-1")):
        bench.apply((1, "settle", 5, 4, IDS), expected=expected, new=f"{turn}-1")
        assert [5, 4] == bench.fields("spent", "cost")


def test_another_end_replaces_the_lost_one(bench: Bench) -> None:
    """An orphan that its source lost is no end any more: the settle that it has is the truth."""
    bench.hold(1, 40)
    bench.apply((1, "orphan", 40, 40, IDS), new="1-0")
    bench.apply((1, "adjust", -10, -12, IDS), expected="1-0", new="2-0")
    assert [30, 28] == bench.fields("spent", "cost")
    bench.apply((1, "settle", 33, 31, IDS), expected="2-0", new="3-0")
    assert [33, 31] == bench.fields("spent", "cost") == bench.window("month")[1:]


def test_orphan_and_adjust_add_up_in_any_order_and_number(bench: Bench) -> None:
    """However often and in whatever order the two are seen, each counts once."""
    pair = [("orphan", 40), ("adjust", -10)]
    for turn, order in enumerate(permutations(pair * 2)):
        for kind, amount in order:
            cursor = bench.client.hget(bench.home.cursors, "g:3") or ""
            bench.apply((turn, kind, amount, amount, IDS), expected=cursor, new=f"{turn}-{kind}")
        assert 30 * (turn + 1) == bench.spent


def test_amounts_have_any_number_of_digits(bench: Bench) -> None:
    """No counter of a group ends where an int64 does."""
    large = 8 * 10**18
    for n in range(5):
        bench.apply((n, "settle", large, large - 1, IDS), source=n)
    assert [5 * large, 5 * large - 5] == bench.fields("spent", "cost")


def test_a_damaged_key_is_noticed_before_anything_is_written(bench: Bench) -> None:
    bench.client.set(bench.ended, "no hash")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        bench.apply((1, "settle", 5, 5, IDS))
    assert not bench.client.exists(bench.account, bench.home.cursors)
