"""The directory on a real store: a cache that decides nothing, writes that never cross."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gateway.customers import directory as directory_module
from gateway.customers.profile import Limits, Profile
from gateway.errors import BudgetExceeded, Conflict, InvalidCall, NotFound, PermissionRefused
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio


async def version(b) -> int:
    profile: Profile = await b.directory.load("acme")
    return profile.version


async def test_a_call_writes_only_what_differs(url: str) -> None:
    """An unchanged value writes nothing: the version stays, nobody's cache is stale."""
    async with bench(url) as b:
        await b.hold("acme", 1, name="A", period_budget=5)
        assert 1 == await version(b)
        for _ in range(3):
            await b.hold("acme", 0, name="A", period_budget=5)
        assert 1 == await version(b)
        await b.hold("acme", 0, name="B", period_budget=5)
        assert 2 == await version(b)


async def test_what_was_written_is_read(url: str) -> None:
    """Through another process' directory, field by field."""
    async with bench(url) as one, bench(url) as other:
        change: dict[str, Any] = {
            "name": "Zoë",
            "metadata": {"plan": "pro", "é": [1, None]},
            "period_budget": 10**18,
            "total_budget": None,
            "period_start": "2026-11-01",
            "blocked": False,
        }
        created = await one.directory.create("acme", change)
        loaded = await other.directory.load("acme")
        assert created == loaded
        assert ("Zoë", change["metadata"]) == (loaded.text("name"), loaded.metadata)
        assert 10**18 == loaded.limits(Limits()).period_budget_pico
        assert not loaded.blocked


async def test_a_customer_is_created_once(url: str) -> None:
    """By whichever of several was first; the others are told."""
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(bench(url)) for _ in range(8)]
        outcomes = await asyncio.gather(
            *(b.directory.create("acme", {"name": str(i)}) for i, b in enumerate(benches)),
            return_exceptions=True,
        )
        created = [o for o in outcomes if not isinstance(o, BaseException)]
        assert [Conflict] * 7 == [type(o) for o in outcomes if isinstance(o, BaseException)]
        assert created == [await benches[0].directory.load("acme")]


async def test_a_customer_that_called_exists(url: str) -> None:
    """Creating it is a conflict; changing it is not."""
    async with bench(url) as b:
        await b.hold("acme", 0)
        with pytest.raises(Conflict):
            await b.directory.create("acme", {})
        assert "A" == (await b.directory.change("acme", {"name": "A"})).text("name")


async def test_changing_nobody_is_an_error(url: str) -> None:
    """It creates no one."""
    async with bench(url) as b:
        with pytest.raises(NotFound):
            await b.directory.change("acme", {"name": "A"})
        assert 0 == await version(b)


async def test_concurrent_changes_lose_nothing(url: str) -> None:
    """Two processes merge keys into one metadata: compare-and-set, so that all of them stay."""
    async with bench(url) as one, bench(url) as other:
        await one.directory.create("acme", {})
        await asyncio.gather(
            *(
                b.directory.change("acme", {"metadata": {f"{name}{i}": i}})
                for i in range(3)
                for name, b in (("a", one), ("b", other))
            )
        )
        expected = {f"{name}{i}": i for name in "ab" for i in range(3)}
        assert expected == (await one.directory.load("acme")).metadata
        assert 7 == await version(one)


async def test_a_stale_cache_never_decides(url: str) -> None:
    """Another process lowers the limit, blocks, unblocks: the next call here knows."""
    async with bench(url) as here, bench(url) as there:
        await here.hold("acme", 1)
        await there.directory.change("acme", {"total_budget": 5})
        with pytest.raises(BudgetExceeded):
            await here.hold("acme", 6)
        await there.directory.change("acme", {"blocked": True})
        with pytest.raises(PermissionRefused) as refusal:
            await here.hold("acme", 1)
        assert "customer_blocked" == refusal.value.code
        await there.directory.change("acme", {"blocked": None})
        assert 1 == (await here.hold("acme", 1)).amount_pico


async def test_a_call_with_a_stale_profile_overwrites_nothing(url: str) -> None:
    """What is pinned elsewhere meanwhile stays; metadata set elsewhere is merged into."""
    async with bench(url) as here, bench(url) as there:
        await here.hold("acme", 0, period_budget=5, metadata={"a": 1})
        await there.hold("acme", 0, metadata={"b": 2})
        await there.directory.change("acme", {"period_budget": 50})
        await here.hold("acme", 0, period_budget=5, metadata={"c": 3})
        profile = await here.directory.load("acme")
        assert ("50", {"a": 1, "b": 2, "c": 3}) == (
            profile.stored["period_budget"],
            profile.metadata,
        )


async def test_registered_only_admits_whom_management_created(url: str) -> None:
    """An unknown customer is refused, nothing is stored; created elsewhere, it is admitted."""
    async with bench(url, registered_only=True) as here, bench(url) as there:
        for _ in range(2):
            with pytest.raises(PermissionRefused) as refusal:
                await here.hold("acme", 1)
            assert "customer_not_registered" == refusal.value.code
        assert 0 == await version(there)
        await there.directory.create("acme", {})
        assert 1 == (await here.hold("acme", 1)).amount_pico


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"period_end": "2026-11-01"}, "period_end"),
        ({"period_start": "2026-11-02", "period_end": "2026-11-01"}, "period_end"),
        ({"period_start": "2026-11-02", "period_end": "2026-11-02"}, "period_end"),
    ],
)
async def test_a_period_that_cannot_be_is_refused(url: str, change, param: str) -> None:
    """By a call as by management, before anything is written or held."""
    async with bench(url) as b:
        with pytest.raises(InvalidCall) as by_call:
            await b.hold("acme", 1, **change)
        with pytest.raises(InvalidCall) as by_management:
            await b.directory.create("acme", change)
        assert {param} == {by_call.value.param, by_management.value.param}
        assert 0 == await version(b)


async def test_numbers_are_found_again(url: str) -> None:
    """From a customer's number, as events carry it, to its identifier; unknown: left out."""
    async with bench(url) as b:
        profiles = [await b.directory.create(name, {}) for name in ("a", "b")]
        numbers = {p.number: b.directory.partition_of(p.identifier).index for p in profiles}
        found = await b.directory.identifiers({**numbers, 7: 0})
        assert {p.number: p.identifier for p in profiles} == found


async def test_the_cache_is_bounded(url: str, monkeypatch) -> None:
    """Whoever asks for ever new customers does not fill the memory."""
    monkeypatch.setattr(directory_module, "CACHED_MAX", 5)
    async with bench(url) as b:
        for i in range(20):
            await b.directory.load(f"customer-{i}")
        assert 5 == len(b.directory._cache)
        assert b.directory.cached("customer-19") is not None
        assert b.directory.cached("customer-0") is None


@pytest.mark.parametrize("name", ["~x/y:z", "a{b}c", "名前", "x" * 256, "a b", "p|q", "%00"])
async def test_any_identifier_is_a_customer(url: str, name: str) -> None:
    """Whatever it contains, its keys are in its partition and its account adds up."""
    async with bench(url) as b:
        await b.settle(await b.hold(name, 5, name="n"), 3)
        assert (3, 0) == (await b.spent(name), await b.held(name))
        tag = b.directory.partition_of(name).tag.encode()
        keys = await b.command("KEYS", "*")
        assert all(k.startswith((tag, b"{fb}")) for k in keys)
