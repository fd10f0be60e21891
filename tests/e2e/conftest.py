"""One gateway for all tests that leave it as it was; each test brings customers of its own."""

from collections.abc import Iterator

import pytest

from tests.support.gateways import Gateway, gateway


@pytest.fixture(scope="session")
def door() -> Iterator[Gateway]:
    with gateway() as running:
        yield running
