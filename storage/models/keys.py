"""Data keys, with which sensitive payloads and snapshots are sealed. `storage/data_keys.py` reads and writes them."""

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Blob, Int, Label, Moment


class DataKeyRow(Base):
    """A data key, wrapped by the key-encryption key that `wrapper` names; sealed bytes begin with its id.

    `retired_at`: nothing new is sealed with it. It is needed for as long as sealed bytes carry its id.
    """

    __tablename__ = "data_keys"
    __table_args__ = (CheckConstraint("id > 0", name="id_positive"),)

    id: Mapped[Int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped: Mapped[Blob]
    wrapper: Mapped[Label]
    created_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    retired_at: Mapped[Moment | None]
