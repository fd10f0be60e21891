"""Replay a seed, or try many: ``python -m tests.simulator --seed 7 --steps 300``."""

import argparse
import logging
import time
from collections import Counter

from tests.simulator.simulation import simulate
from tests.support.stores import server

SUMMED = ("calls", "commands", "deaths", "losses", "lost", "trimmed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey")
    parser.add_argument("--lines", type=int, default=200, help="of the trace of a failure")
    options = parser.parse_args()
    started = time.monotonic()
    logging.disable()
    sums: Counter[str] = Counter()
    with server(options.server) as url:
        for seed in range(options.seed, options.seed + options.seeds):
            outcome = simulate(url, seed, options.steps)
            sums.update({name: getattr(outcome, name) for name in SUMMED})
            if outcome.problem:
                print("\n".join(outcome.trace[-options.lines :]))
                raise SystemExit(f"seed {seed}, {options.steps} steps: {outcome.problem}")
    seconds = time.monotonic() - started
    print(
        f"{options.seeds} seeds of {options.steps} steps: {sums['calls']} calls, "
        f"{sums['commands']} scripts, {sums['deaths']} deaths, {sums['losses']} tails lost with "
        f"{sums['lost']} events, {sums['trimmed']} events trimmed, in {seconds:.1f} s: "
        "every promise kept"
    )


if __name__ == "__main__":
    main()
