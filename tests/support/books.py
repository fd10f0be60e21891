"""What the slow auditor finds in a customer's partition."""

from gateway.audit.check import Check
from gateway.audit.differences import Difference, Finding
from gateway.audit.survey import Known
from tests.support.ledgers import Bench


async def differences(b: Bench, customer: str) -> list[Difference]:
    """With the customer's own counters left out: nobody need have flushed them."""
    partition = b.directory.partition_of(customer)
    checked = await Check(b.store).run(partition, Known())
    return [d for d in checked.differences if d.finding is not Finding.COUNTER]
