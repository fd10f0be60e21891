"""Temporary keys on a real store: as often, as fast, as long as they may, and not once more."""

import asyncio
from dataclasses import replace

import pytest

from gateway.clock import SystemClock
from gateway.customers.apps import App, Apps
from gateway.customers.temporary_keys import KEPT_MS, TemporaryKey, TemporaryKeys
from gateway.errors import InvalidToken, NotFound, PermissionRefused, RateLimited
from gateway.store.client import Store
from tests.support.stores import server

pytestmark = pytest.mark.anyio

APP = App(id="web", token_sha256="a")
WANTED = TemporaryKey(id="", digest="", app="web", made_ms=0)
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def url():
    with server() as running:
        yield running


@pytest.fixture
async def keys(url):
    store = Store(url)
    await store.connect()
    await store.command("FLUSHALL")
    yield TemporaryKeys(store, Apps([APP]), SystemClock())
    await store.close()


async def passed(keys, token, times=1):
    """How many of so many calls at once get through."""
    credential = await keys.authenticate(token)
    outcomes = await asyncio.gather(
        *(keys.use(credential.key, credential.key_digest) for _ in range(times)),
        return_exceptions=True,
    )
    assert all(o is None or isinstance(o, PermissionRefused | RateLimited) for o in outcomes)
    return outcomes.count(None)


async def test_of_a_thousand_calls_at_once_as_many_pass_as_may(keys):
    key, token = await keys.make(replace(WANTED, uses_max=37))
    assert 37 == await passed(keys, token, 1_000)
    assert 37 == (await keys.find(key.id)).uses


async def test_what_was_given_back_may_be_used_again(keys):
    key, token = await keys.make(replace(WANTED, uses_max=1))
    credential = await keys.authenticate(token)
    assert 1 == await passed(keys, token)
    await keys.give_back(credential.key, credential.key_digest)
    assert 1 == await passed(keys, token, 2)
    assert 1 == (await keys.find(key.id)).uses


async def test_no_more_calls_a_minute_than_it_may(keys):
    _, token = await keys.make(replace(WANTED, rate=5))
    assert 5 == await passed(keys, token, 20)
    credential = await keys.authenticate(token)
    with pytest.raises(RateLimited) as refused:
        await keys.use(credential.key, credential.key_digest)
    assert refused.value.details["retry_after_seconds"] in range(1, 13)


async def test_it_ends_at_its_time_and_is_forgotten_later(keys):
    now_ms = SystemClock().now_ms()
    key, token = await keys.make(replace(WANTED, until_ms=now_ms - 1))
    with pytest.raises(InvalidToken) as refused:
        await keys.authenticate(token)
    assert "key_expired" == refused.value.code
    forgotten_ms = await keys._store.command("PEXPIRETIME", keys._at(key.id))
    assert now_ms - 1 + KEPT_MS == forgotten_ms
    await keys.change(replace(await keys.find(key.id), until_ms=None))
    assert -1 == await keys._store.command("PEXPIRETIME", keys._at(key.id))
    assert 1 == await passed(keys, token)


async def test_who_is_let_in_already_is_stopped_by_a_change(keys):
    """Between the token and the hold a key can be revoked: the script looks once more."""
    key, token = await keys.make(WANTED)
    credential = await keys.authenticate(token)
    for changed, code in (
        (replace(key, revoked=True), "key_revoked"),
        (replace(key, until_ms=SystemClock().now_ms() - 1), "key_expired"),
    ):
        await keys.change(changed)
        with pytest.raises(InvalidToken) as refused:
            await keys.use(credential.key, credential.key_digest)
        assert code == refused.value.code
    await keys.change(key)
    await keys.delete(key.id)
    with pytest.raises(InvalidToken):
        await keys.use(credential.key, credential.key_digest)


async def test_the_secret_is_nowhere_in_the_store(keys):
    key, token = await keys.make(replace(WANTED, name="n"))
    stored = await keys._store.command("HGETALL", keys._at(key.id))
    assert not any(token.partition(".")[2].encode() in value for value in stored)


@pytest.mark.parametrize("wrong", ["", "x", "{id}", "{id}.", "{id}.x", "*.x", "x.y.z"])
async def test_another_secret_is_nobodys(keys, wrong):
    key, _ = await keys.make(WANTED)
    with pytest.raises(InvalidToken) as refused:
        await keys.authenticate("fbk-" + wrong.format(id=key.id))
    assert "invalid_api_key" == refused.value.code


async def test_a_key_of_an_app_that_is_gone_is_nobodys(keys, url):
    _, token = await keys.make(replace(WANTED, app="gone"))
    with pytest.raises(InvalidToken):
        await keys.authenticate(token)


async def test_all_fields_come_back_as_they_were(keys):
    full = replace(
        WANTED,
        name="trial ✓",
        customer="a/b:c",
        models=("gpt-4o-*", "o3"),
        until_ms=SystemClock().now_ms() + HOUR_MS,
        uses_max=0,
        rate=7,
        budget_pico=5 * 10**12,
        test=True,
    )
    for wanted in (full, WANTED):
        key, _ = await keys.make(wanted)
        assert key == await keys.find(key.id)
        assert key == replace(wanted, id=key.id, digest=key.digest, made_ms=key.made_ms)


async def test_a_changed_key_keeps_its_uses_and_loses_what_is_taken_off(keys):
    key, token = await keys.make(replace(WANTED, name="n", uses_max=5, rate=9))
    assert 1 == await passed(keys, token)
    await keys.change(replace(key, name=None, uses_max=None))
    found = await keys.find(key.id)
    assert (None, None, 9, 1) == (found.name, found.uses_max, found.rate, found.uses)


async def test_the_list_has_the_newest_first_and_none_that_is_gone(keys):
    made = [(await keys.make(WANTED))[0].id for _ in range(3)]
    await keys.delete(made[1])
    count, found = await keys.page(0, 10)
    assert (2, {made[0], made[2]}) == (count, {key.id for key in found})
    await keys._store.command("DEL", keys._at(made[0]))  # as the store does at its time
    assert [made[2]] == [key.id for key in (await keys.page(0, 10))[1]]
    assert 1 == (await keys.page(0, 10))[0]


@pytest.mark.parametrize("verb", ["find", "delete", "change"])
async def test_what_is_not_there_is_said_to_be_so(keys, verb):
    with pytest.raises(NotFound):
        await getattr(keys, verb)(replace(WANTED, id="gone") if verb == "change" else "gone")
