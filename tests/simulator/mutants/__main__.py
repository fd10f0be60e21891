"""Find for each mutation the first seed that catches it: ``python -m tests.simulator.mutants``.

What it prints goes into ``seeds.py``, after a change of the simulation has given all seeds
another course.
"""

import argparse
import logging

from tests.simulator.mutants.table import MUTATIONS
from tests.simulator.mutations import Mutation
from tests.simulator.simulation import Outcome, simulate
from tests.support.stores import server


def run(url: str, seed: int, steps: int, mutation: Mutation) -> Outcome:
    return simulate(url, seed, steps, mutation.edit, mutation.weather)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="how many to try for each")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey")
    parser.add_argument("--only", default="", help="a part of the names of those to try")
    options = parser.parse_args()
    logging.disable()
    with server(options.server) as url:
        for mutation in MUTATIONS:
            if options.only not in mutation.name:
                continue
            with mutation.applied():
                seeds = range(1, options.seeds + 1)
                runs = (run(url, seed, options.steps, mutation) for seed in seeds)
                caught = next((outcome for outcome in runs if outcome.problem), None)
            seed = caught.seed if caught else None
            print(f'    "{mutation.name}": {seed},  # {caught and caught.problem}', flush=True)


if __name__ == "__main__":
    main()
