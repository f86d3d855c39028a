"""Locations and their rooms, as plain tables. Every method is one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from domain.errors import Conflict, NotFound
from storage.db import Database
from storage.models import Location, Organization, Room


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
    closed: bool = False


class CountryRecord(msgspec.Struct, frozen=True):
    """How many open locations there are in a country (ISO 3166-1 alpha-2)."""

    country: str
    locations: int


class CityRecord(msgspec.Struct, frozen=True):
    city: str
    locations: int


_LOCATION_COLUMNS = [getattr(Location, name) for name in LocationRecord.__struct_fields__]
_ROOM_COLUMNS = [Room.id, Room.location_id, Room.name, Room.kind, Room.closed_at.is_not(None).label("closed")]
_PUBLIC = (
    Location.closed_at.is_(None),
    exists().where(Organization.id == Location.organization_id, Organization.active),
)
"""Locations that everybody is told of."""


class LocationTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def location(self, location_id: str) -> LocationRecord | None:
        """None for one that is closed."""
        query = select(*_LOCATION_COLUMNS).where(Location.id == location_id, Location.closed_at.is_(None))
        async with self._database.session() as session:
            row = (await session.execute(query)).first()
        return None if row is None else _location(row)

    async def locations(self, organization_ids: Sequence[str], after_id: str, limit: int) -> list[LocationRecord]:
        """Of these organizations, by id after `after_id` ("" from the beginning)."""
        open_ = Location.closed_at.is_(None)
        wanted = (Location.organization_id.in_(organization_ids), Location.id > after_id, open_)
        query = select(*_LOCATION_COLUMNS).where(*wanted).order_by(Location.id).limit(limit)
        async with self._database.session() as session:
            return [_location(row) for row in (await session.execute(query)).all()]

    async def add_location(self, location: LocationRecord) -> bool:
        """False, and nothing written, when the id is taken. Raises `NotFound` for an unknown organization."""
        statement = insert(Location).values(_values(location)).on_conflict_do_nothing(index_elements=["id"])
        try:
            async with self._database.session() as session:
                return (await session.execute(statement.returning(Location.id))).first() is not None
        except IntegrityError as error:
            raise _meaning(error) from error

    async def put_location(self, location: LocationRecord) -> None:
        """Replace a location that exists."""
        await self._put(Location, _values(location))

    async def close_location(self, location_id: str) -> bool:
        """False, and nothing written, while it has an open room."""
        here = Location.id == location_id
        rooms = exists().where(Room.location_id == location_id, Room.closed_at.is_(None))
        async with self._database.session() as session:
            await session.execute(select(Location.id).where(here).with_for_update())  # against `add_room`
            if (await session.execute(select(rooms))).scalar_one():
                return False
            await session.execute(update(Location).where(here).values(closed_at=func.now()))
        return True

    async def countries(self) -> list[CountryRecord]:
        """Where there are open locations, by code."""
        query = select(Location.country, func.count()).where(*_PUBLIC)
        async with self._database.session() as session:
            found = await session.execute(query.group_by(Location.country).order_by(Location.country))
            return [CountryRecord(country, count) for country, count in found]

    async def cities(self, country: str) -> list[CityRecord]:
        """Of a country, by name."""
        query = select(Location.city, func.count()).where(*_PUBLIC, Location.country == country)
        async with self._database.session() as session:
            found = await session.execute(query.group_by(Location.city).order_by(Location.city))
            return [CityRecord(city, count) for city, count in found]

    async def room(self, room_id: str) -> RoomRecord | None:
        """Also one that is closed."""
        query = select(*_ROOM_COLUMNS).where(Room.id == room_id)
        async with self._database.session() as session:
            row = (await session.execute(query)).first()
        return None if row is None else RoomRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it

    async def rooms(self, location_id: str, after_id: str, limit: int) -> list[RoomRecord]:
        """The open ones of a location, by id after `after_id` ("" from the beginning)."""
        wanted = (Room.closed_at.is_(None), Room.location_id == location_id, Room.id > after_id)
        query = select(*_ROOM_COLUMNS).where(*wanted).order_by(Room.id).limit(limit)
        async with self._database.session() as session:
            return [RoomRecord(**row._mapping) for row in (await session.execute(query)).all()]  # noqa: SLF001

    async def add_room(self, room: RoomRecord) -> bool:
        """False, and nothing written, when the id is taken.

        Raises `Conflict` `room_name_taken` for a name that the location has, `NotFound` for a location that is
        unknown or closed.
        """
        place = select(Location.id).where(Location.id == room.location_id, Location.closed_at.is_(None))
        try:
            async with self._database.session() as session:
                if (await session.execute(place.with_for_update(key_share=True, read=True))).first() is None:
                    raise _no_location()
                added = insert(Room).values(_room_values(room)).on_conflict_do_nothing(index_elements=["id"])
                return (await session.execute(added.returning(Room.id))).first() is not None
        except IntegrityError as error:
            raise _meaning(error) from error

    async def put_room(self, room: RoomRecord) -> None:
        """Replace a room that exists. Raises as `add_room`."""
        await self._put(Room, _room_values(room))

    async def close_room(self, room_id: str) -> None:
        """It stays, for its history; its name is free again."""
        statement = update(Room).where(Room.id == room_id, Room.closed_at.is_(None)).values(closed_at=func.now())
        async with self._database.session() as session:
            await session.execute(statement)

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


def _room_values(room: RoomRecord) -> dict[str, Any]:
    return {"id": room.id, "location_id": room.location_id, "name": room.name, "kind": room.kind}


def _meaning(error: IntegrityError) -> Exception:
    text = str(error.orig)
    if "uq_rooms_location_id_name" in text:
        return Conflict("Another room of this location has this name.", code="room_name_taken")
    if "fk_locations_organization_id_organizations" in text:
        return NotFound("There is no such organization.")
    if "fk_rooms_location_id_locations" in text:
        return _no_location()
    return error


def _no_location() -> NotFound:
    return NotFound("There is no such location.")
