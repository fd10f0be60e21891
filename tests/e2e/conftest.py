"""One gateway for all tests that leave it as it was; each test brings customers of its own.

Tests that say byte by byte what a provider answers have a `provider`, and a gateway before it.
"""

import pytest

from tests.support.gateways import gateway
from tests.support.rawupstream import raw_upstream


@pytest.fixture(scope="session")
def door():
    with gateway() as running:
        yield running


@pytest.fixture(scope="module")
def provider():
    with raw_upstream() as upstream:
        yield upstream
