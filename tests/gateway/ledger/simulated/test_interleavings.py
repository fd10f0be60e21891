"""The real scripts and verbs under every interleaving that a seed can think of.

What is simulated, and how to replay a failure, is told in ``tests/simulator``.
"""

import pytest

from tests.simulator.mutants.seeds import SEEDS
from tests.simulator.mutants.table import MUTATIONS
from tests.simulator.mutations import Mutation
from tests.simulator.simulation import Outcome, simulate

MUTATION_SEEDS_MAX = 60
MUTATION_STEPS = 300
SEEDS_A_BLOCK = 5
AT_ONCE = (
    "a hold that is sent again is held again",
    "settle leaves no tombstone",
    "hold grants less than the least",
    "apply does not compare the cursor",
)
"""Caught within a second or so."""


def check(outcome: Outcome) -> None:
    lines = "\n".join(outcome.trace[-60:])
    replay = f"python -m tests.simulator --seed {outcome.seed} --steps {outcome.steps}"
    assert outcome.problem is None, f"{lines}\n{outcome.problem}\nreplay: {replay}"


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_every_promise_is_kept_whatever_is_lost_late_or_killed(url: str, seed: int) -> None:
    """No admission beyond a limit; each call charged once, its truth, or its hold if unknown."""
    check(simulate(url, seed, steps=150))


def test_a_seed_takes_the_same_course_again(url: str) -> None:
    """Else a failure could not be replayed."""
    once, again = simulate(url, 7, steps=80), simulate(url, 7, steps=80)

    assert once.trace
    assert once.trace == again.trace


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_every_promise_is_kept_over_many_seeds(url: str, block: int) -> None:
    """Twenty runs of 400 turns on each server."""
    for seed in range(SEEDS_A_BLOCK * block, SEEDS_A_BLOCK * (block + 1)):
        check(simulate(url, 1_000 + seed, steps=400))


def first_caught(url: str, mutation: Mutation) -> Outcome | None:
    """By the seed that is known to catch it, if it still does; else by the first that does."""
    known = SEEDS.get(mutation.name, 1)
    with mutation.applied():
        for seed in (known, *range(1, MUTATION_SEEDS_MAX + 1)):
            outcome = simulate(url, seed, MUTATION_STEPS, mutation.edit, mutation.weather)
            if outcome.problem is not None:
                return outcome
    return None


def test_the_seeds_are_those_of_the_table() -> None:
    assert {mutation.name for mutation in MUTATIONS} >= set(SEEDS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_mutation_still_fits_the_code(mutation: Mutation) -> None:
    """A snippet that is not there any more would be a mutation of nothing."""
    with mutation.applied():
        pass


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_mutation_is_caught(url: str, name: str) -> None:
    """A simulator without teeth would be decoration."""
    (mutation,) = (m for m in MUTATIONS if m.name == name)
    assert first_caught(url, mutation) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutation", [m for m in MUTATIONS if m.name not in AT_ONCE], ids=lambda m: m.name
)
def test_each_mutation_is_caught(url: str, mutation: Mutation) -> None:
    """Every one of the table, on both servers, within a bounded number of seeds."""
    assert first_caught(url, mutation) is not None
