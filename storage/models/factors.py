"""What people prove with besides their password: authenticator apps, passkeys, recovery codes."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Blob, Id, Label, Moment, Texts

_NOTHING = text("'[]'::jsonb")
_ZERO = text("0")


class TotpFactor(Base):
    """A person's authenticator app, one each. `secret` is sealed; `last_step` is the newest time step that was used."""

    __tablename__ = "totp_factors"

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    name: Mapped[Label]
    secret: Mapped[Blob]
    last_step: Mapped[Big] = mapped_column(server_default=_ZERO)
    created_at: Mapped[Moment]
    confirmed_at: Mapped[Moment | None]
    last_used_at: Mapped[Moment | None]


class Passkey(Base):
    """A public key of a person's device or password manager (WebAuthn)."""

    __tablename__ = "passkeys"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    credential_id: Mapped[Blob] = mapped_column(unique=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[Label]
    public_key: Mapped[Blob]
    sign_count: Mapped[Big] = mapped_column(server_default=_ZERO)
    transports: Mapped[Texts] = mapped_column(server_default=_NOTHING)
    backed_up: Mapped[bool]
    created_at: Mapped[Moment]
    last_used_at: Mapped[Moment | None]


class RecoveryCode(Base):
    """Good once, in place of a factor that is lost. Only its hash is kept."""

    __tablename__ = "recovery_codes"
    __table_args__ = (PrimaryKeyConstraint("user_id", "hash"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    hash: Mapped[Blob]
    created_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


class FactorChallenge(Base):
    """A question that one answer, soon, belongs to. `amr`: how far a login has proved somebody already."""

    __tablename__ = "factor_challenges"
    __table_args__ = (
        CheckConstraint(
            "purpose IN ('login', 'enrolment', 'passkey_registration', 'passkey_login')",
            name="purpose",
        ),
        Index(None, "expires_at"),
    )

    hash: Mapped[Blob] = mapped_column(primary_key=True)
    purpose: Mapped[Label]
    user_id: Mapped[Id | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    device: Mapped[Label] = mapped_column(server_default="")
    organization_id: Mapped[Id | None]
    amr: Mapped[Texts] = mapped_column(server_default=_NOTHING)
    issued_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]
