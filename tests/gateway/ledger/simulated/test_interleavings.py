"""Many interleavings of gateways, workers, faults and deaths, each replayable from its seed.

What is simulated, and how to replay a failure, is told in ``tests/simulator``.
"""

import pytest

from tests.simulator.mutants.seeds import RARE, SEEDS, STEPS, first_caught
from tests.simulator.mutants.table import MUTATIONS
from tests.simulator.mutations import Mutation
from tests.simulator.simulation import Outcome, simulate
from tests.support.sizes import FULL, sized

BLOCKS = 4
SEEDS_A_BLOCK = sized(2, full=25)
MUTATION_SEEDS_MAX = 60
AT_ONCE = (
    "settle leaves no tombstone",
    "hold grants less than the least",
    "apply does not compare the cursor",
)
"""Caught within a second or so."""

TRIED = [m for m in MUTATIONS if m.name not in {*AT_ONCE, *RARE}]
OF_SCRIPTS = [m for m in TRIED if m.is_of_scripts]
ON_REDIS = TRIED if FULL else OF_SCRIPTS[::4]
"""A course hardly depends on who runs the scripts."""

RUNS = [("valkey", m) for m in TRIED] + [("redis", m) for m in ON_REDIS]


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
@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_promise_is_kept_over_many_seeds(url: str, block: int) -> None:
    """Runs of 400 turns, on each server."""
    for seed in range(SEEDS_A_BLOCK * block, SEEDS_A_BLOCK * (block + 1)):
        check(simulate(url, 1_000 + seed, steps=400))


def test_the_seeds_are_those_of_the_table() -> None:
    names = {mutation.name for mutation in MUTATIONS}
    assert names >= {*AT_ONCE, *RARE}
    assert names - set(RARE) == set(SEEDS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_mutation_still_fits_the_code(mutation: Mutation) -> None:
    """A snippet that is not there any more would be a mutation of nothing."""
    with mutation.applied():
        pass


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_mutation_is_caught(url: str, name: str) -> None:
    """The simulator has teeth: these errors it finds at once."""
    (mutation,) = (m for m in MUTATIONS if m.name == name)
    assert first_caught(url, mutation, seeds_max=MUTATION_SEEDS_MAX, steps=STEPS) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store_server", "mutation"),
    [pytest.param(kind, m, id=f"{kind}-{m.name}") for kind, m in RUNS],
    indirect=["store_server"],
)
def test_each_mutation_is_caught(url: str, mutation: Mutation) -> None:
    """Every one of the table, by the seed that is known to or within a bounded number."""
    assert first_caught(url, mutation, seeds_max=MUTATION_SEEDS_MAX, steps=STEPS) is not None
