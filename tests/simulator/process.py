"""A process that can be killed at any moment, between any two of its steps.

Its tasks are cancelled and its network is gone: whatever its code tries to put in order on
the way out reaches nobody, as after SIGKILL. What it had sent before may still arrive.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

from tests.simulator.network import Network

RUNNING: ContextVar["Process | None"] = ContextVar("RUNNING", default=None)


class Process:
    """Attributes: alive: False after `kill`; whoever acts on the world asks first."""

    def __init__(self, name: str, network: Network) -> None:
        self.name = name
        self.network = network
        self.alive = True
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something inside: it, and all that it starts, dies with the process."""
        context = copy_context()
        context.run(RUNNING.set, self)
        return context.run(asyncio.get_running_loop().create_task, work)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def kill(self) -> None:
        self.alive = False
        self.network.die()
        self.stop_timers()
        for task in list(self._tasks):
            task.cancel()

    def stop_timers(self) -> None:
        """What would go on without a task."""

    def beat(self) -> None:
        """Notice what the store has become."""

    def bury(self) -> list[asyncio.Task[Any]]:
        """Cancel what clings to life; the tasks that are left."""
        for task in list(self._tasks):
            task.cancel()
        return list(self._tasks)


def task_factory(loop, coro, **options):
    task = asyncio.Task(coro, loop=loop, **options)
    process = RUNNING.get()
    if process is not None:
        process.adopt(task)
    return task
