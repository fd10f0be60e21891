"""The auditor sees what it is there to see."""

import asyncio

import pytest
import redis

from tests.support.audits import audit
from tests.support.ledgers import bench
from tests.support.stores import server


async def some_calls(url: str) -> str:
    async with bench(url) as b:
        await b.settle(await b.hold("acme", 10), 7)
        await b.hold("acme", 5)
        return b.directory.partition_of("acme").tag


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("HINCRBY", "a", "spent", 1), "has spent"),
        (("HINCRBY", "a", "held", 1), "holds"),
        (("DEL", "hx"), "leases"),
        (("DEL", "ev"), "has spent"),
        (("DEL", "d"), "tombstones"),
    ],
)
def test_it_tells_what_does_not_add_up(command, told: str) -> None:
    with server() as url, redis.Redis.from_url(url) as client:
        tag = asyncio.run(some_calls(url))
        assert [] == list(audit(client))
        name, key, *args = command
        (found,) = client.keys(f"{tag}{key}") or client.keys(f"{tag}{key}:*")
        client.execute_command(name, found, *args)
        assert told in " ".join(audit(client))
