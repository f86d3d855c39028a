"""Snapshots: a cache of the journal (invariant 7), written in bulk and in the background."""

from collections.abc import Iterable

import structlog

from actors.runtime.cell import Cell, recharge
from actors.runtime.limits import Limits
from storage.journal.interface import Journal, Snapshot

log = structlog.get_logger()


class Snapshots:
    def __init__(self, journal: Journal, limits: Limits) -> None:
        self._journal = journal
        self._limits = limits
        self._kept: dict[int, tuple[Cell, Snapshot]] = {}
        self.written = 0

    def keep(self, cell: Cell) -> None:
        """Encode the state of this very turn, to be written once it is committed.

        A hot entity is never quiet: there is no later moment in which its newest state is durable.
        """
        snapshot = _take_or_log(cell)
        if snapshot is not None:
            self._kept[id(cell)] = (cell, snapshot)
        cell.snapshotted = cell.version

    async def write_kept(self) -> None:
        """Write what `keep` took, as far as it has been committed by now."""
        ready = {key: kept for key, kept in self._kept.items() if kept[0].durable >= kept[1].version}
        for key in ready:
            del self._kept[key]
        self._kept = {key: kept for key, kept in self._kept.items() if not kept[0].broken}
        snapshots = [snapshot for _, snapshot in ready.values()]
        for at in range(0, len(snapshots), self._limits.snapshot_batch_max):
            batch = snapshots[at : at + self._limits.snapshot_batch_max]
            await self._journal.save_snapshots(batch)
            self.written += len(batch)

    async def write(self, cells: Iterable[Cell]) -> None:
        """Write those of `cells` whose newest state is committed and newer than their snapshot."""
        size = self._limits.snapshot_batch_max
        ready = [cell for cell in cells if _worth_writing(cell)]
        for at in range(0, len(ready), size):
            taken = [(cell, _take_or_log(cell)) for cell in ready[at : at + size] if _worth_writing(cell)]
            batch = [(cell, snapshot) for cell, snapshot in taken if snapshot is not None]
            await self._journal.save_snapshots([snapshot for _, snapshot in batch])
            self.written += len(batch)
            for cell, snapshot in batch:
                cell.snapshotted = max(cell.snapshotted, snapshot.version)


def _worth_writing(cell: Cell) -> bool:
    """A broken cell's state may be half changed: it must not become a snapshot, whatever its version says."""
    return cell.durable == cell.version > cell.snapshotted and not cell.broken


def _take_or_log(cell: Cell) -> Snapshot | None:
    """None: this state cannot be encoded. The journal alone will do; nobody else's turn may fail for it."""
    try:
        return take(cell)
    except Exception:
        log.exception("snapshot_not_taken", kind=cell.kind, id=cell.id)
        return None


def take(cell: Cell) -> Snapshot:
    """Encode the state as it is now; only meaningful while nothing of it is uncommitted."""
    codec = cell.codec
    data = codec.pack_snapshot(cell.id, cell.version, cell.state, cell.recent.pack(), cell.recent.complete)
    recharge(cell, len(data))
    return Snapshot(cell.shard, cell.kind, cell.id, cell.version, codec.kind.schema, data)
