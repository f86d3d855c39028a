"""The audit trail: who read, searched or was refused what. Rows are only ever added; a trigger sees to it."""

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Blob, Id, Label, Moment, Small


class AuditEvent(Base):
    """One event. Positions rise in the order of commits. Ids only: nothing of a person lies open in here.

    `changes` is empty, or sealed: what sensitive fields were before and after. `grant_id` names the emergency access
    under which it happened.

    `hash` is SHA-256 of the hash before it and of the event: see `storage/audit_chain.py`.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "organization_id", "position"),
        Index(None, "organization_id", "object_id", "position"),
        Index(None, "organization_id", "actor", "position"),
        Index(None, "organization_id", "patient_id", "position"),
    )

    position: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[Moment]
    actor: Mapped[Id]
    action: Mapped[Label]
    kind: Mapped[Label]
    object_id: Mapped[Id]
    patient_id: Mapped[Id]
    outcome: Mapped[Label]
    reason: Mapped[Label]
    device: Mapped[Label]
    correlation: Mapped[Label]
    organization_id: Mapped[Id]
    hash: Mapped[Blob]
    purpose: Mapped[Label] = mapped_column(server_default="")
    grant_id: Mapped[Id] = mapped_column(server_default="")
    changes: Mapped[Blob] = mapped_column(server_default=text("''::bytea"))


class AuditHead(Base):
    """One row: where the chain ends. Whoever adds events locks it, so that there is one chain."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), {"postgresql_with": {"fillfactor": "50"}})

    id: Mapped[Small] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[Big]
    hash: Mapped[Blob]
