"""N callers in this process, each awaiting one action after the other: load without a wire."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from loadtests.measure import LoadResult, Recorder

Action = Callable[[int, int], Awaitable[object]]
"""(caller, how many this caller has done) → one request, awaited; an exception is an error."""


async def closed_loop(action: Action, *, callers: int, seconds: float, warmup_seconds: float = 1.0) -> LoadResult:
    """Run for the window; requests under way at its end are awaited, not counted."""
    recorder = Recorder(callers)
    clock = time.perf_counter
    stopping = False

    async def call(caller: int) -> None:
        done = 0
        while not stopping:
            started = clock()
            try:
                await action(caller, done)
            except Exception as error:
                recorder.outcome(type(error).__name__)
                recorder.error()
            else:
                recorder.outcome("ok")
                recorder.success(caller, started, clock())
            done += 1

    async with asyncio.TaskGroup() as group:
        for caller in range(callers):
            group.create_task(call(caller))
        await asyncio.sleep(warmup_seconds)
        recorder.open(clock())
        await asyncio.sleep(seconds)
        recorder.close(clock())
        stopping = True
    return recorder.result()


async def each_once(
    action: Callable[[int], Awaitable[object]], count: int, *, callers: int
) -> tuple[list[float], float]:
    """Do `action(0) … action(count - 1)` once each by `callers` at a time: latencies and the whole time, seconds.

    An exception ends the run and is raised.
    """
    latencies = [0.0] * count
    numbers = iter(range(count))
    clock = time.perf_counter

    async def work() -> None:
        for number in numbers:
            started = clock()
            await action(number)
            latencies[number] = clock() - started

    began = clock()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(work())
    return latencies, clock() - began
