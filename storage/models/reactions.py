"""Where each reaction stands in the journal, what it will try again, and what it gave up."""

from sqlalchemy import Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Id, Int, Label, Moment


class ReactionCursor(Base):
    """The last row a tail has dealt with, and who tails now (a lease, so that only one does)."""

    __tablename__ = "reaction_cursors"

    name: Mapped[Id] = mapped_column(primary_key=True)
    xid: Mapped[Big] = mapped_column(server_default=text("0"))
    position: Mapped[Big] = mapped_column(server_default=text("0"))
    holder: Mapped[Id | None]
    held_until: Mapped[Moment | None]


class ReactionRetry(Base):
    """A journal row that a reaction failed on and will try again at `due_at`."""

    __tablename__ = "reaction_retries"
    __table_args__ = (
        PrimaryKeyConstraint("reaction", "kind", "entity_id", "version"),
        Index(None, "reaction", "due_at"),
    )

    reaction: Mapped[Id]
    kind: Mapped[Id]
    entity_id: Mapped[Id]
    version: Mapped[Big]
    attempts: Mapped[Int]
    due_at: Mapped[Moment]
    error: Mapped[Label]


class DeadLetter(Base):
    """A journal row that a reaction gave up on, until someone has it tried again."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        UniqueConstraint("reaction", "kind", "entity_id", "version"),
        Index(None, "failed_at", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    reaction: Mapped[Id]
    kind: Mapped[Id]
    entity_id: Mapped[Id]
    version: Mapped[Big]
    attempts: Mapped[Int]
    error: Mapped[Label]
    failed_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
