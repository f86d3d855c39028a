"""People who log in, what they may do where, and what proves who they are. Of every secret only a hash is kept."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Blob, Id, Int, Label, Moment, Texts


class LookupKeyRow(Base):
    """A sealed key by which personal values are found without being readable (HMAC-SHA256). It never changes."""

    __tablename__ = "lookup_keys"

    name: Mapped[Id] = mapped_column(primary_key=True)
    sealed: Mapped[Blob]
    created_at: Mapped[Moment] = mapped_column(server_default=text("now()"))


class User(Base):
    """A person. `email` is sealed, `email_hash` finds it. `roles` hold without an organization.

    `profile` is name and telephone number, sealed; `name` is only of accounts of an older release that no gateway has
    sealed yet. `version` rises with each change of what is shown of them.

    `password_hash` is argon2id (or bcrypt from elsewhere until the next login); "" is no password.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'active', 'suspended', 'deleted')", name="status"),
        Index(None, "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    email: Mapped[Blob]
    email_hash: Mapped[Blob] = mapped_column(unique=True)
    name: Mapped[Label] = mapped_column(server_default="")
    profile: Mapped[Blob | None]
    preferences: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    version: Mapped[Big] = mapped_column(server_default="1")
    status: Mapped[Label]
    password_hash: Mapped[Label] = mapped_column(server_default="")
    roles: Mapped[Texts] = mapped_column(server_default=text("'[\"customer\"]'::jsonb"))
    locale: Mapped[Label] = mapped_column(server_default="en")
    time_zone: Mapped[Label] = mapped_column(server_default="UTC")
    verified_at: Mapped[Moment | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    deleted_at: Mapped[Moment | None]


class Membership(Base):
    """A role that a person has at an organization."""

    __tablename__ = "memberships"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "organization_id", "role"),
        Index(None, "organization_id", "user_id"),
    )

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id"))
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    role: Mapped[Label]
    created_at: Mapped[Moment]


class Login(Base):
    """A login session: one device of one person from their login until it is revoked or runs out."""

    __tablename__ = "logins"
    __table_args__ = (Index(None, "user_id", "last_used_at"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id"))
    organization_id: Mapped[Id | None]
    device: Mapped[Label]
    amr: Mapped[Texts] = mapped_column(server_default=text("'[]'::jsonb"))
    auth_time: Mapped[Moment]
    created_at: Mapped[Moment]
    last_used_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]
    revoked_for: Mapped[Label] = mapped_column(server_default="")


class RefreshToken(Base):
    """One refresh token of a login. `successor` is the next one, sealed, for whoever lost the answer."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "login_id"),)

    hash: Mapped[Blob] = mapped_column(primary_key=True)
    login_id: Mapped[Id] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"))
    issued_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]
    successor: Mapped[Blob | None]


class OneTimeToken(Base):
    """What is mailed to prove that an address is somebody's. `payload` (sealed) is what spending it does."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        CheckConstraint("purpose IN ('verify', 'reset', 'email')", name="purpose"),
        Index(None, "user_id", "issued_at"),
    )

    hash: Mapped[Blob] = mapped_column(primary_key=True)
    purpose: Mapped[Label]
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    payload: Mapped[Blob]
    issued_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


class LoginFailure(Base):
    """Attempts to log in by an address since the last success, whether or not it is anybody's."""

    __tablename__ = "login_failures"
    __table_args__ = (Index(None, "last_at"),)

    email_hash: Mapped[Blob] = mapped_column(primary_key=True)
    count: Mapped[Int]
    last_at: Mapped[Moment]
    locked_until: Mapped[Moment | None]
