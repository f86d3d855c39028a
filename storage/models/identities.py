"""Who people are at login providers (OpenID Connect), and which one-time values of such logins were used."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Blob, Id, Label, Moment


class Identity(Base):
    """A person as a provider knows them: its `issuer` and what it calls them there (`subject`) name exactly one.

    `provider` is the name in the settings under which it was linked.
    """

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"), Index(None, "user_id", "linked_at"))

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    provider: Mapped[Label]
    issuer: Mapped[Label]
    subject: Mapped[Label]
    linked_at: Mapped[Moment]
    last_used_at: Mapped[Moment | None]


class OidcSpent(Base):
    """SHA-256 of a state or code that was used, until it would not hold any more by itself."""

    __tablename__ = "oidc_spent"
    __table_args__ = (Index(None, "expires_at"),)

    hash: Mapped[Blob] = mapped_column(primary_key=True)
    expires_at: Mapped[Moment]
