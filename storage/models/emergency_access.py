"""Emergency access: who opened whose documents at which organization, why, and who has looked into it since."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Blob, Id, Moment


class EmergencyAccess(Base):
    """One grant. `reason` and `note` are sealed: they may speak of the patient."""

    __tablename__ = "emergency_access"
    __table_args__ = (
        Index("ix_emergency_access_organization_id_granted_at", "organization_id", "granted_at", "id"),
        Index("ix_emergency_access_subject_expires_at", "subject", "expires_at"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    subject: Mapped[Id]
    organization_id: Mapped[Id]
    patient_id: Mapped[Id]
    document_id: Mapped[Id]
    reason: Mapped[Blob]
    granted_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]
    revoked_by: Mapped[Id] = mapped_column(server_default="")
    reviewed_at: Mapped[Moment | None]
    reviewed_by: Mapped[Id] = mapped_column(server_default="")
    note: Mapped[Blob | None]
