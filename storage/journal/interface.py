"""The journal, its snapshots, reminders and the shard map, as the runtime sees them.

Two implementations keep one contract (`tests/storage/journal_contract.py`): `postgres.py` for real,
`memory.py` for simulation. Which error means what is part of the contract:

- `Fenced`         another incarnation of this host took over. Nothing of the batch was written, nothing
                   will ever be accepted again under this lease. Drop memory and exit.
- `CommitRefused`  the database refused the data of this batch (and is fine otherwise). Nothing was written.
- `CommitUnknown`  the batch may or may not have been written (connection lost, timeout). Take a new epoch
                   (which waits for or kills the old transaction) before you read what became of it.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class JournalError(Exception):
    pass


class Fenced(JournalError):
    pass


class CommitRefused(JournalError):
    pass


class CommitUnknown(JournalError):
    pass


class Lease(msgspec.Struct, frozen=True):
    """The right of one incarnation of a host to write: valid while `hosts.epoch` equals `epoch`."""

    host: str
    epoch: int


class IndexWrite(msgspec.Struct, frozen=True):
    """Upsert of `columns` (plus `id` and `version`) into `table`; an older version never overwrites."""

    table: str
    columns: dict[str, Any]


class ReminderWrite(msgspec.Struct, frozen=True):
    """`due_ms` None removes the reminder."""

    name: str
    due_ms: int | None


class NewRow(msgspec.Struct, frozen=True):
    """One accepted command, to be written. Times are milliseconds since the epoch, UTC."""

    shard: int
    kind: str
    id: str
    version: int
    command_id: bytes
    command_hash: bytes
    actor: str
    device: str
    correlation: str
    time_ms: int
    payload: bytes
    index: IndexWrite | None = None
    reminders: tuple[ReminderWrite, ...] = ()


class JournalKey(Protocol):
    """Which row of the journal it is."""

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...


class TimerDone(msgspec.Struct, frozen=True):
    """A reminder has been handled: remove it if it still has this due time (a newer one stays)."""

    kind: str
    id: str
    name: str
    due_ms: int


class Row(msgspec.Struct, frozen=True):
    """One journal row, read back. `xid` and `position` order the tail; `version` orders one entity."""

    position: int
    xid: int
    kind: str
    id: str
    version: int
    command_id: bytes
    command_hash: bytes
    actor: str
    device: str
    correlation: str
    time_ms: int
    payload: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """`data` is opaque here (the runtime's codec wrote it)."""

    shard: int
    kind: str
    id: str
    version: int
    schema: int
    data: bytes


class Loaded(msgspec.Struct, frozen=True):
    """The newest snapshot, if any, and every row after it, ordered by version."""

    kind: str
    id: str
    snapshot: Snapshot | None
    rows: tuple[Row, ...]


class Reminder(msgspec.Struct, frozen=True):
    shard: int
    kind: str
    id: str
    name: str
    due_ms: int


class ShardMap(msgspec.Struct, frozen=True):
    """`owners[shard]` is the host's name. `version` rises with every move."""

    version: int
    owners: tuple[str, ...]


class HostRecord(msgspec.Struct, frozen=True):
    """A host as the installation knows it. `wanted` False: it is to hand its shards over and end."""

    name: str
    epoch: int
    wanted: bool


class Journal(Protocol):
    """Entities' durable side. Every method may raise `OSError`/`CommitUnknown` when the store is away."""

    async def commit(self, lease: Lease, rows: Sequence[NewRow], done: Sequence[TimerDone]) -> None:
        """Write all rows, their index rows and reminders in one transaction, or nothing.

        Checks the lease under a row lock in that same transaction, also when both lists are empty: that is
        how reads prove that their host still rules. `(kind, id, version)` and
        `(command_id, kind, id)` are unique: a breach is `CommitRefused`.
        """

    async def load(self, keys: Sequence[tuple[str, str]]) -> list[Loaded]:
        """One round trip for many entities, answered in the order of `keys`; unknown ones have no rows."""

    async def rows(self, kind: str, id: str, after: int = 0, upto: int | None = None) -> list[Row]:
        """Rows with `after < version <= upto` of one entity, by version."""

    async def find_commands(self, kind: str, id: str, command_ids: Sequence[bytes]) -> dict[bytes, int]:
        """Those of these commands that this entity has executed, with the version each one made."""

    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Upsert; an older version never overwrites a newer one. Only committed state may come here."""

    async def due_reminders(self, shards: Sequence[int], before_ms: int, limit: int) -> list[Reminder]:
        """The earliest reminders of these shards due before `before_ms`, by due time."""


class Placement(Protocol):
    """Which host owns which shard, and which incarnation of a host may write."""

    async def take_epoch(self, host: str, held: int | None = None) -> Lease:
        """A new lease for `host`, fencing every earlier one. Waits for a commit in flight under the old one.

        With `held`, only if that epoch is still the current one, else `Fenced`. Registers an unknown host.
        """

    async def shard_map(self) -> ShardMap: ...

    async def hosts(self) -> list[HostRecord]:
        """All registered hosts, by name."""

    async def want(self, host: str, wanted: bool) -> None:
        """Register `host` if unknown (epoch 0) and say whether it is to serve."""

    async def forget(self, host: str) -> None:
        """Remove a host that owns no shard and is not wanted; otherwise does nothing."""

    async def assign_free(self, hosts: Sequence[str]) -> ShardMap:
        """Spread the shards that have no owner evenly over `hosts` (the first start)."""

    async def hand_over(self, lease: Lease, shards: Sequence[int], to: str) -> ShardMap:
        """The owner gives shards away, checked against its lease under the row lock."""

    async def seize(self, shards: Sequence[int], owner: str, to: str) -> ShardMap:
        """Take shards from a host that does not answer: fences `owner` and moves them, in one transaction."""


class Cursor(msgspec.Struct, frozen=True, order=True):
    xid: int = 0
    position: int = 0


class Tail(Protocol):
    async def read_after(self, cursor: Cursor, limit: int) -> list[Row]:
        """Rows after `cursor` by (xid, position), only below the oldest running transaction.

        So a slow commit is waited for, never skipped.
        """
