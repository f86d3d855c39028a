"""Organizations, their members and locations, and rooms as they are lived in."""

import msgspec
import strawberry

from actors.room_history import HistoryEntry
from actors.room_views import AlertView, ClaimView, RoomView
from serve.graphql.connections import FIRST, Connection, connection, first_of
from serve.graphql.context import Context, Info, known_id, reads
from serve.graphql.derive import Shown, described, shape, shows
from serve.graphql.documents import DocumentEntry, documents_of
from serve.graphql.links import (
    organization_shown,
    read_location,
    read_organization,
    read_room,
    to_location,
    to_organization,
    to_room,
)
from serve.graphql.sessions import SessionEntry, sessions_of
from serve.platform.pages import id_of, version_of
from services.accounts.members import Member as MemberRow
from services.document_listings import DocumentFilter
from services.locations import Address, City, Country, OpenFrom
from services.locations import Location as LocationRecord
from services.locations import Room as RoomRow
from services.organizations import Organization as OrganizationRecord
from services.session_listings import SessionFilter
from storage.organizations import OrganizationFilter


async def read_cities(context: Context, country: str) -> Shown:
    return {"items": msgspec.to_builtins(await context.runtime.locations.cities(country))}


async def _rooms(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """The location's rooms, by id."""
    context, limit = info.context, first_of(info, first)
    rows = await context.runtime.rooms.list(context.actor, root["id"], id_of(after), limit + 1)
    shown = rows[:limit]
    return connection([shape(row) for row in shown], [row.id for row in shown], more=len(rows) > limit)


async def _locations_of(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """The organization's locations, by id."""
    return await _located(info, root["id"], first, after)


async def _members(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """Who has a role here, for its admins."""
    context, limit = info.context, first_of(info, first)
    found = await context.accounts.members.list(context.actor, root["id"], id_of(after), limit + 1)
    shown = found[:limit]
    return connection([_member(each) for each in shown], [each.user.id for each in shown], more=len(found) > limit)


async def _history(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """Everything that happened in the room, newest first. `first` counts versions, of which each may be several
    entries; behind a cursor come those of earlier versions."""
    context, limit = info.context, first_of(info, first)
    before = version_of(after)
    entries, more = await context.runtime.rooms.history(context.actor, root["id"], before, limit, context.correlation)
    nodes: list[Shown] = msgspec.to_builtins(entries)
    return connection(nodes, [str(each["version"]) for each in nodes], more=more > 0)


async def _documents(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown | None:
    """Documents here of the patient who is in the room, newest first. That is audited."""
    patient_id = root.get("patient_id")
    if not patient_id:
        return None
    wanted = DocumentFilter(patient_id=patient_id, location_id=root["location_id"])
    return await documents_of(info, wanted, first, after)


async def _documents_here(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """Documents of the location, newest first. That is audited."""
    return await documents_of(info, DocumentFilter(location_id=root["id"]), first, after)


async def _sessions(root: Shown, info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """Who works here at a tablet, newest first."""
    return await sessions_of(info, SessionFilter(location_id=root["id"]), first, after)


async def _cities(root: Shown, info: Info) -> list[Shown]:
    """Its cities that have locations, by name."""
    cities: list[Shown] = (await info.context.load(read_cities, root["country"]))["items"]
    return cities


async def _located(info: Info, organization_id: str, first: int, after: str | None) -> Shown:
    context, limit = info.context, first_of(info, first)
    rows = await context.runtime.locations.list(context.actor, organization_id, id_of(after), limit + 1)
    shown = rows[:limit]
    return connection([shape(row) for row in shown], [row.id for row in shown], more=len(rows) > limit)


def _member(row: MemberRow) -> Shown:
    return {"user_id": row.user.id, "name": row.user.name, "email": row.user.email, "roles": list(row.roles)}


@shows(ClaimView)
class RoomClaim:
    """Who works in the room. `token` goes with every command under the claim."""


@shows(AlertView)
class RoomAlert:
    """A status that lasts too long."""


@shows(HistoryEntry)
class RoomHistoryEntry:
    """One thing that happened in a room."""


@shows(RoomView, RoomClaim, RoomAlert)
class Room:
    """What happens in a room now."""

    organization = to_organization()
    location = to_location()
    history = reads("rooms", _history, Connection[RoomHistoryEntry])
    documents = reads("documentation", _documents, Connection[DocumentEntry])


@shows(RoomRow, leave_out=("closed",))
class LocationRoom:
    """A room as it is managed; `live` is what happens in it."""

    live = to_room("id")


@shows(Address)
class LocationAddress:
    """Where a location is."""


@shows(OpenFrom)
class OpenHours:
    """A span of one day, in local time."""


@described
class Member:
    """Somebody with roles at an organization."""

    user_id: strawberry.ID
    name: str
    email: str
    roles: list[str]


@shows(LocationRecord, LocationAddress, OpenHours)
class Location:
    """A site of an organization."""

    organization = to_organization()
    sessions = reads("sessions", _sessions, Connection[SessionEntry])
    documents = reads("documentation", _documents_here, Connection[DocumentEntry])
    rooms = reads("locations", _rooms, Connection[LocationRoom])


@shows(OrganizationRecord, leave_out=("active", "version"))
class Organization:
    """A merchant, a clinic or an organizer, to its own people."""

    time_zone: str
    status: str
    locations = reads("locations", _locations_of, Connection[Location])
    members = reads("members", _members, Connection[Member])


@shows(City)
class CityCount:
    """How many locations there are in a city."""


@shows(Country)
class CountryCount:
    """How many locations there are in a country."""

    cities = reads("locations", _cities, list[CityCount], public=True)


async def organization(info: Info, id: strawberry.ID) -> Shown:
    """An organization, for its own people."""
    return await info.context.load(read_organization, known_id(id))


async def organizations(
    info: Info,
    kind: str = "",
    active: bool | None = None,
    q: str = "",
    first: int = FIRST,
    after: str | None = None,
) -> Shown:
    """Those that you act for, by id; to the platform's admins all."""
    context, limit = info.context, first_of(info, first)
    wanted = OrganizationFilter(kind=kind, active=active, text=q)
    rows = await context.runtime.organizations.list(context.actor, wanted, id_of(after), limit + 1)
    shown = rows[:limit]
    return connection([organization_shown(row) for row in shown], [row.id for row in shown], more=len(rows) > limit)


async def location(info: Info, id: strawberry.ID) -> Shown:
    """A location, for the people of its organization."""
    return await info.context.load(read_location, known_id(id))


async def locations(
    info: Info, organization_id: strawberry.ID | None = None, first: int = FIRST, after: str | None = None
) -> Shown:
    """Locations of your organizations, by id."""
    return await _located(info, "" if organization_id is None else known_id(organization_id), first, after)


async def countries(info: Info) -> list[Shown]:
    """Countries that have locations."""
    found: list[Shown] = msgspec.to_builtins(await info.context.runtime.locations.countries())
    return found


async def room(info: Info, id: strawberry.ID) -> Shown:
    """A room, for the people of its organization."""
    return await info.context.load(read_room, known_id(id))
