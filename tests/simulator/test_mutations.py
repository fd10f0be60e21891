"""The simulator has teeth: it catches every error of a table."""

import pytest

from tests.simulator.mutations import MUTATIONS, Mutation
from tests.simulator.simulation import Outcome, simulate

SEEDS_MAX = 60
STEPS = 120


def caught(url: str, mutation: Mutation) -> Outcome | None:
    """The first of a bounded number of runs in which the mutation breaks a promise."""
    with mutation.applied():
        for seed in range(1, SEEDS_MAX + 1):
            outcome = simulate(url, seed, STEPS, mutation.edit)
            if outcome.problem:
                return outcome
    return None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_each_mutation_is_caught(url: str, mutation: Mutation) -> None:
    outcome = caught(url, mutation)

    assert outcome is not None
