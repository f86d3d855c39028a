"""What the clinic's use-cases keep in the tables of `storage`, in this floor's terms: see `services.stores`."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.audit import Verified
from services.listings import Place
from services.organizations import Organization
from services.stores import place, reachable
from storage.audit import AuditTables, Event, EventFilter
from storage.audit_reading import AuditChain
from storage.crypto import KeyRing
from storage.db import Database
from storage.documents import DocumentEntry, DocumentFilter, DocumentTables
from storage.organizations import OrganizationFilter, OrganizationRecord, OrganizationTables
from storage.sessions import ListedSession, SessionFilter, SessionTables


class AuditStore:
    """`services.audit.AuditStore`."""

    def __init__(self, database: Database, keys: KeyRing | None = None) -> None:
        self._tables = AuditTables(database, keys)
        self._chain = AuditChain(database)

    async def add(self, events: Sequence[Event]) -> None:
        async with reachable():
            await self._tables.add(events)

    async def events(self, wanted: EventFilter, limit: int) -> Sequence[Event]:
        async with reachable():
            return await self._tables.events(wanted, limit)

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
            return await self._tables.by_id(ids)

    async def documents(self, wanted: DocumentFilter, after: Place | None, limit: int) -> Sequence[DocumentEntry]:
        async with reachable():
            return await self._tables.documents(wanted, place(after), limit)


class SessionListings:
    """`services.session_listings.SessionListings`."""

    def __init__(self, database: Database) -> None:
        self._tables = SessionTables(database)

    async def sessions(self, wanted: SessionFilter, after: Place | None, limit: int) -> Sequence[ListedSession]:
        async with reachable():
            return await self._tables.sessions(wanted, place(after), limit)


class OrganizationStore:
    """`services.organizations.OrganizationStore`."""

    def __init__(self, database: Database) -> None:
        self._tables = OrganizationTables(database)

    async def organization(self, organization_id: str) -> Organization | None:
        async with reachable():
            found = await self._tables.organization(organization_id)
        return None if found is None else _organization(found)

    async def organizations(self, wanted: OrganizationFilter, after_id: str, limit: int) -> Sequence[Organization]:
        async with reachable():
            return [_organization(one) for one in await self._tables.organizations(wanted, after_id, limit)]

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
