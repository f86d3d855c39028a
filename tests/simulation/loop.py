"""An event loop whose time is virtual, and in which parts of the program live as processes of their own.

Nothing blocks: when no callback is ready, time jumps to the next timer. A callback belongs to the process in
whose context it was scheduled; a suspended process gets none of its callbacks until it continues (SIGSTOP), a
killed one never again, not even its `finally` blocks (SIGKILL).
"""

import asyncio
import heapq
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH_MS = 1_700_000_000_000
"""Wall-clock milliseconds at virtual time 0."""


class StuckError(Exception):
    """Nothing is left that could ever happen, and the program has not ended."""


class Process:
    """A part of the program that can be suspended and killed by itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self.stash: list[events.Handle] = []
        self.context = copy_context()
        self.context.run(_PROCESS.set, self)


_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    def __init__(self, callbacks_max: int = 3_000_000) -> None:
        super().__init__()
        self._now = 0.0
        self._ready: Any
        self._scheduled: Any
        self._stopping: bool
        self._timer_cancelled_count: int
        self._callbacks_left = callbacks_max
        self.all_tasks: list[asyncio.Task[Any]] = []
        """Kept, so that nothing of a killed process is collected (and cleans up) before the end."""
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))
        self.set_task_factory(self._new_task)

    def time(self) -> float:
        return self._now

    def now_ms(self) -> int:
        """The runtime's `Clock`."""
        return EPOCH_MS + int(self._now * 1000 + 1e-6)

    def _new_task(self, _: Any, work: Any, *, context: Context | None = None) -> Any:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=self, context=context)
        self.all_tasks.append(task)
        return task

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        if not ready:
            while scheduled and scheduled[0]._cancelled:
                self._timer_cancelled_count -= 1
                heapq.heappop(scheduled)._scheduled = False
            if scheduled:
                self._now = max(self._now, scheduled[0]._when)
            elif not self._stopping:
                raise StuckError("no callback and no timer is left")
        while scheduled and scheduled[0]._when <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(_PROCESS)
            if process is not None and (process.dead or process.frozen):
                process.stash.append(handle)
                continue
            handle._run()
        self._callbacks_left -= 1
        if self._callbacks_left < 0:
            raise StuckError("the program runs for ever")

    # -- processes --------------------------------------------------------------------------------------------

    def spawn(self, process: Process | None, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run `work` inside a process (None: outside of all)."""
        return self.create_task(work, context=process.context if process is not None else Context())

    def suspend(self, process: Process) -> None:
        process.frozen = True

    def resume(self, process: Process) -> None:
        """What became due meanwhile runs now, in its order."""
        process.frozen = False
        stash, process.stash = process.stash, []
        self._ready.extend(handle for handle in stash if not handle._cancelled)

    def kill(self, process: Process) -> None:
        process.dead = True

    def bury(self, processes: list[Process]) -> None:
        """At the very end: let every task that is left unwind, so that none does so when it is collected."""
        for process in processes:
            process.dead = process.frozen = False
            self._ready.extend(handle for handle in process.stash if _steps_a_task(handle))
            process.stash.clear()
        for _ in range(20):
            left = [task for task in self.all_tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_until_complete(_settle(left))
        self.all_tasks.clear()


def _steps_a_task(handle: events.Handle) -> bool:
    callback = handle._callback  # type: ignore[attr-defined]
    return type(callback).__name__ == "TaskStepMethWrapper" or isinstance(
        getattr(callback, "__self__", None), asyncio.Task
    )


async def _settle(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks, timeout=0.0)


async def outside(loop: VirtualLoop, work: Coroutine[Any, Any, T]) -> T:
    """Await `work` running outside of the caller's process: it goes on when that one is suspended or dies."""
    return await asyncio.shield(loop.spawn(None, work))


def call_outside(loop: VirtualLoop, delay: float, callback: Callable[..., Any], *args: Any) -> None:
    loop.call_later(delay, callback, *args, context=Context())
