"""Admission: what a limit lets in, and what it does not, whoever asks and how many at once."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC
from pathlib import Path

import pytest

from gateway.customers.profile import ANONYMOUS, Limits
from gateway.errors import BudgetExceeded, BudgetInFlight, InvalidCall, RateLimited
from gateway.ledger.bounds import AMOUNT_PICO_MAX, Bound
from gateway.ledger.requests import new_request_id
from gateway.metering.flusher import Flusher
from gateway.store.archive import Archive
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio
REFUSED = (BudgetExceeded, BudgetInFlight)


async def admitted(holds) -> list[object]:
    outcomes = await asyncio.gather(*holds, return_exceptions=True)
    unforeseen = [
        o for o in outcomes if isinstance(o, BaseException) and not isinstance(o, REFUSED)
    ]
    assert [] == unforeseen
    return [o for o in outcomes if not isinstance(o, BaseException)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("field", ["period_budget", "total_budget"])
async def test_r02_parallel_calls_never_pass_a_limit(url: str, workers: int, field: str) -> None:
    """64 calls at once, a budget for three: three are admitted, over any number of processes."""
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(bench(url)) for _ in range(workers)]
        for i in range(10):
            customer = f"acme-{i}"
            await benches[0].directory.create(customer, {field: 35})
            holds = await admitted(benches[n % workers].hold(customer, 10) for n in range(64))
            assert 3 == len(holds)
            assert 30 == await benches[-1].held(customer)


async def test_r18_the_first_calls_of_a_fresh_customer_meet_the_default(url: str) -> None:
    """32 parallel first calls, three processes, a default budget of one call: one is admitted."""
    async with AsyncExitStack() as stack:
        defaults = Limits(period_budget_pico=10)
        benches = [await stack.enter_async_context(bench(url, defaults=defaults)) for _ in range(3)]
        for i in range(5):
            holds = await admitted(benches[n % 3].hold(f"fresh-{i}", 10) for n in range(32))
            assert 1 == len(holds)
            profiles = [await b.directory.load(f"fresh-{i}") for b in benches]
            assert 1 == len({p.number for p in profiles})


async def test_r18_a_first_call_brings_its_own_limit(url: str) -> None:
    """The budget in the very call binds that call."""
    async with bench(url) as b:
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 11, period_budget=10)
        assert 10 == (await b.hold("acme", 10)).amount_pico


async def test_r20_every_process_sees_one_number(url: str) -> None:
    """A limit is not multiplied by the processes; what one settles, all know at once."""
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(bench(url)) for _ in range(4)]
        await benches[0].directory.create("acme", {"period_budget": 100})
        spent = 0
        for turn in range(40):
            b = benches[turn % 4]
            try:
                hold = await b.hold("acme", 7)
            except BudgetExceeded:
                break
            await b.settle(hold, 7)
            spent += 7
        assert 98 == spent
        assert {98} == {await b.spent("acme") for b in benches}


async def test_r04_a_limit_binds_while_nobody_flushes(url: str, tmp_path: Path) -> None:
    """What was spent is known without the counters; once these follow, no balance changes."""
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 7, period_budget=10), 7)
        for _ in range(2):
            with pytest.raises(BudgetExceeded):
                await b.hold("acme", 4)
        number = (await b.directory.load("acme")).number
        counters = b.directory.partition_of("acme").counters(number)
        assert [] == await b.command("HGETALL", counters)

        archive = await Archive.open(tmp_path)
        await Flusher(b.store, archive, zone=UTC, clock=b.clock).step()
        await archive.close()

        assert b"7" == await b.command("HGET", counters, "charge_pico")
        assert (7, 0) == (await b.spent("acme"), await b.held("acme"))
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 4)
        assert 3 == (await b.hold("acme", 3)).amount_pico


@pytest.mark.parametrize(
    ("limit", "amount", "fits"),
    [
        (None, 10**18, True),
        (0, 1, False),
        (0, 0, True),
        (1, 1, True),
        (1, 2, False),
        (2**53 + 1, 2**53 + 1, True),
        (2**53, 2**53 + 1, False),
        (AMOUNT_PICO_MAX, AMOUNT_PICO_MAX, True),
        (AMOUNT_PICO_MAX - 1, AMOUNT_PICO_MAX, False),
    ],
)
@pytest.mark.parametrize("field", ["period_budget", "total_budget"])
async def test_r35_none_zero_and_one_pico_are_different(
    url: str, limit, amount, fits, field
) -> None:
    """Null is no limit, 0 blocks, and the smallest amount counts, exactly."""
    async with bench(url, defaults=Limits(period_budget_pico=5, total_budget_pico=5)) as b:
        change = {"period_budget": None, "total_budget": None, field: limit}
        if fits:
            assert amount == (await b.hold("acme", amount, **change)).amount_pico
        else:
            with pytest.raises(BudgetExceeded):
                await b.hold("acme", amount, **change)
            assert 0 == await b.held("acme")


async def test_r36_a_free_call_passes_an_exhausted_budget(url: str) -> None:
    """An explicit price of zero is not stopped by money; the next priced call is."""
    async with bench(url) as b:
        hold = await b.hold("acme", 10, total_budget=10)
        await b.settle(hold, 12)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 1)
        free = await b.hold("acme", 0)
        await b.settle(free, 0)
        assert 12 == await b.spent("acme")


async def test_it_says_when_room_will_come(url: str) -> None:
    """Full with calls in flight is another answer than used up."""
    async with bench(url) as b:
        running = await b.hold("acme", 6, total_budget=10)
        with pytest.raises(BudgetInFlight):
            await b.hold("acme", 5)
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 11)
        await b.release(running)
        assert 5 == (await b.hold("acme", 5)).amount_pico


async def test_the_anonymous_meet_no_default(url: str) -> None:
    """They are many; a limit on all of them together would stop strangers."""
    defaults = Limits(period_budget_pico=0, total_budget_pico=0, rate_limit=1)
    async with bench(url, defaults=defaults) as b:
        for _ in range(3):
            await b.settle(await b.hold(ANONYMOUS, 10), 10)
        assert 30 == await b.spent(ANONYMOUS)


async def test_soft_counts_and_never_refuses(url: str) -> None:
    """Under the policy `soft` a limit is reported only; the rate limit still binds."""
    async with bench(url, binding=False) as b:
        for _ in range(3):
            await b.settle(await b.hold("acme", 10, period_budget=5, total_budget=0), 10)
        assert 30 == await b.spent("acme")
        hold = await b.hold("acme", 10)
        assert -40 == hold.remaining_pico(10)
        for _ in range(2):
            await b.hold("acme", 10, rate_limit=2)
        with pytest.raises(RateLimited):
            await b.hold("acme", 10)


@pytest.mark.parametrize("per_minute", [1, 3, 7, 100])
async def test_a_rate_limit_has_a_burst_of_one_minute(url: str, per_minute: int) -> None:
    """So many at once and no more, over several processes; then one each interval."""
    async with bench(url) as one, bench(url) as other:
        await one.directory.create("acme", {"rate_limit": per_minute})
        calls = [b.hold("acme", 1) for b in (one, other) for _ in range(per_minute)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refusals = [o for o in outcomes if isinstance(o, RateLimited)]
        assert per_minute == len(refusals)
        waits = {r.details["retry_after_seconds"] for r in refusals}
        assert waits <= {max(1, 60 // per_minute), 60 // per_minute + 1}

        # An interval later exactly one more fits.
        partition, number = (
            one.directory.partition_of("acme"),
            (await one.directory.load("acme")).number,
        )
        account = partition.account(number)
        tat = int(await one.command("HGET", account, "tat"))
        await one.command("HSET", account, "tat", tat - 60_000_000 // per_minute)
        await one.hold("acme", 1)
        with pytest.raises(RateLimited):
            await one.hold("acme", 1)


async def test_a_refused_call_uses_up_no_rate(url: str) -> None:
    """Neither one over its budget nor one over its rate pushes the next one back."""
    async with bench(url) as b:
        await b.directory.create("acme", {"rate_limit": 2, "total_budget": 5})
        for _ in range(5):
            with pytest.raises(BudgetExceeded):
                await b.hold("acme", 6)
        await b.hold("acme", 1)
        await b.hold("acme", 1)
        for _ in range(5):
            with pytest.raises(RateLimited):
                await b.hold("acme", 1)


async def test_a_hold_is_made_once(url: str) -> None:
    """Repeating a request id, as a lost reply does, holds nothing more and refuses nothing."""
    async with bench(url) as b:
        request_id = new_request_id(b.clock.now_ms())
        holds = [
            await b.hold("acme", 10, request_id=request_id, total_budget=10, rate_limit=1)
            for _ in range(3)
        ]
        assert 1 == len({(h.amount_pico, h.window_ids) for h in holds})
        assert 10 == await b.held("acme")


async def test_a_hold_that_made_its_customer_is_found_again(url: str, monkeypatch) -> None:
    """Its reply was lost, and it is sent again as it was: held, not sent back as outdated."""
    replies = []
    async with bench(url) as b:
        script = b.store.script

        async def twice(name, keys, args, **options):
            replies.extend([await script(name, keys, args, **options) for _ in range(2)])
            return replies[-1]

        monkeypatch.setattr(b.store, "script", twice)
        hold = await b.hold("acme", 10, total_budget=10)
        assert (10, 10) == (hold.amount_pico, await b.held("acme"))
        assert [1, 1] == [code for code, *_ in replies]


async def test_a_refused_call_still_says_what_it_says_of_its_customer(url: str) -> None:
    """The upsert of a call that is refused stands: its name, and its limit."""
    async with bench(url) as b:
        with pytest.raises(BudgetExceeded):
            await b.hold("acme", 11, total_budget=10, name="A")
        profile = await b.directory.load("acme")
        assert ("A", "10") == (profile.text("name"), profile.stored["total_budget"])


async def test_a_bound_that_refuses_leaves_nothing(url: str) -> None:
    """A call that cannot be bounded is refused before the store hears of it."""

    def unboundable(_):
        raise InvalidCall("no price", code="model_not_priced")

    async with bench(url) as b:
        with pytest.raises(InvalidCall):
            await b.ledger.hold(
                new_request_id(b.clock.now_ms()),
                "acme",
                app="app",
                change={},
                bound=unboundable,
                opening=lambda _: b"{}",
            )
        assert 0 == (await b.directory.load("acme")).version


async def test_the_bound_sees_the_terms_of_the_very_call(url: str) -> None:
    """A markup that comes with the call, or changed elsewhere meanwhile, is in its hold."""
    seen = []

    def bound(terms) -> Bound:
        seen.append(terms.limits.markup_ppm)
        return Bound.all_of(1)

    async with bench(url) as here, bench(url) as there:
        await here.hold("acme", 1)
        await there.directory.change("acme", {"markup_percentage": 200_000})
        await here.ledger.hold(
            new_request_id(here.clock.now_ms()),
            "acme",
            app="app",
            change={},
            bound=bound,
            opening=lambda _: b"{}",
        )
        assert [0, 200_000] == seen


async def test_calls_that_race_to_change_a_profile_are_all_admitted(url: str) -> None:
    """Each says other metadata; who loses too often gives that up, not the call."""
    async with bench(url) as one, bench(url) as other:
        await one.directory.create("acme", {})
        calls = [
            b.hold("acme", 1, metadata={"session": f"{name}{i}"}, name=f"{name}{i}")
            for i in range(60)
            for name, b in (("a", one), ("b", other))
        ]
        holds = await admitted(calls)
        assert (120, 120) == (len(holds), await one.held("acme"))
        warned = {w for h in holds for w in h.warnings}  # type: ignore[attr-defined]
        assert warned == {"metadata: changed too often at once", "name: changed too often at once"}


async def test_a_limit_in_a_race_is_never_given_up(url: str) -> None:
    """Only name, email and metadata can be: the budget of the call binds it."""
    async with bench(url) as b:
        outcomes = await asyncio.gather(
            *(b.hold("acme", 10, total_budget=9, name=str(i)) for i in range(20)),
            return_exceptions=True,
        )
        assert {BudgetExceeded} == {type(o) for o in outcomes}
