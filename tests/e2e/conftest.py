"""One gateway for all tests that leave it as it was; each test brings customers of its own."""

import pytest

from tests.support.gateways import gateway


@pytest.fixture(scope="session")
def door():
    with gateway() as running:
        yield running
