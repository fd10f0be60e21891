"""Plain sums, where hold and settle have them, say what the exact arithmetic says.

The scripts are run as they are, and with the short way closed, each on an account of its own
that is in the same state: replies, accounts and holds must be equal.
"""

import json

import pytest
import redis
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.store import scripts

NOW = 1_764_288_000
IDS = f"{NOW} {NOW} {NOW} {NOW} 0 0"
REQUEST = f"fbx_{NOW * 1000:012x}{7:020x}"
SHORT_WAY = {
    "hold": "if not record and outcome == HELD and row[WINDOWS] == window_ids "
    "and #ARGV < UPSERT_FROM then",
    "settle": "if record and row[WINDOWS] == window_ids then",
}
KEYS = {
    "hold": ("n", "p", "a", "h", "hx", "d"),
    "settle": ("a", "h", "hx", "ev", "d", "o"),
}

edges = st.builds(
    lambda base, near: max(0, base + near),
    st.sampled_from([0, 10**6, 10**14, 10**15, 2**52, 2**53, 9 * 10**18, 10**20]),
    st.integers(-3, 3),
)
ordinary = st.one_of(st.integers(0, 100), st.integers(0, 10**12))
amounts = st.one_of(ordinary, ordinary, edges, st.integers(0, 2**54), st.integers(0, 10**20))
ids = st.sampled_from([IDS, IDS, IDS, f"{NOW + 86_400} {NOW} {NOW} {NOW} 0 0"])


@st.composite
def accounts(draw) -> dict[str, str | int]:
    """Of its totals some lies outside the month; all of it and more where books are wrong."""
    spent, cost = draw(amounts), draw(amounts)
    wrong = draw(st.sampled_from([0, 0, 0, 2**54]))
    return {
        "spent": spent,
        "cost": cost,
        "held": draw(amounts),
        "windows": draw(ids),
        "month.past.charge": draw(st.integers(0, spent)) + wrong,
        "month.past.cost": draw(st.integers(0, cost)) + wrong,
    }


@st.composite
def limits(draw, taken: int) -> str:
    """None, any, or one that leaves about as much as is asked for."""
    near = st.builds(lambda n: max(0, taken + n), st.integers(-3, 3))
    about = st.builds(lambda n: max(0, taken + taken * n // 10**7), st.integers(-15, 15))
    return str(draw(st.one_of(st.just(""), near, about, about, amounts)))


class Pair:
    """The script as it is, and the one that goes the long way, on accounts of their own."""

    def __init__(self, client: redis.Redis, verb: str) -> None:
        source = scripts.load(verb).source
        assert source.count(SHORT_WAY[verb]) == 1
        long_way = source.replace(SHORT_WAY[verb], "if false then")
        self.client = client
        self.verb = verb
        self.ways = {
            "short": client.register_script(source),
            "long": client.register_script(long_way),
        }

    def outcomes(self, account, record: str, args) -> list[str]:
        """What each way replies and leaves behind, as text to compare."""
        found = []
        for name, script in self.ways.items():
            tag = f"{{{name}}}"
            self.client.delete(*(tag + part for part in ("n", "p", "a", "h", "hx", "ev", "d", "o")))
            self.client.hset(f"{tag}p", "version", 1)
            self.client.hset(f"{tag}a", mapping=account)
            if record:
                self.client.hset(f"{tag}h", REQUEST, record)
            reply = script(keys=[tag + part for part in KEYS[self.verb]], args=args)
            left = [reply, self.client.hgetall(f"{tag}a"), self.client.hgetall(f"{tag}h")]
            left += [posted for _, posted in self.client.xrange(f"{tag}ev") or ()]
            found.append(json.dumps(left, sort_keys=True))
        return found


@pytest.fixture(scope="module")
def client(store_server: str):
    with redis.Redis.from_url(store_server, decode_responses=True) as opened:
        yield opened


quickly = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quickly
@given(data=st.data(), account=accounts(), wanted=amounts, share=st.integers(1, 3))
def test_a_hold_is_granted_alike(client, data, account, wanted: int, share: int) -> None:
    """Around every limit, at 2^53 and far beyond, by charge and by cost."""
    least = data.draw(st.one_of(st.integers(0, wanted), amounts))
    count = data.draw(st.sampled_from(["charge", "cost"]))
    total = account["spent" if count == "charge" else "cost"]
    asked = account["held"] + data.draw(
        st.sampled_from([wanted, wanted * (share + 1) // 2, wanted * share, least])
    )
    in_month = total - account[f"month.past.{count}"]
    kind = data.draw(st.sampled_from(["month", ""]))
    of_period = data.draw(limits(in_month + asked)) if kind else ""
    of_total = data.draw(limits(total + asked))
    orphan = data.draw(st.one_of(st.just(""), st.integers(0, wanted)))
    binding = data.draw(st.sampled_from([1, 1, 0]))
    args = [REQUEST, 7, 1, wanted, least, share, orphan, 60_000, 0, 2**53, IDS]
    args += [kind, of_period, of_total, binding, count, 0, "{}"]

    short, long = Pair(client, "hold").outcomes(account, "", args)

    event(f"outcome {json.loads(short)[0][0]}")
    assert short == long


@quickly
@given(data=st.data(), account=accounts(), charge=amounts, cost=amounts)
def test_a_settle_counts_alike(client, data, account, charge: int, cost: int) -> None:
    """Below its hold and above it, in the windows that are open and in others."""
    beyond = data.draw(st.one_of(st.just(0), amounts))
    amount = data.draw(st.one_of(st.just(charge + beyond), amounts))
    account["held"] = data.draw(st.one_of(st.just(amount), amounts.map(lambda n: n + amount)))
    record = f"7|{amount}|{amount}|{IDS}|{{}}"

    short, long = Pair(client, "settle").outcomes(
        account, record, [REQUEST, 7, charge, cost, IDS, "{}"]
    )

    event(f"above its hold: {charge > amount}")
    assert short == long
