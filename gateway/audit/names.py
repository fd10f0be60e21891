"""Whose books differ: customers' identifiers, by their numbers."""

from collections.abc import Sequence

from gateway.audit.differences import Difference
from gateway.store.client import Store
from gateway.store.keys import Partition


async def named(
    store: Store, partition: Partition, differences: Sequence[Difference]
) -> list[Difference]:
    """The same, with identifiers; deleted customers have none."""
    numbers = sorted({d.customer_number for d in differences if d.customer_number is not None})
    replies = await store.commands(
        [("HGET", partition.profile(number), "identifier") for number in numbers]
    )
    names = {
        number: reply.decode()
        for number, reply in zip(numbers, replies, strict=True)
        if reply is not None
    }
    return [
        d if d.customer_number is None else d.named(names.get(d.customer_number))
        for d in differences
    ]
