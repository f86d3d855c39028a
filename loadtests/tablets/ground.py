"""What the scenarios share: latencies, a place where work goes on step by step, and getting everybody there."""

import asyncio
import sys
import time
from array import array
from collections import deque
from typing import Final

from loadtests.measure import percentile
from loadtests.tablets.fleet import Fleet, Tablet
from loadtests.tablets.plans import READY_LINE, Figures, Ward
from loadtests.wire import Op

READY_SECONDS_MAX: Final = 120.0
clock = time.perf_counter
"""uvloop's own has steps of a millisecond."""


class Times:
    """Latencies in seconds, of what was due within the window."""

    def __init__(self) -> None:
        self.opened = float("inf")
        self.closed = float("inf")
        self._taken = array("d")

    def take(self, due: float, now: float) -> None:
        if self.opened <= due < self.closed:
            self._taken.append(now - due)

    def __len__(self) -> int:
        return len(self._taken)

    def figures(self) -> Figures:
        ordered = [seconds * 1000 for seconds in sorted(self._taken)]
        longest = ordered[-1] if ordered else 0.0
        p50, p99 = percentile(ordered, 0.5), percentile(ordered, 0.99)
        return Figures(len(ordered), round(p50, 3), round(p99, 3), round(longest, 3))


class Place:
    """A ward at work. `due_of[v]` is when the command that makes version `v` was due."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.version = ward.version
        self.waiting: deque[tuple[Tablet, float]] = deque()
        self.due_of: dict[int, float] = {}
        self.busy = False
        self._step = 0

    def next_op(self) -> Op:
        op = self.ward.script[self._step]
        self._step = (self._step + 1) % len(self.ward.script)
        return op


async def all_ready(fleet: Fleet) -> None:
    """Raises `TimeoutError` with what went wrong."""
    try:
        async with asyncio.timeout(READY_SECONDS_MAX):
            await fleet.connect()
            await fleet.ready.wait()
    except TimeoutError:
        raise TimeoutError(f"{fleet.connected} of {len(fleet.tablets)} tablets came: {dict(fleet.outcomes)}") from None
    say_ready()


def say_ready() -> None:
    sys.stdout.buffer.write(READY_LINE)
    sys.stdout.flush()
