"""Keys: every one is documented, lies where one script can reach it, and dies when it says."""

import re
from collections import Counter
from pathlib import Path
from subprocess import run

import pytest
from redis.crc import key_slot

from gateway.customers.apps import Apps
from gateway.customers.groups import Group, Groups
from gateway.customers.profile import Limits
from gateway.customers.scopes import Scopes
from gateway.customers.temporary_keys import TemporaryKey, TemporaryKeys
from gateway.metering.roster.indexer import Indexer
from gateway.store import keys
from gateway.store.keys import CLUSTER_SLOTS, HOUR_MS, KEYS, WEEK_MS, Keyspace
from tests.support.ledgers import bench

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "redis-keys.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def pattern(name: str) -> re.Pattern[str]:
    """The keys that a documented name stands for."""
    spelled = re.escape(name).replace(re.escape("{p}"), r"\{fb\d+\.\d+\}")
    spelled = re.sub(r"<(number|hour|week|yyyymm|day)>", r"\\d+", spelled)
    return re.compile(re.sub("<(customer|scope|response|key|order|hash|app)>", ".+", spelled))


def test_every_key_is_documented_as_it_is() -> None:
    """Name, type, lifetime and writer, in both directions; and each says what it holds."""
    documented = {name: tuple(rest) for name, *rest, _ in ROW.findall(PAGE)}
    assert {k.name: (k.type, k.lifetime, k.writer) for k in KEYS} == documented
    assert all(holds.strip() for *_, holds in ROW.findall(PAGE))


_EXPIRING = {"{p}d", "{p}o", "{p}k", "{p}gd", "{p}t", "{fb}background", "{fb}new"}


@pytest.mark.anyio
async def test_every_key_in_use_is_documented(url: str) -> None:
    """After calls, reports, refusals and a sweep: no key without a row, each of its type."""
    scopes = Scopes(groups={"sales": Limits(total_budget_pico=100)})
    places = {"app": 10}
    async with bench(url, scopes=scopes, new_customers_per_day=places, whole=True) as b:
        await b.settle(await b.hold("acme", 5, period_start="2026-01-01", rate_limit=5), 5)
        await b.release(await b.hold("acme", 5))
        await b.lapse(await b.hold("acme", 5))
        await b.hold("other", 5, group_identifier="sales")
        refused = b.event(await b.hold("gone", 5), 0)
        await b.ledger.refuse("gone", refused)
        await b.directory.create("made", {"name": "A"})
        await b.directory.create("deleted", {})
        await b.directory.delete("deleted")
        await Groups(b.store, scopes).put("sales", Group(total_budget=100))
        event = b.event(await b.hold("acme", 0), 5)
        for key in (None, "k"):
            await b.ledger.record("acme", lambda _: event, idempotency_key=key, fingerprint="f")
        await b.ledger.entrusted.entrust(await b.hold("acme", 5), "resp_1", b"{}", 2**41)
        await Indexer(b.store).step()
        wanted = TemporaryKey(id="", digest="", app="app", made_ms=0, until_ms=2**42)
        await TemporaryKeys(b.store, Apps([]), b.clock).make(wanted)
        seen = set()
        for key in await b.command("KEYS", "*"):
            specs = [spec for spec in KEYS if pattern(spec.name).fullmatch(key.decode())]
            assert 1 == len(specs), key
            assert specs[0].type.encode() == await b.command("TYPE", key)
            ttl = await b.command("TTL", key)
            assert (specs[0].name.split(":")[0] in _EXPIRING) == (ttl > 0), key
            seen.add(specs[0].name)
        background = {
            "apply, rebuild",
            "scope_apply",
            "trim",
            "auditor",
            "every worker",
            "the dashboard's login",
        }
        unused = {k.name for k in KEYS if k.writer in background} | {keys.BACKGROUND_LEASE}
        assert {k.name for k in KEYS} - unused == seen


def test_the_partitions_lie_evenly_over_the_slots() -> None:
    """Each in its own share, so that a cluster's nodes get as many as they have slots."""
    for count in (1, 2, 3, 64, 256):
        width = CLUSTER_SLOTS // count
        slots = [key_slot(p.stream.encode()) for p in Keyspace(count).partitions]
        assert list(range(count)) == [slot // width for slot in slots]


def test_all_keys_of_a_partition_share_its_slot() -> None:
    """Whatever a customer is called, braces included: one script may touch them all."""
    keyspace = Keyspace()
    for customer in ("acme", "{other}", "a{b}c", "}{", "名前", "n:1"):
        p = keyspace.partition_of(customer)
        made = [
            p.holds,
            p.expiries,
            p.stream,
            p.cursors,
            p.number(customer),
            p.profile(1),
            p.account(1),
            p.tombstones(1),
            p.orphans(1),
            *p.idempotency(0),
            p.counters(1),
            p.days(1, "202611"),
        ]
        assert 1 == len({key_slot(key.encode()) for key in made})
        assert len(made) == len(set(made))


def test_customers_spread_evenly_and_stay() -> None:
    """By a hash of their identifier: no partition has twice its share, nor another tomorrow."""
    keyspace = Keyspace()
    spread = Counter(keyspace.partition_of(f"customer-{i}").index for i in range(20_000))
    assert 64 == len(spread)
    assert max(spread.values()) < 1.25 * 20_000 / 64
    expected = {"acme": 32, "": 20, "名前": 47}
    assert expected == {name: Keyspace().partition_of(name).index for name in expected}


def test_tags_never_change() -> None:
    """They are in every key of every store that is in use."""
    tags = [p.tag for p in Keyspace().partitions]
    assert ["{fb0.48}", "{fb1.0}", "{fb63.132}"] == [tags[0], tags[1], tags[63]]


def test_the_buckets_of_idempotency_keys_go_back_six_weeks() -> None:
    """The one of now first: that is where a new key goes."""
    p = Keyspace().partitions[0]
    assert [f"{p.tag}k:{week}" for week in (10, 9, 8, 7, 6, 5)] == p.idempotency(10 * WEEK_MS)
    assert p.idempotency(10 * WEEK_MS) == p.idempotency(11 * WEEK_MS - 1)
    assert 3_600_000 == HOUR_MS


def test_no_other_module_spells_a_key() -> None:
    """A key that is put together elsewhere escapes the page and the cluster's slots."""
    found = run(
        ["grep", "-rnE", r"[\"']\{fb|(partition|p)\.tag", "gateway", "--include=*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    assert [] == [line for line in found if not line.startswith("gateway/store/keys.py")]
