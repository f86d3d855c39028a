"""Clinics in memory: locations, rooms and the audit trail without a database."""

from collections.abc import Sequence

import msgspec

from domain.errors import Conflict, NotFound
from domain.ids import new_id
from services.audit import Event, EventFilter
from services.locations import Location, Room

CLINIC = new_id()
OTHER_CLINIC = new_id()


class MemoryLocations:
    """`services.locations.LocationStore`."""

    def __init__(self) -> None:
        self.organizations = {CLINIC, OTHER_CLINIC}
        self.locations_by_id: dict[str, Location] = {}
        self.rooms_by_id: dict[str, Room] = {}

    async def location(self, location_id: str) -> Location | None:
        return self.locations_by_id.get(location_id)

    async def locations(self, organization_ids: Sequence[str], after_id: str, limit: int) -> Sequence[Location]:
        found = sorted(self.locations_by_id.values(), key=lambda one: one.id)
        return [one for one in found if one.organization_id in organization_ids and one.id > after_id][:limit]

    async def add_location(self, location: Location) -> bool:
        if location.organization_id not in self.organizations:
            raise NotFound("There is no such organization.")
        return self.locations_by_id.setdefault(location.id, location) is location

    async def put_location(self, location: Location) -> None:
        self.locations_by_id[location.id] = location

    async def room(self, room_id: str) -> Room | None:
        return self.rooms_by_id.get(room_id)

    async def rooms(self, location_id: str, after_id: str, limit: int) -> Sequence[Room]:
        found = sorted(self.rooms_by_id.values(), key=lambda one: one.id)
        return [one for one in found if one.location_id == location_id and one.id > after_id][:limit]

    async def add_room(self, room: Room) -> bool:
        if room.id in self.rooms_by_id:
            return False
        self._check_name(room)
        self.rooms_by_id[room.id] = room
        return True

    async def put_room(self, room: Room) -> None:
        self._check_name(room)
        self.rooms_by_id[room.id] = room

    def _check_name(self, room: Room) -> None:
        names = {
            one.name for one in self.rooms_by_id.values() if one.location_id == room.location_id and one.id != room.id
        }
        if room.name in names:
            raise Conflict("The name is taken.", code="room_name_taken")


class MemoryAudit:
    """`services.audit.AuditStore`."""

    def __init__(self) -> None:
        self.kept: list[Event] = []

    async def add(self, events: Sequence[Event]) -> None:
        for event in events:
            self.kept.append(msgspec.structs.replace(event, position=len(self.kept) + 1))

    async def events(self, wanted: EventFilter, limit: int) -> Sequence[Event]:
        found = [event for event in reversed(self.kept) if _wanted(event, wanted)]
        return found[:limit]


def _wanted(event: Event, wanted: EventFilter) -> bool:
    named = (
        (wanted.object_id, event.object_id),
        (wanted.actor, event.actor),
        (wanted.patient_id, event.patient_id),
    )
    return (
        event.organization_id in wanted.organization_ids
        and all(not value or value == has for value, has in named)
        and event.position > wanted.after
        and (not wanted.before or event.position < wanted.before)
    )
