"""The way to the store: every reply is its own, whatever is cancelled, lost or killed."""

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
import redis
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from gateway.errors import LedgerUnavailable
from gateway.store import link
from gateway.store.client import Store
from gateway.store.replies import resolve
from gateway.store.wire import packed
from tests.support.ledgers import bench
from tests.support.proxies import lossy
from tests.support.stores import running, server

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(url: str):
    store = Store(url)
    await store.connect()
    try:
        yield store
    finally:
        await store.close()


async def until(check, seconds: float = 8.0):
    """The first true result of `check`; a store that is away counts as not yet."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if found := await check():
                    return found
            except LedgerUnavailable:
                pass
            await asyncio.sleep(0.02)


async def test_the_commands_of_one_turn_leave_as_one_pipeline(url: str) -> None:
    """What a hundred calls send between two turns of the loop costs one write."""
    async with opened(url) as store:
        sent = []
        exchange = store._way.links[0]._wire.exchange

        async def counting(batch):
            sent.append(len(batch))
            return await exchange(batch)

        store._way.links[0]._wire.exchange = counting
        replies = await asyncio.gather(*(store.command("ECHO", i) for i in range(100)))

        assert [str(i).encode() for i in range(100)] == replies
        assert [100] == sent


async def test_a_batch_is_bounded(url: str) -> None:
    """More than a batch may hold goes out in several, in order."""
    count = 2 * link.BATCH_COMMANDS_MAX + 5
    async with opened(url) as store:
        replies = await asyncio.gather(*(store.command("ECHO", i) for i in range(count)))
        assert [str(i).encode() for i in range(count)] == replies


async def test_r13_a_cancelled_waiter_never_shifts_a_reply(url: str) -> None:
    """Two thousand waits on a slow wire, half of them cancelled: each reply is its own."""
    chance = random.Random(13)
    async with lossy(url, delay_seconds=0.005) as (slow, _), opened(slow) as store:

        async def ask(name: str) -> None:
            await asyncio.sleep(chance.random() * 0.5)
            assert name.encode() == await store.command("ECHO", name)

        calls = [asyncio.create_task(ask(f"customer-{i}")) for i in range(2_000)]
        for call in chance.sample(calls, 1_000):
            asyncio.get_running_loop().call_later(chance.random() * 0.6, call.cancel)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        cancelled = [o for o in outcomes if isinstance(o, asyncio.CancelledError)]
        assert 300 < len(cancelled) <= 1_000
        assert [None] * (2_000 - len(cancelled)) == [o for o in outcomes if o not in cancelled]


async def test_r13_a_lost_connection_never_shifts_a_reply(url: str) -> None:
    """A reply that is lost with its connection is asked for again, or refused: never another's."""
    async with lossy(url, loss=0.15, seed=2) as (torn, wire), opened(torn) as store:
        await until(lambda: store.command("PING"))

        async def ask(name: str) -> bool:
            try:
                assert name.encode() == await store.command("ECHO", name)
            except LedgerUnavailable:
                return False
            return True

        answered = 0
        for batch in range(100):
            answered += sum(await asyncio.gather(*(ask(f"{batch}.{i}") for i in range(5))))

        assert wire.lost > 10
        assert answered > 400


async def test_scripts_survive_a_script_flush(url: str) -> None:
    """NOSCRIPT is answered by loading them; the commands beside are run once, in place."""
    async with bench(url) as b:
        hold = await b.hold("acme", 5)
        await b.command("SCRIPT", "FLUSH")
        counted, _, again = await asyncio.gather(
            b.store.command("INCR", "counter"),
            b.settle(hold, 3),
            b.store.command("INCR", "counter"),
        )
        assert (1, 2) == (counted, again)
        assert 3 == await b.spent("acme")


async def test_scripts_that_are_flushed_again_and_again_are_no_answer(
    url: str, monkeypatch
) -> None:
    """Nobody hears NOSCRIPT: it was not done, and can be asked for once more."""
    async with bench(url) as b:
        hold = await b.hold("acme", 5)
        (link,) = b.store._way.links
        going = link._wire._round_trip

        async def flushed_behind(batch):
            await going([packed("SCRIPT", "FLUSH")])
            loads = sum(b"LOAD" in command for command in batch)
            flush = [packed("SCRIPT", "FLUSH")] * (loads > 0)
            replies = await going([*batch[:loads], *flush, *batch[loads:]])
            return replies[:loads] + replies[loads + len(flush) :]

        with monkeypatch.context() as patched:
            patched.setattr(link._wire, "_round_trip", flushed_behind)
            with pytest.raises(LedgerUnavailable):
                await b.store.script("backlog", ["{a}cur", "{a}ev", "{a}h"], [1, "flush"])
        await b.settle(hold, 3)
        assert 3 == await b.spent("acme")


async def test_an_error_is_its_own_commands_alone(url: str) -> None:
    """The server's error for one command leaves its neighbours' replies alone."""
    async with opened(url) as store:
        await store.command("SET", "text", "x")
        before = store.command("ECHO", "a")
        wrong = store.command("LPUSH", "text", "x")
        after = store.command("ECHO", "b")
        assert (b"a", b"b") == (await before, await after)
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await wrong


@pytest.mark.parametrize("unsendable", ["lone surrogate \ud800", None, True, object()])
async def test_what_cannot_be_encoded_fails_its_own_caller(url: str, unsendable) -> None:
    """One faulty argument must not take the batch, nor the store's only task, along."""
    async with opened(url) as store:
        neighbour = store.command("ECHO", "a")
        with pytest.raises((ValueError, TypeError)):
            store.command("ECHO", unsendable)
        assert b"a" == await neighbour
        assert b"b" == await store.command("ECHO", "b")


async def test_an_unforeseen_failure_does_not_end_the_sender(url: str) -> None:
    """Whatever goes wrong in a batch, its callers are told and the next one is sent."""
    async with opened(url) as store:
        exchange, failures = store._way.links[0]._wire.exchange, iter(range(2))

        async def failing(batch):
            if next(failures, None) is not None:
                raise AssertionError("not foreseen")
            return await exchange(batch)

        store._way.links[0]._wire.exchange = failing
        with pytest.raises(LedgerUnavailable):
            await store.command("ECHO", "a")
        assert b"b" == await store.command("ECHO", "b")


async def test_it_recovers_from_a_killed_server(tmp_path) -> None:
    """While the server is away every command says so at once; when it is back they work."""
    with running("valkey", tmp_path) as url:
        store = Store(url)
        await store.connect()
        traffic: list[object] = []

        async def talk() -> None:
            while True:
                await asyncio.sleep(0.001)
                try:
                    traffic.append(await store.command("ECHO", len(traffic)))
                except LedgerUnavailable as exc:
                    traffic.append(exc)

        talking = asyncio.create_task(talk())
        await until(lambda: _truth(len(traffic) > 20))
    # Killed, with commands on the way.
    await until(lambda: _truth(isinstance(traffic[-1], LedgerUnavailable)))
    (tmp_path / "s.sock").unlink(missing_ok=True)
    with running("valkey", tmp_path):
        await until(lambda: _truth(isinstance(traffic[-1], bytes)))
        talking.cancel()
        assert all(str(i).encode() == r for i, r in enumerate(traffic) if isinstance(r, bytes))
        await store.close()


async def _truth(value: bool) -> bool:
    return value


async def test_a_store_that_is_away_at_the_start_comes_later(tmp_path) -> None:
    """The gateway starts all the same; it is not ready, and becomes so by itself."""
    store = Store(f"unix://{tmp_path}/s.sock")
    await store.connect()
    assert not store.is_ready
    with pytest.raises(LedgerUnavailable):
        await store.command("PING")

    with running("valkey", tmp_path):
        await until(lambda: _truth(store.is_ready))
        assert b"PONG" == await store.command("PING")
        await store.close()


async def test_the_number_of_partitions_is_the_stores(url: str) -> None:
    """It was fixed when the store was first used; a later default changes nothing."""
    with redis.Redis.from_url(url) as other:
        other.hset("{fb}meta", "partitions", 4)
    async with opened(url) as store:
        assert 4 == len(store.keyspace.partitions)


async def test_close_sends_what_is_pending(url: str) -> None:
    """Nothing that was accepted is dropped; what comes after is refused."""
    store = Store(url)
    await store.connect()
    pending = [store.command("INCR", "counter") for _ in range(1_500)]
    await store.close()

    assert list(range(1, 1_501)) == await asyncio.gather(*pending)
    with pytest.raises(LedgerUnavailable, match="closed"):
        await store.command("PING")


async def test_what_waits_is_bounded(url: str, monkeypatch) -> None:
    """Past the bound a command is refused at once instead of filling the memory."""
    monkeypatch.setattr(link, "PENDING_COMMANDS_MAX", 10)
    async with opened(url) as store:
        waits = [store.command("ECHO", i) for i in range(11)]
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        assert [str(i).encode() for i in range(10)] == outcomes[:10]
        assert isinstance(outcomes[10], LedgerUnavailable)


async def test_a_full_store_refuses_holds_and_takes_settles(url: str) -> None:
    """What was held can always end: a full memory lets calls out, and none in."""
    with redis.Redis.from_url(url) as admin:
        async with bench(url) as b:
            held, given_back = await b.hold("acme", 5), await b.hold("acme", 7)
            admin.config_set("maxmemory", 1)

            with pytest.raises(LedgerUnavailable) as refusal:
                await b.hold("acme", 5)
            assert isinstance(refusal.value.__cause__, OutOfMemoryError)
            await b.settle(held, 3)
            await b.release(given_back)
            assert (3, 0) == (await b.spent("acme"), await b.held("acme"))

        async with bench(url) as restarted:
            assert restarted.store.is_ready
            assert 3 == await restarted.spent("acme")


async def test_it_is_known_whether_a_call_would_be_let_in(url: str, tmp_path) -> None:
    """Not by a full store, nor where the user may not: then nobody knows. Nothing is written."""
    with redis.Redis.from_url(url) as admin:
        async with bench(url) as b:
            await b.store.admits()
            admin.config_set("maxmemory", 1)
            with pytest.raises(LedgerUnavailable) as refusal:
                await b.store.admits()
            assert isinstance(refusal.value.__cause__, OutOfMemoryError)
            admin.config_set("maxmemory", 0)
            admin.execute_command("ACL SETUSER", "default", "-setrange")
            try:
                await b.store.admits()
            finally:
                admin.execute_command("ACL SETUSER", "default", "+setrange")
            assert [b"{fb}meta"] == admin.keys("*")


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ReadOnlyError("You can't write against a read only replica."),
        NoPermissionError("this user has no permissions"),
        ResponseError("MISCONF Redis is configured to save RDB snapshots, but cannot"),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
        ResponseError("BUSY Redis is busy running a script."),
    ],
)
async def test_a_server_that_does_not_take_it_now_is_unavailable(error: ResponseError) -> None:
    """A full disk or a lost primary is no fault of the call: 503, and settles are repeated."""
    future = asyncio.get_running_loop().create_future()
    resolve(future, error)
    with pytest.raises(LedgerUnavailable) as unavailable:
        await future
    assert error is unavailable.value.__cause__


async def test_a_replica_is_unavailable(tmp_path) -> None:
    """After a failover the old primary refuses writes; nothing is taken for done."""
    with server("valkey") as url, redis.Redis.from_url(url) as admin:
        async with bench(url) as b:
            held = await b.hold("acme", 5)
            admin.replicaof("127.0.0.1", "1")
            with pytest.raises(LedgerUnavailable):
                await b.hold("acme", 5)
            await b.settle(held, 3)
            admin.replicaof("NO", "ONE")
            await b.told()
            assert 3 == await b.spent("acme")


@asynccontextmanager
async def cancelled_while(store: Store, exchange):
    """A link that is cancelled, and not closed, in an exchange of this kind."""
    (line,) = store._way.links
    amid = asyncio.Event()

    async def exchanging(batch):
        amid.set()
        return await exchange(batch)

    task = line._task
    assert task is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line._wire, "exchange", exchanging)
        asked = asyncio.ensure_future(store.command("PING"))
        await amid.wait()
        waiting = asyncio.ensure_future(store.command("PING"))
        await asyncio.sleep(0)
        task.cancel()
    yield task
    for reply in (asked, waiting, store.command("PING")):
        with pytest.raises(LedgerUnavailable):
            await reply


async def test_a_cancelled_link_leaves_nobody_waiting(url: str) -> None:
    """The loop ends without `close`: who asks in its last turns is told, and does not hang."""

    async def never(_):
        await asyncio.get_running_loop().create_future()

    async with opened(url) as store, asyncio.timeout(8), cancelled_while(store, never) as task:
        assert [task] == list((await asyncio.wait([task]))[0])
    assert task.cancelled()


async def test_a_cancelled_link_ends_though_a_failure_hides_it(url: str) -> None:
    """A connection that tells of a cancellation as of a timeout: no second try."""

    async def hides(_):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            raise TimeoutError from None

    async with opened(url) as store, asyncio.timeout(8), cancelled_while(store, hides) as task:
        await asyncio.wait([task])
    assert task.cancelled()
