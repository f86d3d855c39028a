"""Work that takes longer than a request: durable, and taken up again by another process when its own has died."""

from typing import Annotated, Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Int, Label, Moment

Document = Annotated[dict[str, Any], mapped_column(JSONB)]

_LIVE = text("status IN ('queued', 'running')")
_EMPTY = text("'{}'::jsonb")
_ZERO = text("0")


class Job(Base):
    """A job. `key`: of the same kind and key, one is live at a time. `person`: the user whom it is about.

    `params`, `checkpoint` and `result` hold ids, counts and static words: nothing of a person. `holder` runs it, until
    `held_until` unless that is renewed. `error` is the name of an error, never its text.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        Index("uq_jobs_kind_key", "kind", "key", unique=True, postgresql_where=_LIVE),
        Index(None, "due_at", postgresql_where=_LIVE),
        Index(None, "owner", "id"),
        Index(None, "kind", "key", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[Label]
    key: Mapped[Label]
    owner: Mapped[Id]
    person: Mapped[Id | None]
    status: Mapped[Label] = mapped_column(server_default="queued")
    params: Mapped[Document] = mapped_column(server_default=_EMPTY)
    done: Mapped[Int] = mapped_column(server_default=_ZERO)
    total: Mapped[Int] = mapped_column(server_default=_ZERO)
    step: Mapped[Label] = mapped_column(server_default="")
    checkpoint: Mapped[Document] = mapped_column(server_default=_EMPTY)
    result: Mapped[Document | None]
    error: Mapped[Label] = mapped_column(server_default="")
    attempts: Mapped[Int] = mapped_column(server_default=_ZERO)
    cancel_wanted: Mapped[bool] = mapped_column(server_default=text("false"))
    holder: Mapped[Id | None]
    held_until: Mapped[Moment | None]
    due_at: Mapped[Moment]
    created_at: Mapped[Moment]
    started_at: Mapped[Moment | None]
    finished_at: Mapped[Moment | None]
