"""Sites of an organization and the rooms in them: plain tables, for its own people."""

from collections.abc import Sequence
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from actors.runtime.entity import Actor
from domain.errors import Conflict, Invalid, NotFound, invalid_field
from domain.text import check_text
from services.access.check import refusal, require, where
from services.access.policy import RULES, Permission
from services.visit_places import VisitPlaces

NAME_LENGTH_MAX: Final = 200
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a site is. `country` is ISO 3166-1 alpha-2."""

    line1: str
    city: str
    country: str
    line2: str = ""
    region: str = ""
    postal_code: str = ""


class OpenFrom(msgspec.Struct, frozen=True):
    """Open on a day of the week (`monday` …), local times `HH:MM`; `closes` may be `24:00`."""

    day: str
    opens: str
    closes: str


class Location(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A site of an organization. `time_zone` is an IANA name; `categories` are the services it offers."""

    id: str
    organization_id: str
    name: str
    address: Address
    time_zone: str
    opening_hours: tuple[OpenFrom, ...] = ()
    categories: tuple[str, ...] = ()


class Room(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A room of a location, as it is managed. What happens in it is its entity's."""

    id: str
    location_id: str
    name: str
    kind: str = ""
    closed: bool = False


class Country(msgspec.Struct, frozen=True):
    """How many locations there are in a country (ISO 3166-1 alpha-2)."""

    country: str
    locations: int


class City(msgspec.Struct, frozen=True):
    city: str
    locations: int


class LocationStore(VisitPlaces, Protocol):
    """Where locations and rooms are kept, and where visits are. Each method is one transaction."""

    async def location(self, location_id: str) -> Location | None:
        """None for one that is closed."""

    async def locations(self, organization_ids: Sequence[str], after_id: str, limit: int) -> Sequence[Location]:
        """Of these organizations, by id after `after_id`."""

    async def add_location(self, location: Location) -> bool:
        """False, and nothing written, when the id is taken. `NotFound` for an unknown organization."""

    async def put_location(self, location: Location) -> None:
        """Replace a location that exists."""

    async def close_location(self, location_id: str) -> bool:
        """False, and nothing written, while it has an open room."""

    async def countries(self) -> Sequence[Country]:
        """Where there are open locations, by code."""

    async def cities(self, country: str) -> Sequence[City]:
        """Of a country, by name."""

    async def room(self, room_id: str) -> Room | None:
        """Also one that is closed."""

    async def rooms(self, location_id: str, after_id: str, limit: int) -> Sequence[Room]:
        """The open ones of a location, by id after `after_id`."""

    async def held_rooms(self, subject: str, limit: int) -> Sequence[str]:
        """Ids of the rooms whose claim this person holds, by id."""

    async def add_room(self, room: Room) -> bool:
        """False, and nothing written, when the id is taken. `Conflict` `room_name_taken` for a used name."""

    async def put_room(self, room: Room) -> None:
        """Replace a room that exists. Raises as `add_room`."""

    async def close_room(self, room_id: str) -> None:
        """It stays, for its history; its name is free again."""


class Locations:
    """The people of an organization see its locations, its admins manage them; to others they look unknown."""

    def __init__(self, store: LocationStore) -> None:
        self._store = store

    async def get(self, actor: Actor, location_id: str) -> Location:
        location = await self._store.location(location_id)
        if location is None:
            raise _unknown()
        require(actor, Permission.LOCATION_SEE, organization_id=location.organization_id)
        return location

    async def managed(self, actor: Actor, location_id: str) -> Location:
        """The location, for an admin of its organization."""
        location = await self.get(actor, location_id)
        require(actor, Permission.LOCATION_MANAGE, organization_id=location.organization_id)
        return location

    async def list(self, actor: Actor, organization_id: str, after_id: str, limit: int) -> Sequence[Location]:
        """Of one organization ("" for all of the actor's own), by id."""
        own = where(actor, Permission.LOCATION_SEE)
        if organization_id and organization_id not in own:
            raise refusal(Permission.ORGANIZATION_SEE)
        return await self._store.locations((organization_id,) if organization_id else own, after_id, limit)

    async def add(self, actor: Actor, location: Location) -> tuple[Location, bool]:
        """The location, and whether this very one was there before."""
        require(actor, Permission.LOCATION_MANAGE, organization_id=location.organization_id)
        _check(location)
        if await self._store.add_location(location):
            return location, False
        if await self._store.location(location.id) != location:
            raise reused()
        return location, True

    async def put(self, actor: Actor, location: Location) -> Location:
        """Replace a location; it stays with its organization."""
        known = await self.managed(actor, location.id)
        location = msgspec.structs.replace(location, organization_id=known.organization_id)
        _check(location)
        await self._store.put_location(location)
        return location

    async def close(self, actor: Actor, location_id: str) -> None:
        """Close a location without open rooms. Raises `Conflict` with code `location_not_empty`."""
        await self.managed(actor, location_id)
        if not await self._store.close_location(location_id):
            raise Conflict("The location has rooms that are not closed.", code="location_not_empty")

    # -- where there are locations: for everybody ---------------------------------------------------

    async def countries(self) -> Sequence[Country]:
        return await self._store.countries()

    async def cities(self, country: str) -> Sequence[City]:
        return await self._store.cities(country)

    async def categories(self, location_id: str) -> tuple[str, ...]:
        """What a location offers."""
        location = await self._store.location(location_id)
        if location is None:
            raise _unknown()
        return location.categories


def reused() -> Invalid:
    return Invalid("This key was used with another body.", code="idempotency_key_reused")


def _unknown() -> NotFound:
    return NotFound(RULES[Permission.LOCATION_SEE].refusal)


def _check(location: Location) -> None:
    check_text(location.name, "name", length_max=NAME_LENGTH_MAX, required=True)
    for name in Address.__struct_fields__:
        required = name in {"line1", "city", "country"}
        check_text(getattr(location.address, name), f"address.{name}", length_max=NAME_LENGTH_MAX, required=required)
    check_time_zone(location.time_zone)
    _check_opening_hours(location.opening_hours)
    if len(set(location.categories)) < len(location.categories):
        raise invalid_field("categories", "duplicate", "Each category once.")


def check_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path that leads elsewhere, a folder
        raise invalid_field("time_zone", "unknown_time_zone", "Must be an IANA time zone.") from None


def _check_opening_hours(hours: Sequence[OpenFrom]) -> None:
    """Within a day, each span ends after it begins and before the next one does."""
    until: dict[str, str] = {}
    ordered = sorted(enumerate(hours), key=lambda each: (DAYS.index(each[1].day), each[1].opens))
    for at, span in ordered:
        if span.closes <= span.opens:
            raise invalid_field(f"opening_hours.{at}.closes", "out_of_range", "Must be after `opens`.")
        if span.opens < until.get(span.day, ""):
            raise invalid_field(f"opening_hours.{at}.opens", "overlap", "Must not overlap another span of the day.")
        until[span.day] = span.closes
