"""Tables of the entity runtime: leases, shards, the journal, snapshots, reminders.

`storage/journal/postgres.py` reads and writes them by hand-written SQL; nobody else writes them.
"""

from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    PrimaryKeyConstraint,
    Sequence,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Blob, Id, Label, Moment, Small, Xid8

HOST_EPOCHS = Sequence("host_epochs", metadata=Base.metadata)
"""Where every new epoch comes from."""


class HostRow(Base):
    """A host and the only epoch under which it may write. The row lock on it is the fence.

    `wanted` false: it is to hand its shards over and end.
    """

    __tablename__ = "hosts"
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)

    host: Mapped[Id] = mapped_column(primary_key=True)
    epoch: Mapped[Big]
    wanted: Mapped[bool] = mapped_column(server_default=text("true"))


class ShardRow(Base):
    __tablename__ = "shards"

    shard: Mapped[Small] = mapped_column(primary_key=True, autoincrement=False)
    host: Mapped[Id | None] = mapped_column(ForeignKey("hosts.host"))


class ShardMapRow(Base):
    """One row: the version of the shard map."""

    __tablename__ = "shard_map"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[Small] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[Big]


class JournalRow(Base):
    """One accepted command of one entity: append only."""

    __tablename__ = "journal"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "id", "version"),
        UniqueConstraint("command_id", "kind", "id"),
        Index(None, "xid", "position"),
        {
            "postgresql_with": {
                "autovacuum_vacuum_insert_scale_factor": "0.05",
                "autovacuum_analyze_scale_factor": "0.05",
            }
        },
    )

    position: Mapped[Big] = mapped_column(Identity(always=True))
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    version: Mapped[Big]
    time: Mapped[Moment]
    command_id: Mapped[UUID]
    shard: Mapped[Small]
    kind: Mapped[Id]
    id: Mapped[Id]
    command_hash: Mapped[Blob]
    actor: Mapped[Label]
    device: Mapped[Label]
    correlation: Mapped[Label]
    payload: Mapped[Blob]


class SnapshotRow(Base):
    """A cache: the state of an entity at a version. `schema` is the kind's schema that wrote it."""

    __tablename__ = "snapshots"
    __table_args__ = (PrimaryKeyConstraint("kind", "id"),)

    kind: Mapped[Id]
    id: Mapped[Id]
    shard: Mapped[Small]
    version: Mapped[Big]
    schema: Mapped[Small]
    data: Mapped[Blob]


class ReminderRow(Base):
    """A durable timer of an entity."""

    __tablename__ = "reminders"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "id", "name"),
        Index(None, "shard", "due_at"),
        {"postgresql_with": {"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.05"}},
    )

    kind: Mapped[Id]
    id: Mapped[Id]
    name: Mapped[Id]
    shard: Mapped[Small]
    due_at: Mapped[Moment]
