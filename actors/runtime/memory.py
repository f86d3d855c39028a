"""Which entities leave memory: the idle, and past the budget the least recently used (invariant 8)."""

import heapq
from collections.abc import Mapping

from actors.runtime.cell import Cell
from actors.runtime.limits import Limits

_EMPTY_SECONDS_MAX = 1.0
"""What was asked for but does not exist need not be remembered: its next reader pays one query."""


class MemoryBudget:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def leaving(self, cells: Mapping[str, Cell], now: float) -> list[str]:
        """Keys of the entities to passivate now; `now` is loop time in seconds."""
        idle_since = now - self._limits.idle_seconds_max
        empty_since = now - _EMPTY_SECONDS_MAX
        leaving = [
            key
            for key, cell in cells.items()
            if cell.last_used <= (idle_since if cell.version else empty_since) and not cell.pending
        ]
        excess = sum(cell.cost for cell in cells.values()) - self._limits.live_bytes_max
        excess -= sum(cells[key].cost for key in leaving)
        if excess <= 0:
            return leaving
        gone = set(leaving)
        by_age = [(cell.last_used, key) for key, cell in cells.items() if key not in gone and not cell.pending]
        heapq.heapify(by_age)
        while excess > 0 and by_age:
            _, key = heapq.heappop(by_age)
            leaving.append(key)
            excess -= cells[key].cost
        return leaving
