"""The ledger is tested on a cluster too."""

from collections.abc import Iterator

import pytest

from gateway.ledger import continuity
from tests.support.clusters import KINDS, of_kind

OF_ONE_SERVER = {"lossy", "running", "Redis"}
"""A torn wire, a killed server, an administrator's client: who uses these has one server."""


@pytest.fixture(scope="session", params=KINDS)
def store_server(request: pytest.FixtureRequest) -> Iterator[str]:
    with of_kind(request.param) as url:
        yield url


@pytest.fixture
def impatient(monkeypatch):
    """Who does not report is taken for dead after a moment, instead of two seconds."""
    monkeypatch.setattr(continuity, "WAIT_SECONDS_MAX", 0.1)


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if not (_on_a_cluster(item) and _needs_one_server(item))]


def _on_a_cluster(item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("store_server") == "cluster"


def _needs_one_server(item) -> bool:
    return bool(OF_ONE_SERVER & set(item.function.__code__.co_names))
