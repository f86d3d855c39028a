"""Locations and their rooms, as plain tables. Every method is one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from domain.errors import Conflict, NotFound
from storage.db import Database
from storage.models import Location, Room


class LocationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A site. `opening_hours`: `{day, opens, closes}`, local times as `HH:MM`."""

    id: str
    organization_id: str
    name: str
    line1: str
    city: str
    country: str
    time_zone: str
    line2: str = ""
    region: str = ""
    postal_code: str = ""
    opening_hours: tuple[dict[str, str], ...] = ()
    categories: tuple[str, ...] = ()


class RoomRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    location_id: str
    name: str
    kind: str = ""


_LOCATION_COLUMNS = [getattr(Location, name) for name in LocationRecord.__struct_fields__]
_ROOM_COLUMNS = [getattr(Room, name) for name in RoomRecord.__struct_fields__]


class LocationTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def location(self, location_id: str) -> LocationRecord | None:
        query = select(*_LOCATION_COLUMNS).where(Location.id == location_id)
        async with self._database.session() as session:
            row = (await session.execute(query)).first()
        return None if row is None else _location(row)

    async def locations(self, organization_ids: Sequence[str], after_id: str, limit: int) -> list[LocationRecord]:
        """Of these organizations, by id after `after_id` ("" from the beginning)."""
        wanted = (Location.organization_id.in_(organization_ids), Location.id > after_id)
        query = select(*_LOCATION_COLUMNS).where(*wanted).order_by(Location.id).limit(limit)
        async with self._database.session() as session:
            return [_location(row) for row in (await session.execute(query)).all()]

    async def add_location(self, location: LocationRecord) -> bool:
        """False, and nothing written, when the id is taken. Raises `NotFound` for an unknown organization."""
        return await self._add(Location, _values(location))

    async def put_location(self, location: LocationRecord) -> None:
        """Replace a location that exists."""
        await self._put(Location, _values(location))

    async def room(self, room_id: str) -> RoomRecord | None:
        query = select(*_ROOM_COLUMNS).where(Room.id == room_id)
        async with self._database.session() as session:
            row = (await session.execute(query)).first()
        return None if row is None else RoomRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it

    async def rooms(self, location_id: str, after_id: str, limit: int) -> list[RoomRecord]:
        """Of one location, by id after `after_id` ("" from the beginning)."""
        wanted = (Room.location_id == location_id, Room.id > after_id)
        query = select(*_ROOM_COLUMNS).where(*wanted).order_by(Room.id).limit(limit)
        async with self._database.session() as session:
            return [RoomRecord(**row._mapping) for row in (await session.execute(query)).all()]  # noqa: SLF001

    async def add_room(self, room: RoomRecord) -> bool:
        """False, and nothing written, when the id is taken.

        Raises `Conflict` `room_name_taken` for a name that the location has, `NotFound` for an unknown location.
        """
        return await self._add(Room, msgspec.structs.asdict(room))

    async def put_room(self, room: RoomRecord) -> None:
        """Replace a room that exists. Raises as `add_room`."""
        await self._put(Room, msgspec.structs.asdict(room))

    async def _add(self, table: type[Location | Room], values: dict[str, Any]) -> bool:
        statement = insert(table).values(values).on_conflict_do_nothing(index_elements=["id"])
        try:
            async with self._database.session() as session:
                return (await session.execute(statement.returning(table.id))).first() is not None
        except IntegrityError as error:
            raise _meaning(error) from error

    async def _put(self, table: type[Location | Room], values: dict[str, Any]) -> None:
        statement = update(table).where(table.id == values["id"]).values({**values, "updated_at": func.now()})
        try:
            async with self._database.session() as session:
                await session.execute(statement)
        except IntegrityError as error:
            raise _meaning(error) from error


def _location(row: Any) -> LocationRecord:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    lists = {"opening_hours": tuple(values["opening_hours"]), "categories": tuple(values["categories"])}
    return LocationRecord(**{**values, **lists})


def _values(location: LocationRecord) -> dict[str, Any]:
    lists = {"opening_hours": list(location.opening_hours), "categories": list(location.categories)}
    return {**msgspec.structs.asdict(location), **lists}


def _meaning(error: IntegrityError) -> Exception:
    text = str(error.orig)
    if "uq_rooms_location_id_name" in text:
        return Conflict("Another room of this location has this name.", code="room_name_taken")
    if "fk_locations_organization_id_organizations" in text:
        return NotFound("There is no such organization.")
    if "fk_rooms_location_id_locations" in text:
        return NotFound("There is no such location.")
    return error
