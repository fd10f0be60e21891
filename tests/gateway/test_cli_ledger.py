"""`farebox ledger` as a user runs it, beside a gateway and without one."""

import json
import threading
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.beside import progressing
from gateway.store.embedded import EmbeddedStore
from gateway.store.keys import META, Keyspace
from tests.support.gateways import Gateway, a_customer, gateway, settings, wait_until

CLEAN, DIFFERENT, UNCHECKED = 0, 1, 2


def run(*args: str):
    """Standard output and standard error apart, and the exit code."""
    return CliRunner().invoke(main, ["ledger", *args])


def config_of(folder: Path, **changes) -> str:
    file = folder / "farebox.yaml"
    file.write_text(
        json.dumps(settings(folder / "data", "http://127.0.0.1:1", **changes), default=str)
    )
    return str(file)


@pytest.fixture(scope="module")
def door():
    with gateway() as serving:
        yield serving


@pytest.fixture
def config(door, tmp_path) -> str:
    """The gateway's own store, by URL, from another folder."""
    return config_of(tmp_path, redis={"url": door.store_url})


def account(door: Gateway, customer: str) -> str:
    number = int(door.store.get(door.partition(customer).number(customer)))
    return door.partition(customer).account(number)


def test_sound_books_exit_0_beside_live_calls(door, config) -> None:
    """Time after time, while a gateway serves and flushes: no false alarm."""
    customer, ended = a_customer(), threading.Event()
    codes: list[int] = []

    def calls() -> None:
        while not ended.is_set():
            door.chat(customer, "Hello there")

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        codes = [run("verify", "--config", config).exit_code for _ in range(4)]
    finally:
        ended.set()
        thread.join()

    shown = run("verify", "--config", config)
    assert [CLEAN] * 4 == codes
    assert CLEAN == shown.exit_code
    assert "Checked 64 partitions" in shown.stdout
    assert "Every balance is the sum of its events" in shown.stdout


@pytest.mark.parametrize(
    ("command", "said", "reason"),
    [
        ("verify", "32", "but there are keys of {fb"),
        ("verify", "65", "but there are keys of {fb"),
        ("verify", "0", "not a number from 1 to 4096"),
        ("verify", "many", "not a number from 1 to 4096"),
        ("rebuild", "63", "but there are keys of {fb"),
    ],
)
def test_partitions_changed_by_hand_are_named_with_the_remedy(
    door, config, command, said, reason
) -> None:
    """Nothing is compared or written where every customer would be looked for in vain."""
    customer = a_customer()
    door.chat(customer)
    door.settled(customer)
    door.store.hset(META, "partitions", said)
    try:
        shown = run(command, "--config", config)
    finally:
        door.store.hset(META, "partitions", "64")

    assert UNCHECKED == shown.exit_code
    assert "{fb}meta, field partitions, is" in shown.stderr
    assert reason in shown.stderr
    assert "HSET {fb}meta partitions 64" in shown.stderr


def test_a_difference_exits_1_and_is_named(door, config) -> None:
    """On the screen in a sentence, with --json as data; no progress where nobody looks."""
    customer = a_customer()
    door.chat(customer)
    door.settled(customer)
    key = account(door, customer)
    door.store.hincrby(key, "spent", 10**12)
    try:
        shown = run("verify", "--config", config)
        told = run("verify", "--config", config, "--json")
    finally:
        door.store.hincrby(key, "spent", -(10**12))

    assert (DIFFERENT, DIFFERENT) == (shown.exit_code, told.exit_code)
    assert f"spent: {customer} (partition" in shown.stdout
    assert "1 differences, 1 USD in all" in shown.stdout
    report = json.loads(told.stdout)
    assert {
        "ok",
        "checked_at",
        "partitions",
        "customers",
        "events",
        "partial",
        "unread",
        "busy",
        "found",
        "drift_usd",
        "differences",
    } == report.keys()
    (difference,) = report["differences"]
    assert (False, 1, "1") == (report["ok"], report["found"], report["drift_usd"])
    assert ("spent", customer, "1") == (
        difference["kind"],
        difference["customer"]["identifier"],
        difference["difference"],
    )
    assert "" == shown.stderr == told.stderr


def test_rebuild_mends_counters(door, config) -> None:
    """First only said, then done; the second time there is nothing to do."""
    customer = a_customer()
    door.chat(customer)
    door.settled(customer)
    door.logs(customer)
    partition = door.partition(customer)
    counters = partition.counters(int(door.store.get(partition.number(customer))))
    wait_until(lambda: door.store.hget(counters, "calls") == b"1", "it is counted")
    before = door.store.hgetall(counters)
    door.store.hincrby(counters, "calls", 5)

    dry = run("rebuild", "--config", config, "--dry-run")
    done = run("rebuild", "--config", config, "--json")
    after = run("rebuild", "--config", config)

    assert (DIFFERENT, CLEAN, CLEAN) == (dry.exit_code, done.exit_code, after.exit_code)
    assert "Counters of 1 customers would be written anew" in dry.stdout
    assert "Balances are never touched." in dry.stdout
    report = json.loads(done.stdout)
    assert (False, 1, []) == (report["dry_run"], report["found"], report["busy"])
    assert before == door.store.hgetall(counters)
    assert "Counters of 0 customers were written anew" in after.stdout


def test_without_a_store_it_exits_2(tmp_path) -> None:
    """It says why; nothing is made up, nothing is created."""
    absent = run("verify", "--config", config_of(tmp_path))
    away = config_of(tmp_path, redis={"url": f"unix://{tmp_path}/nowhere.sock"})
    unreachable = [run(verb, "--config", away) for verb in ("verify", "rebuild")]

    assert UNCHECKED == absent.exit_code
    assert "there is no store in data_dir" in absent.stderr
    assert not (tmp_path / "data").exists()
    assert [UNCHECKED] * 2 == [ended.exit_code for ended in unreachable]
    assert all("the store is away" in ended.stderr for ended in unreachable)
    assert UNCHECKED == run("verify", "--config", str(tmp_path / "none.yaml")).exit_code


def test_the_embedded_store_is_started_for_the_check(tmp_path) -> None:
    """And stopped after it; where it runs already, it is used as it runs."""
    config = config_of(tmp_path)
    partition = Keyspace().partitions[3]
    with EmbeddedStore(tmp_path / "data") as store:
        client = redis.Redis.from_url(store.url)
        client.hset(partition.account(7), "held", 5)
        client.close()
        beside = run("verify", "--config", config, "--json")
    alone = run("verify", "--config", config, "--json")

    for ended in (beside, alone):
        assert DIFFERENT == ended.exit_code
        (difference,) = json.loads(ended.stdout)["differences"]
        assert ("held", 3, {"number": "7", "identifier": None}) == (
            difference["kind"],
            difference["partition"],
            difference["customer"],
        )
    with EmbeddedStore(tmp_path / "data"):
        pass


def test_progress_is_for_a_terminal(config, monkeypatch, capsys) -> None:
    """A bar on standard error, which ends full; standard output stays the report."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progressing("Checking the books") as progress:
        progress(0.5)
        progress(1.0)

    seen = capsys.readouterr()
    assert "" == seen.out
    assert "Checking the books" in seen.err
