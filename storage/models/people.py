"""What is kept of people besides their account: what they are found by, and where they said they are."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Blob, Id, Moment


class UserSearch(Base):
    """Keyed hashes of the words of a name, and of their beginnings: found by full text, not readable."""

    __tablename__ = "user_search"
    __table_args__ = (Index(None, "words", postgresql_using="gin"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    words: Mapped[Any] = mapped_column(TSVECTOR, nullable=False)


class UserPosition(Base):
    """Roughly where somebody said they are, sealed; forgotten when it runs out."""

    __tablename__ = "user_positions"
    __table_args__ = (Index(None, "expires_at"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[Blob]
    consented_at: Mapped[Moment]
    expires_at: Mapped[Moment]
