"""What a process used, read from the kernel: processor time, memory, whose child it is."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROCESSES_MAX: Final = 1_000


def cpu_ns(pids: Sequence[int]) -> int:
    """Processor time, user and system, of these processes so far, all their threads included."""
    return sum(_cpu_ns(pid) for pid in pids)


def rss_bytes(pids: Sequence[int]) -> int:
    """Resident memory of these processes; pages that they share count once for each."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(_read(pid, "statm").split()[1]) * page for pid in pids)


def tree(pid: int) -> list[int]:
    """`pid` and its living descendants."""
    found = [pid]
    for parent in found:
        tasks = Path(f"/proc/{parent}/task").glob("*/children")
        found.extend(int(child) for task in tasks for child in task.read_text().split())
        if len(found) > _PROCESSES_MAX:
            raise RuntimeError(f"process {pid} has more than {_PROCESSES_MAX} descendants")
    return found


def name(pid: int) -> str:
    return _read(pid, "comm").strip()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(len(ordered) * share * 1_000) // 1_000) - 1)]


def _cpu_ns(pid: int) -> int:
    # The process's own clock has nanoseconds; /proc/<pid>/stat the same sum in ticks of 10 ms.
    # Its id is clock_getcpuclockid(3): the complement of the pid, three bits up, | CPUCLOCK_SCHED.
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        fields = _read(pid, "stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // CLOCK_TICKS


def _read(pid: int, file: str) -> str:
    return Path(f"/proc/{pid}/{file}").read_text()
