"""Rows, index rows and snapshots for tests of journals."""

from domain.ids import new_command_id
from storage.journal.interface import (
    IndexWrite,
    NewRow,
    ReminderWrite,
    Snapshot,
)

NOW = 1_790_000_000_123


def row(
    id: str = "a",
    version: int = 1,
    *,
    kind: str = "cart",
    command_id: bytes | None = None,
    index: IndexWrite | None = None,
    reminders: tuple[ReminderWrite, ...] = (),
    payload: bytes = b"\x93\x01\x02\x03",
    shard: int = 7,
) -> NewRow:
    return NewRow(
        shard=shard,
        kind=kind,
        id=id,
        version=version,
        command_id=command_id or new_command_id(),
        command_hash=b"hash",
        actor="user-1",
        device="device-1",
        correlation="correlation-1",
        time_ms=NOW + version,
        payload=payload,
        index=index,
        reminders=reminders,
    )


def cart_index(status: str = "open") -> IndexWrite:
    return IndexWrite(
        "carts",
        {"owner": "user-1", "merchant_id": "m", "status": status, "created_at": NOW, "updated_at": NOW},
    )


def snapshot(version: int, schema: int = 1, data: bytes = b"state") -> Snapshot:
    return Snapshot(7, "cart", "a", version, schema, data)
