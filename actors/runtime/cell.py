"""One live entity in a host's memory."""

from typing import Any

from actors.runtime.codec import KindCodec
from actors.runtime.recent import RecentCommands
from actors.runtime.replay import apply_row
from storage.journal.interface import Loaded


class Cell:
    """State and bookkeeping of one entity.

    `version` is that of `state`, `durable` the newest one known to be committed: between them lie turns that the
    journal writer still holds. `broken` cells have left memory; what was built on them fails. `untold`: those who
    watch do not know the newest version. `cost` estimates the bytes this entity takes, `last_used` is loop time in
    seconds.
    """

    __slots__ = (
        "broken",
        "codec",
        "cost",
        "durable",
        "id",
        "last_used",
        "pending",
        "recent",
        "shard",
        "signals",
        "snapshotted",
        "state",
        "untold",
        "version",
    )

    def __init__(self, codec: KindCodec[Any], id: str, shard: int) -> None:
        self.codec = codec
        self.id = id
        self.shard = shard
        self.state: Any = None
        self.version = 0
        self.durable = 0
        self.snapshotted = 0
        self.pending = 0
        self.cost = _BASE_COST
        self.last_used = 0.0
        self.broken = False
        self.untold = False
        self.signals: dict[str, Any] | None = None
        self.recent = RecentCommands()

    @property
    def kind(self) -> str:
        return self.codec.kind.name

    def view(self) -> Any:
        return self.codec.kind.view(self.state, self.signals or {}, self.version)


_BASE_COST = 1_200
"""Bytes of a cell without its state: the object, its keys, its place in the host's tables."""

_COST_PER_ENCODED_BYTE = 3
"""Decoded structs and strings take about three times their msgpack."""


def restore(cell: Cell, loaded: Loaded, keep_commands: int) -> None:
    """Bring a fresh cell to its newest durable version: the snapshot, then the journal after it."""
    codec = cell.codec
    snapshot = loaded.snapshot
    if snapshot is not None:
        decoded = codec.snapshot(cell.id, snapshot.version, snapshot.schema, snapshot.data)
        if decoded is None:
            raise SnapshotUnusableError
        cell.state, packed, complete = decoded
        cell.recent = RecentCommands(packed, complete)
        cell.version = cell.snapshotted = snapshot.version
        charge(cell, len(snapshot.data))
    for row in loaded.rows:
        cell.state = apply_row(codec, cell.state, cell.version, row)
        cell.version = row.version
        cell.recent.add(row.command_id, row.command_hash, row.version, keep_commands)
        charge(cell, len(row.payload))
    cell.durable = cell.version


class SnapshotUnusableError(Exception):
    """The snapshot is of a schema that cannot be brought forward: replay the whole journal instead."""


def charge(cell: Cell, encoded_bytes: int) -> None:
    cell.cost += encoded_bytes * _COST_PER_ENCODED_BYTE


def recharge(cell: Cell, encoded_bytes: int) -> None:
    """The whole state was encoded: its size is known afresh."""
    cell.cost = _BASE_COST + encoded_bytes * _COST_PER_ENCODED_BYTE
