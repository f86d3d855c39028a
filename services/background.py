"""Work that nobody waits for: bounded, and finished before a gateway ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

_log = structlog.get_logger("services.background")


class Background:
    """Runs tasks beside the requests. Past `tasks_max` new ones are dropped and logged: callers must bear that."""

    def __init__(self, tasks_max: int) -> None:
        self._tasks_max = tasks_max
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> bool:
        """`name` is a static text for the logs."""
        if len(self._tasks) >= self._tasks_max:
            work.close()
            _log.warning("background_task_dropped", task=name)
            return False
        task = asyncio.get_running_loop().create_task(_logged(name, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def settled(self) -> None:
        """Return when nothing is under way any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self, patience_s: float = 10.0) -> None:
        """Give what is under way this long, then end it."""
        try:
            async with asyncio.timeout(patience_s):
                await self.settled()
        except TimeoutError:
            for task in self._tasks:
                task.cancel()
            await self.settled()


async def _logged(name: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:  # its text may hold an address
        _log.warning("background_task_failed", task=name, error=type(error).__name__)
