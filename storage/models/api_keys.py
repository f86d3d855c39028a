"""What machines ask with, and what has been taken back before it ran out. Of every secret only a hash is kept."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Blob, Id, Label, Moment, Texts


class RevocationRow(Base):
    """Access tokens and keys that do not hold any more although they have not run out. Gone when they would have.

    `ended`: everything issued up to `cutoff` by the login or key `id`, or to the person `id`. `outdated`: the same, but
    whoever has it may have a new one at once (a role was taken away).
    """

    __tablename__ = "revocations"
    __table_args__ = (
        PrimaryKeyConstraint("id", "kind"),
        CheckConstraint("kind IN ('ended', 'outdated')", name="kind"),
        Index(None, "recorded_at"),
        Index(None, "expires_at"),
    )

    id: Mapped[Id]
    kind: Mapped[Label]
    cutoff: Mapped[Moment]
    expires_at: Mapped[Moment]
    recorded_at: Mapped[Moment] = mapped_column(server_default=text("now()"))


class ServiceAccount(Base):
    """Somebody who is no person: an organization's machine. It has roles there, keys, and no password."""

    __tablename__ = "service_accounts"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'suspended', 'deleted')", name="status"),
        Index(None, "organization_id", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[Label]
    roles: Mapped[Texts]
    status: Mapped[Label]
    created_by: Mapped[Id]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class ApiKey(Base):
    """A key of a person (`owner_kind` `person`) or of a service account (`service`).

    `hash` is SHA-256 of the whole key, `prefix` its first characters, by which its owner recognizes it.
    `organization_id` is where it acts; null: for the person themselves.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("owner_kind IN ('person', 'service')", name="owner_kind"),
        Index(None, "owner_id", "created_at"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    hash: Mapped[Blob] = mapped_column(unique=True)
    prefix: Mapped[Label]
    owner_kind: Mapped[Label]
    owner_id: Mapped[Id]
    organization_id: Mapped[Id | None]
    name: Mapped[Label]
    scopes: Mapped[Texts]
    created_by: Mapped[Id]
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    last_used_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]
    revoked_for: Mapped[Label] = mapped_column(server_default="")
