"""Measure the gateway beside nginx: ``python -m benchmarks.run --quick``.

Everything runs on loopback, is bounded in count and time, and ends with this command.
"""

import asyncio
import gc
import json
import os
import resource
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

import uvloop

from benchmarks import report
from benchmarks.processes import Cores
from benchmarks.scenarios import FULL, QUICK, Figures, Sizes, measured
from benchmarks.targets import TARGETS, mock_upstream

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    options = _options()
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupted)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load_average, *_ = os.getloadavg()  # others at work on this machine blur the figures
    sizes = QUICK if options.quick else FULL
    try:
        figures = _run(options.targets, sizes, options.repeat or (1 if options.quick else 3))
    except (RuntimeError, OSError) as exc:
        print(f"benchmark failed: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything started was ended", file=sys.stderr)
        return 130
    print(report.table(figures))
    if options.json:
        _record(options.json, figures, load_average)
    return 0


def _run(targets: list[str], sizes: Sizes, repeat: int) -> dict[str, Figures]:
    """Each target in turn, and that `repeat` times: a slow minute of the machine meets all."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    runs: dict[str, list[Figures]] = {name: [] for name in targets}
    for number in range(repeat):
        for name in targets:
            print(f"{name}, run {number + 1} of {repeat} …", file=sys.stderr)
            runs[name].append(_once(name, sizes, cores))
    return report.with_added({name: report.medians(found) for name, found in runs.items()})


def _once(name: str, sizes: Sizes, cores: Cores) -> Figures:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="farebox-benchmark-")))
        mock_port = stack.enter_context(mock_upstream(folder, cores))
        target = stack.enter_context(TARGETS[name](mock_port, folder, cores))
        gc.collect()
        gc.disable()  # a pause of ours would look like one of the target's
        stack.callback(gc.enable)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(measured(target, sizes))


def _record(file: Path, figures: dict[str, Figures], load_average: float) -> None:
    record = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.run {' '.join(_arguments())}",
        "machine": report.machine() | {"load_average_before": load_average},
        "figures": figures,
    }
    file.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _arguments() -> list[str]:
    """The command line without the name of the file, which says nothing about the run."""
    kept = [word for word in sys.argv[1:] if not word.startswith("--json=")]
    if "--json" in kept:
        at = kept.index("--json")
        del kept[at : at + 2]
    return kept


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute a target, for a first look")
    parser.add_argument(
        "--targets",
        type=_targets,
        default=list(TARGETS),
        help="comma-separated: direct,nginx,farebox (the default)",
    )
    parser.add_argument("--repeat", type=int, choices=range(1, 11), help="medians of so many runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser.parse_args()


def _targets(text: str) -> list[str]:
    names = text.split(",")
    unknown = set(names) - set(TARGETS)
    if unknown:
        raise ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def _interrupted(*_: object) -> NoReturn:
    for number in STOP_SIGNALS:  # an impatient second Ctrl-C would leave processes behind
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
