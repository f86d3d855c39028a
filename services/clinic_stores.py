"""What the clinic's use-cases keep in the tables of `storage`, in this floor's terms: see `services.stores`."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.audit import Event, EventFilter, Verified
from services.document_listings import DocumentEntry, DocumentFilter
from services.listings import Place
from services.organizations import Organization, OrganizationFilter
from services.session_listings import ListedSession, SessionFilter
from services.stores import reachable
from storage.audit import AuditFilter, AuditRecord, AuditTables
from storage.audit_reading import AuditChain
from storage.crypto import KeyRing
from storage.db import Database
from storage.documents import DocumentFilter as RecordFilter
from storage.documents import DocumentTables
from storage.organizations import OrganizationFilter as RecordedFilter
from storage.organizations import OrganizationRecord, OrganizationTables
from storage.sessions import SessionFilter as SessionRecordFilter
from storage.sessions import SessionTables


class AuditStore:
    """`services.audit.AuditStore`."""

    def __init__(self, database: Database, keys: KeyRing | None = None) -> None:
        self._tables = AuditTables(database, keys)
        self._chain = AuditChain(database)

    async def add(self, events: Sequence[Event]) -> None:
        async with reachable():
            await self._tables.add([AuditRecord(**msgspec.structs.asdict(event)) for event in events])

    async def events(self, wanted: EventFilter, limit: int) -> Sequence[Event]:
        async with reachable():
            found = await self._tables.events(AuditFilter(**msgspec.structs.asdict(wanted)), limit)
        return [Event(**msgspec.structs.asdict(record)) for record in found]

    async def verify(self, after: int, limit: int) -> Verified:
        async with reachable():
            found = await self._chain.verify(after, limit)
        broken = found.broken
        return Verified(
            ok=broken is None,
            checked=found.checked,
            last=found.last.position,
            head_position=found.head.position,
            head_hash=found.head.hash.hex(),
            broken_at=0 if broken is None else broken.position,
            reason="" if broken is None else broken.reason,
        )


class DocumentListings:
    """`services.document_listings.DocumentListings`."""

    def __init__(self, database: Database) -> None:
        self._tables = DocumentTables(database)

    async def by_id(self, ids: Sequence[str]) -> dict[str, DocumentEntry]:
        async with reachable():
            found = await self._tables.by_id(ids)
        return {id_: DocumentEntry(**msgspec.structs.asdict(record)) for id_, record in found.items()}

    async def documents(self, wanted: DocumentFilter, after: Place | None, limit: int) -> Sequence[DocumentEntry]:
        place = None if after is None else (after.at_ms, after.id)
        statuses = tuple(status.value for status in wanted.statuses)
        asked = RecordFilter(**(msgspec.structs.asdict(wanted) | {"statuses": statuses}))
        async with reachable():
            found = await self._tables.documents(asked, place, limit)
        return [DocumentEntry(**msgspec.structs.asdict(record)) for record in found]


class SessionListings:
    """`services.session_listings.SessionListings`."""

    def __init__(self, database: Database) -> None:
        self._tables = SessionTables(database)

    async def sessions(self, wanted: SessionFilter, after: Place | None, limit: int) -> Sequence[ListedSession]:
        place = None if after is None else (after.at_ms, after.id)
        asked = SessionRecordFilter(**msgspec.structs.asdict(wanted))
        async with reachable():
            found = await self._tables.sessions(asked, place, limit)
        return [ListedSession(**msgspec.structs.asdict(record)) for record in found]


class OrganizationStore:
    """`services.organizations.OrganizationStore`."""

    def __init__(self, database: Database) -> None:
        self._tables = OrganizationTables(database)

    async def organization(self, organization_id: str) -> Organization | None:
        async with reachable():
            found = await self._tables.organization(organization_id)
        return None if found is None else _organization(found)

    async def organizations(self, wanted: OrganizationFilter, after_id: str, limit: int) -> Sequence[Organization]:
        asked = RecordedFilter(**msgspec.structs.asdict(wanted))
        async with reachable():
            return [_organization(one) for one in await self._tables.organizations(asked, after_id, limit)]

    async def add_organization(self, organization: Organization) -> bool:
        async with reachable():
            return await self._tables.add(OrganizationRecord(**msgspec.structs.asdict(organization)))

    async def change_organization(
        self, organization_id: str, changes: Mapping[str, Any], *, expected: int
    ) -> tuple[Organization, Organization] | None:
        async with reachable():
            found = await self._tables.change(organization_id, changes, expected=expected)
        return None if found is None else (_organization(found[0]), _organization(found[1]))

    async def set_active(self, organization_id: str, *, active: bool, now_ms: int) -> Organization | None:
        async with reachable():
            found = await self._tables.set_active(organization_id, active=active, now_ms=now_ms)
        return None if found is None else _organization(found)


def _organization(record: OrganizationRecord) -> Organization:
    return Organization(**msgspec.structs.asdict(record))
