"""What requests that changed plain tables were answered, by their Idempotency-Key (rule M9)."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Blob, Id, Moment


class IdempotencyKey(Base):
    """One key of one subject on one route. `id` and `request` are hashes; `request` and `answer` are sealed.

    `answer` is NULL while it runs. `attempt` is who runs it, until `running_until` at most.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[Blob] = mapped_column(primary_key=True)
    request: Mapped[Blob]
    attempt: Mapped[Id]
    answer: Mapped[Blob | None]
    running_until: Mapped[Moment]
    expires_at: Mapped[Moment]
