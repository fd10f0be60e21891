"""The client that leaves, and everything that must not be mistaken for it."""

import asyncio

import pytest

from gateway.proxy.departure import ClientGone, Departure


class Client:
    """An ASGI channel whose other end can hang up."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.noted: list[str] = []

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    def departure(self, grace_seconds: float | None = 0.0) -> Departure:
        return Departure(
            self.receive, lambda: self.noted.append("left"), grace_seconds=grace_seconds
        )


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


def run(scenario):
    return asyncio.run(scenario(Client()))


def test_a_block_that_ends_is_left_alone():
    async def scenario(client):
        async with client.departure():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return client.noted, cancelling(), len(asyncio.all_tasks())

    assert ([], 0, 1) == run(scenario)


@pytest.mark.parametrize("grace_seconds", [0.0, 0.01])
def test_who_leaves_ends_the_block(grace_seconds):
    """As `ClientGone`, with the task as fit as before; late by the grace."""

    async def scenario(client):
        asyncio.get_running_loop().call_later(0.01, client.left.set)
        with pytest.raises(ClientGone):
            async with client.departure(grace_seconds):
                await asyncio.sleep(5)
        await asyncio.sleep(0)
        return client.noted, cancelling()

    assert (["left"], 0) == run(scenario)


def test_without_an_end_to_the_grace_the_block_goes_on():
    async def scenario(client):
        client.left.set()
        async with client.departure(None):
            await asyncio.sleep(0.02)
        return client.noted

    assert ["left"] == run(scenario)


def test_a_block_that_ends_within_the_grace_is_not_ended():
    async def scenario(client):
        client.left.set()
        async with client.departure(0.3):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.35)
        return client.noted, cancelling()

    assert (["left"], 0) == run(scenario)


def test_a_cancel_from_outside_stays_one():
    """A shutdown is no departure, even when the client leaves in the same moment."""

    async def scenario(client):
        async def block():
            async with client.departure():
                await asyncio.sleep(5)

        task = asyncio.create_task(block())
        await asyncio.sleep(0.01)
        task.cancel()
        client.left.set()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert run(scenario)


def test_both_at_once_is_a_cancel():
    async def scenario(client):
        async def block():
            async with client.departure():
                await asyncio.sleep(5)

        task = asyncio.create_task(block())
        await asyncio.sleep(0.01)
        client.left.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled() or task.exception()

    assert True is run(scenario) or isinstance(run(scenario), ClientGone)


def test_the_blocks_own_error_is_not_hidden():
    async def scenario(client):
        async with client.departure():
            raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        run(scenario)


def test_a_timeout_within_is_a_timeout():
    async def scenario(client):
        async with client.departure(), asyncio.timeout(0.01):
            await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        run(scenario)


def test_other_messages_are_no_departure():
    """A body that is still coming, an early hint: read past."""

    async def scenario(client):
        messages = iter([{"type": "http.request"}, {"type": "http.request"}])

        async def receive():
            return next(messages, None) or await client.receive()

        async with Departure(receive, lambda: client.noted.append("left")):
            await asyncio.sleep(0.01)
        return client.noted

    assert [] == run(scenario)
