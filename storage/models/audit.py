"""The audit trail: who read, searched or was refused what. Rows are only ever added; a trigger sees to it."""

from sqlalchemy import Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Id, Label, Moment


class AuditEvent(Base):
    """One event. Positions rise in the order of commits. Ids only: nothing of a person is in here."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "organization_id", "position"),
        Index(None, "organization_id", "object_id", "position"),
        Index(None, "organization_id", "actor", "position"),
        Index(None, "organization_id", "patient_id", "position"),
    )

    position: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
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
