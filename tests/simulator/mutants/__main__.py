"""Find for each mutation a seed that catches it: ``python -m tests.simulator.mutants``.

The known one first, then 1, 2, 3 and so on. What it prints goes into ``seeds.py``, after a
change of the simulation has given all seeds another course.
"""

import argparse
import logging
import time

from tests.simulator.mutants.seeds import RARE, STEPS, first_caught
from tests.simulator.mutants.table import MUTATIONS
from tests.support.stores import server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="how many to try for each")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey")
    parser.add_argument("--only", default="", help="a part of the names of those to try")
    options = parser.parse_args()
    logging.disable()
    missed = 0
    with server(options.server) as url:
        for mutation in MUTATIONS:
            if options.only not in mutation.name or mutation.name in RARE:
                continue
            started = time.process_time()
            caught = first_caught(url, mutation, seeds_max=options.seeds, steps=options.steps)
            seconds = time.process_time() - started
            missed += caught is None
            seed, problem = (caught.seed, caught.problem) if caught else (None, None)
            print(f'    "{mutation.name}": {seed},  # {seconds:.1f} s, {problem}', flush=True)
    raise SystemExit(f"{missed} were not caught" if missed else 0)


if __name__ == "__main__":
    main()
