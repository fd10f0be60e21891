"""Kill everything at random under load, then hold the books against the truth.

``python -m tests.chaos --seconds 90 --seed 1 --store valkey``; exit code 1 on a fault. The seed
fixes who is killed when and what is asked; what is under way in that moment it cannot fix.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=["valkey", "redis"], default="valkey")
    parser.add_argument("--keep", type=Path, help="keep the run's files in this folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fb-chaos-") as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = chaos(folder, asked.store, seconds=asked.seconds, seed=asked.seed)
    print(f"seed {asked.seed}, {asked.seconds:g} s, {asked.store}")
    print("\n".join(outcome.lines()))
    return 1 if outcome.findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
