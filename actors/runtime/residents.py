"""The entities that live in a host's memory, and their leaving (invariants 7 and 8)."""

import asyncio
from collections.abc import Callable, Iterable

from actors.runtime.cell import Cell
from actors.runtime.limits import Limits
from actors.runtime.memory import MemoryBudget
from actors.runtime.snapshots import Snapshots


class Residents:
    """`cells` by `kind/id`. `busy` tells whether requests wait for an entity."""

    def __init__(self, snapshots: Snapshots, limits: Limits, busy: Callable[[str], bool]) -> None:
        self.cells: dict[str, Cell] = {}
        self._snapshots = snapshots
        self._budget = MemoryBudget(limits)
        self._busy = busy

    def evict(self, cell: Cell) -> None:
        key = f"{cell.kind}/{cell.id}"
        if self.cells.get(key) is cell:
            del self.cells[key]

    def in_shards(self, shards: set[int]) -> dict[str, Cell]:
        return {key: cell for key, cell in self.cells.items() if cell.shard in shards}

    def forget(self, shards: set[int]) -> None:
        for key in self.in_shards(shards):
            del self.cells[key]

    async def passivate_some(self) -> None:
        """Let the idle go, and past the memory budget the least recently used."""
        leaving = self._budget.leaving(self.cells, asyncio.get_running_loop().time())
        if leaving:
            await self.passivate(leaving)

    async def passivate(self, keys: Iterable[str]) -> int:
        """Snapshot these entities, then let those go that stayed quiet meanwhile; returns how many went."""
        cells = {key: cell for key in keys if (cell := self.cells.get(key)) is not None and not cell.pending}
        versions = {key: cell.version for key, cell in cells.items()}
        await self._snapshots.write(cells.values())
        gone = 0
        for key, cell in cells.items():
            quiet = self.cells.get(key) is cell and not cell.pending and cell.version == versions[key]
            if quiet and not self._busy(key):
                del self.cells[key]
                gone += 1
        return gone

    def live(self) -> dict[str, int]:
        """How many entities of each kind are here; what was asked for but does not exist is not counted."""
        counts: dict[str, int] = {}
        for cell in self.cells.values():
            if cell.version:
                counts[cell.kind] = counts.get(cell.kind, 0) + 1
        return counts

    async def census(self) -> tuple[dict[str, int], int]:
        """`live` and `cost`, a slice at a time: a hundred thousand at once would hold up everybody's turns."""
        counts: dict[str, int] = {}
        cost = 0
        cells = list(self.cells.values())
        for at in range(0, len(cells), _CENSUS_CELLS):
            for cell in cells[at : at + _CENSUS_CELLS]:
                cost += cell.cost
                if cell.version:
                    counts[cell.kind] = counts.get(cell.kind, 0) + 1
            await asyncio.sleep(0)
        return counts, cost

    def cost(self) -> int:
        """Estimated bytes of all."""
        return sum(cell.cost for cell in self.cells.values())


_CENSUS_CELLS = 2_000
"""Entities looked at between two moments in which the host does something else."""
