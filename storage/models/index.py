"""Index rows: how live entities are listed. Written only by the journal, in the entity's own commit.

Nothing that changes with every command is indexed in `carts`, so that its updates stay in their page.
"""

from sqlalchemy import Index, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Big, Id, Int, Label, Moment, Texts

_OFTEN_UPDATED = {"postgresql_with": {"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.1"}}


class CartIndex(Base):
    """A cart by owner (a user id or `guest:…`) or merchant ("" before the first line)."""

    __tablename__ = "carts"
    __table_args__ = (
        Index(None, "owner", "created_at", "id"),
        Index(None, "merchant_id", "created_at", "id"),
        {**_OFTEN_UPDATED, "info": {"entity_index": True}},
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[Big]
    owner: Mapped[Id]
    merchant_id: Mapped[Id | None]
    status: Mapped[Label]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class OrderIndex(Base):
    """An order by user, merchant, courier and status; money in minor units of `currency`."""

    __tablename__ = "orders"
    __table_args__ = (
        Index(None, "user_id", "placed_at", "id"),
        Index(None, "merchant_id", "placed_at", "id"),
        Index(None, "merchant_id", "status", "placed_at", "id"),
        Index(None, "courier_id", "placed_at", "id", postgresql_where=text("courier_id IS NOT NULL")),
        {**_OFTEN_UPDATED, "info": {"entity_index": True}},
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[Big]
    user_id: Mapped[Id]
    merchant_id: Mapped[Id]
    courier_id: Mapped[Id | None]
    status: Mapped[Label]
    currency: Mapped[Label]
    total_minor: Mapped[Big]
    lines_count: Mapped[Int]
    cart_id: Mapped[Id | None]
    placed_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class DocumentIndex(Base):
    """A treatment document by patient, location and status. `participants`: the subjects who take part, as a list.

    `signer` and `cosigner` are NULL while there is none; nothing of what is charted is here.
    """

    __tablename__ = "documents"
    __table_args__ = (
        Index(None, "organization_id", "patient_id", "created_at", "id"),
        Index(None, "organization_id", "location_id", "created_at", "id"),
        Index(None, "organization_id", "status", "created_at", "id"),
        {**_OFTEN_UPDATED, "info": {"entity_index": True}},
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[Big]
    organization_id: Mapped[Id]
    location_id: Mapped[Id]
    patient_id: Mapped[Id]
    visit_id: Mapped[Id | None]
    template: Mapped[Label]
    status: Mapped[Label]
    author: Mapped[Id]
    signer: Mapped[Id | None]
    cosigner: Mapped[Id | None]
    participants: Mapped[Texts]
    conflicts_count: Mapped[Int]
    alerts_count: Mapped[Int]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class SessionIndex(Base):
    """A provider session by clinic, location and person; `quarantined` counts what waits to be resolved there."""

    __tablename__ = "provider_sessions"
    __table_args__ = (
        Index(None, "organization_id", "created_at", "id"),
        Index(None, "location_id", "created_at", "id", postgresql_where=text("location_id IS NOT NULL")),
        Index(None, "user_id", "created_at", "id"),
        Index(None, "organization_id", "quarantined", postgresql_where=text("quarantined > 0")),
        {**_OFTEN_UPDATED, "info": {"entity_index": True}},
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[Big]
    organization_id: Mapped[Id]
    location_id: Mapped[Id | None]
    user_id: Mapped[Id]
    device_id: Mapped[Id]
    status: Mapped[Label]
    access: Mapped[Label]
    room_id: Mapped[Id | None]
    patient_id: Mapped[Id | None]
    quarantined: Mapped[Int]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class RoomIndex(Base):
    """What happens in a room: its status, who holds its claim, and the patient and visit in it."""

    __tablename__ = "room_status"
    __table_args__ = (
        Index(None, "location_id", "status"),
        Index(None, "claimed_by", postgresql_where=text("claimed_by IS NOT NULL")),
        Index(None, "visit_id", postgresql_where=text("visit_id IS NOT NULL")),
        {**_OFTEN_UPDATED, "info": {"entity_index": True}},
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[Big]
    organization_id: Mapped[Id]
    location_id: Mapped[Id]
    status: Mapped[Label]
    claimed_by: Mapped[Id | None]
    patient_id: Mapped[Id | None]
    visit_id: Mapped[Id | None]
    since: Mapped[Moment]


INDEX_TABLES: dict[str, Table] = {
    name: table for name, table in Base.metadata.tables.items() if table.info.get("entity_index")
}
"""Tables that `IndexWrite.table` may name. Their `Moment` columns take milliseconds there."""
