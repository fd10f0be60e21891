"""Everything is killed at random under load, and the books are right afterwards."""

import pytest

from tests.chaos.run import chaos

pytestmark = pytest.mark.slow

SECONDS = 60


@pytest.mark.parametrize(("store", "seed"), [("valkey", 1), ("redis", 2)])
def test_r03_r25_r27_chaos(tmp_path_factory, store, seed):
    """Gateways, flusher and store under SIGKILL; the store forgets, too. See `reckoning`."""
    outcome = chaos(tmp_path_factory.mktemp("c"), store, seconds=SECONDS, seed=seed)

    told = "\n".join(outcome.lines())
    assert not outcome.findings.faults, told
    tally = outcome.findings.tally
    assert {"flusher", "gateway0", "gateway1", "store"} == outcome.deaths.keys(), told
    assert any(outcome.cuts), told
    assert min(tally["whole"], tally["left"], tally["refused, not sent"]) > 20, told
    assert tally["settled for the dead"], told
    assert tally["limits used to nine tenths"], told
