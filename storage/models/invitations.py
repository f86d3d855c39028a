"""Invitations to organizations: to an address, whoever it is that reads what is sent there."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Blob, Id, Label, Moment, Texts


class Invitation(Base):
    """`email` is sealed, `email_hash` compares it with a person's; `hash` is that of the mailed token.

    It can be taken up until it `expires_at`, was accepted, or was revoked, by hand or by another to the same address.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        Index("ix_invitations_organization_id", "organization_id", "id"),
        Index("ix_invitations_email_hash", "email_hash"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[Blob]
    email_hash: Mapped[Blob]
    roles: Mapped[Texts]
    locale: Mapped[Label]
    hash: Mapped[Blob] = mapped_column(unique=True)
    invited_by: Mapped[Id]
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    accepted_at: Mapped[Moment | None]
    accepted_by: Mapped[Id | None]
    revoked_at: Mapped[Moment | None]
