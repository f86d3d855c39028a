"""What is kept of privacy's own work: exports, erasures, legal holds, and how far retention has come."""

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Blob, Id, Int, Label, Moment
from storage.models.jobs import Document


class PersonalExport(Base):
    """A sealed file in `exports/` and its key, itself sealed: without this row the file is noise."""

    __tablename__ = "personal_exports"
    __table_args__ = (Index(None, "user_id", "created_at"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id]
    file_key: Mapped[Blob]
    size_bytes: Mapped[Big]
    files: Mapped[Int]
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    downloaded_at: Mapped[Moment | None]


class Erasure(Base):
    """That a person was erased, and per noun what became of what there was. Kept as evidence, also to erase again
    after an older backup has been restored."""

    __tablename__ = "erasures"

    user_id: Mapped[Id] = mapped_column(primary_key=True)
    job_id: Mapped[Id]
    asked_by: Mapped[Id]
    outcome: Mapped[Document] = mapped_column(server_default=text("'{}'::jsonb"))
    started_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]


class LegalHold(Base):
    """While it is not released, nothing of this person is erased or runs out."""

    __tablename__ = "legal_holds"
    __table_args__ = (
        Index("uq_legal_holds_user_id", "user_id", unique=True, postgresql_where=text("released_at IS NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id]
    reason: Mapped[Label]
    placed_by: Mapped[Id]
    placed_at: Mapped[Moment]
    released_at: Mapped[Moment | None]


class RetentionMark(Base):
    """The last entity that a rule of retention has dealt with, in the order of (at, id)."""

    __tablename__ = "retention_marks"

    rule: Mapped[Id] = mapped_column(primary_key=True)
    at: Mapped[Moment]
    id: Mapped[Id]
