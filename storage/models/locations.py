"""Sites of organizations and the rooms in them. Plain tables; what happens in a room is its entity's."""

from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Json, Label, Moment

_OPEN: Final = "closed_at IS NULL"


class Location(Base):
    """A site of an organization. `time_zone` is an IANA name; `opening_hours`: `{day, opens, closes}` in local time.

    What is closed stays, for what is recorded of it.
    """

    __tablename__ = "locations"
    __table_args__ = (
        Index(None, "country", "city"),
        CheckConstraint("country ~ '^[A-Z]{2}$'", name="country"),
        Index(None, "organization_id", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[Label]
    line1: Mapped[Label]
    line2: Mapped[Label] = mapped_column(server_default="")
    city: Mapped[Label]
    region: Mapped[Label] = mapped_column(server_default="")
    postal_code: Mapped[Label] = mapped_column(server_default="")
    country: Mapped[Label]
    time_zone: Mapped[Label]
    opening_hours: Mapped[Json] = mapped_column(server_default=text("'[]'::jsonb"))
    categories: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'::text[]"))
    created_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    closed_at: Mapped[Moment | None]


class Room(Base):
    """A room of a location; its status is the entity's `room/{id}`. The name of a closed one is free again."""

    __tablename__ = "rooms"
    __table_args__ = (
        Index("uq_rooms_location_id_name", "location_id", "name", unique=True, postgresql_where=text(_OPEN)),
        Index(None, "location_id", "id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    location_id: Mapped[Id] = mapped_column(ForeignKey("locations.id"))
    name: Mapped[Label]
    kind: Mapped[Label] = mapped_column(server_default="")
    created_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    closed_at: Mapped[Moment | None]


class VisitPlace(Base):
    """The one room that a visit may be in. While not `settled`, somebody is just bringing it there, since `since`;
    settled, the room's own row in `room_status` says whether it is there."""

    __tablename__ = "visit_places"

    organization_id: Mapped[Id] = mapped_column(primary_key=True)
    visit_id: Mapped[Id] = mapped_column(primary_key=True)
    room_id: Mapped[Id]
    settled: Mapped[bool]
    since: Mapped[Moment]
