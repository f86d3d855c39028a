"""Clinics in memory: locations, rooms and the audit trail without a database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from domain.errors import Conflict, NotFound, PreconditionFailed
from domain.ids import new_id
from services.audit import Verified
from services.document_listings import DocumentEntry, DocumentFilter
from services.listings import Place
from services.locations import City, Country, Location, Room
from services.organizations import Organization
from services.session_listings import ListedSession, SessionFilter
from storage.audit import Event, EventFilter
from storage.journal.memory import MemoryStore
from storage.organizations import OrganizationFilter

CLINIC = new_id()
OTHER_CLINIC = new_id()

Entry = TypeVar("Entry", ListedSession, DocumentEntry)


class MemoryLocations:
    """`services.locations.LocationStore`."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        """`store` has the index rows of live rooms."""
        self.organizations = {CLINIC, OTHER_CLINIC}
        self._store = store or MemoryStore()
        self.locations_by_id: dict[str, Location] = {}
        self.rooms_by_id: dict[str, Room] = {}
        self.closed: set[str] = set()
        self.visits: dict[tuple[str, str], tuple[str, bool]] = {}

    async def location(self, location_id: str) -> Location | None:
        return None if location_id in self.closed else self.locations_by_id.get(location_id)

    async def locations(self, organization_ids: Sequence[str], after_id: str, limit: int) -> Sequence[Location]:
        found = sorted(self._open(), key=lambda one: one.id)
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
        return [one for one in found if one.location_id == location_id and one.id > after_id and not one.closed][:limit]

    async def close_location(self, location_id: str) -> bool:
        if any(one.location_id == location_id and not one.closed for one in self.rooms_by_id.values()):
            return False
        self.closed.add(location_id)
        return True

    async def countries(self) -> Sequence[Country]:
        found = Counter(one.address.country for one in self._open())
        return [Country(country, count) for country, count in sorted(found.items())]

    async def cities(self, country: str) -> Sequence[City]:
        found = Counter(one.address.city for one in self._open() if one.address.country == country)
        return [City(city, count) for city, count in sorted(found.items())]

    def _open(self) -> list[Location]:
        return [one for one in self.locations_by_id.values() if one.id not in self.closed]

    async def bring_visit(self, organization_id: str, visit_id: str, room_id: str) -> bool:
        key = (organization_id, visit_id)
        other, settled = self.visits.get(key, (room_id, True))
        if other != room_id:
            row = self._store.index["room_status"].get(other, {})
            if not settled or row.get("visit_id") == visit_id:
                return False
        self.visits[key] = (room_id, False)
        return True

    async def visit_settled(self, organization_id: str, visit_id: str, room_id: str) -> None:
        if self.visits[organization_id, visit_id][0] == room_id:
            self.visits[organization_id, visit_id] = (room_id, True)

    async def close_room(self, room_id: str) -> None:
        self.rooms_by_id[room_id] = msgspec.structs.replace(self.rooms_by_id[room_id], closed=True)

    async def held_rooms(self, subject: str, limit: int) -> Sequence[str]:
        rows = self._store.index["room_status"].values()
        return sorted(row["id"] for row in rows if row["claimed_by"] == subject)[:limit]

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
            one.name
            for one in self.rooms_by_id.values()
            if one.location_id == room.location_id and one.id != room.id and not one.closed
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

    async def verify(self, after: int, limit: int) -> Verified:
        """There is no chain in memory: what is kept is right."""
        checked = len(self.kept[after : after + limit])
        head = len(self.kept)
        return Verified(ok=True, checked=checked, last=after + checked, head_position=head, head_hash="00" * 32)


class MemoryOrganizations:
    """`services.organizations.OrganizationStore`; `known` is shared with the locations, `inactive` with accounts and
    the catalog. What is `used` keeps its kind and currency."""

    def __init__(self, known: set[str], inactive: set[str] | None = None) -> None:
        self.organizations_by_id: dict[str, Organization] = {}
        self.used: set[str] = set()
        self._known = known
        self._inactive = set() if inactive is None else inactive

    async def organization(self, organization_id: str) -> Organization | None:
        return self.organizations_by_id.get(organization_id)

    async def add_organization(self, organization: Organization) -> bool:
        self._known.add(organization.id)
        return self.organizations_by_id.setdefault(organization.id, organization) is organization

    async def organizations(self, wanted: OrganizationFilter, after_id: str, limit: int) -> Sequence[Organization]:
        found = [
            one
            for one in sorted(self.organizations_by_id.values(), key=lambda one: one.id)
            if one.id > after_id
            and (wanted.ids is None or one.id in wanted.ids)
            and wanted.kind in {"", one.kind}
            and wanted.active in {None, one.active}
            and wanted.text.lower() in one.name.lower()
        ]
        return found[:limit]

    async def change_organization(
        self, organization_id: str, changes: Mapping[str, Any], *, expected: int
    ) -> tuple[Organization, Organization] | None:
        before = self.organizations_by_id.get(organization_id)
        if before is None:
            return None
        if expected not in {-1, before.version}:
            raise PreconditionFailed("It was changed.", extra={"current_version": before.version})
        after = msgspec.structs.replace(before, **changes, version=before.version + 1)
        if organization_id in self.used and (after.kind, after.currency) != (before.kind, before.currency):
            raise Conflict("It is in use.", code="organization_in_use")
        self.organizations_by_id[organization_id] = after
        return before, after

    async def set_active(self, organization_id: str, *, active: bool, now_ms: int) -> Organization | None:
        before = self.organizations_by_id.get(organization_id)
        if before is None or before.active == active:
            return None
        (self._inactive.discard if active else self._inactive.add)(organization_id)
        after = msgspec.structs.replace(before, active=active, version=before.version + 1)
        self.organizations_by_id[organization_id] = after
        return after


class MemorySessions:
    """`services.session_listings.SessionListings` over the index rows of a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def sessions(self, wanted: SessionFilter, after: Place | None, limit: int) -> Sequence[ListedSession]:
        rows = [row for row in self._store.index["provider_sessions"].values() if _session_wanted(row, wanted)]
        return [_entry(row, ListedSession) for row in newest(rows, after)[:limit]]


class MemoryDocuments:
    """`services.document_listings.DocumentListings` over the index rows of a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def by_id(self, ids: Sequence[str]) -> dict[str, DocumentEntry]:
        rows = self._store.index["documents"]
        return {each: _entry(rows[each], DocumentEntry) for each in ids if each in rows}

    async def documents(self, wanted: DocumentFilter, after: Place | None, limit: int) -> Sequence[DocumentEntry]:
        rows = [row for row in self._store.index["documents"].values() if _document_wanted(row, wanted)]
        return [_entry(row, DocumentEntry) for row in newest(rows, after)[:limit]]


def newest(rows: list[dict[str, Any]], after: Place | None) -> list[dict[str, Any]]:
    rows = sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)
    return [row for row in rows if after is None or (row["created_at"], row["id"]) < (after.at_ms, after.id)]


def _entry(row: dict[str, Any], shape: type[Entry]) -> Entry:
    renamed = {"created_at": "created_at_ms", "updated_at": "updated_at_ms"}
    fields = {renamed.get(name, name): value for name, value in row.items() if value is not None}
    known = {name: value for name, value in fields.items() if name in shape.__struct_fields__}
    return msgspec.convert(known, shape)


def _session_wanted(row: dict[str, Any], wanted: SessionFilter) -> bool:
    named = ((wanted.location_id, "location_id"), (wanted.user_id, "user_id"))
    return (
        row["organization_id"] in wanted.organization_ids
        and all(not value or row[name] == value for value, name in named)
        and (not wanted.statuses or row["status"] in wanted.statuses)
        and (not wanted.quarantined or row["quarantined"] > 0)
    )


def _document_wanted(row: dict[str, Any], wanted: DocumentFilter) -> bool:
    named = ((wanted.location_id, "location_id"), (wanted.patient_id, "patient_id"))
    return (
        row["organization_id"] in wanted.organization_ids
        and all(not value or row[name] == value for value, name in named)
        and (not wanted.participant or wanted.participant in row["participants"])
        and (not wanted.statuses or row["status"] in wanted.statuses)
        and (not wanted.cosigner or (row["cosigner"] in (None, wanted.cosigner) and row["signer"] != wanted.cosigner))
    )


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
