"""Emergency access as `storage` keeps it: see `services.stores`."""

from collections.abc import Sequence

from services.stores import reachable
from storage.crypto import KeyRing
from storage.db import Database
from storage.emergency_access import EmergencyAccessTables, Grant


class EmergencyStore:
    """`services.access.emergency.EmergencyStore`."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._tables = EmergencyAccessTables(database, keys)

    async def add(self, grant: Grant, *, since_ms: int, count_max: int) -> Grant | None:
        async with reachable():
            return await self._tables.add(grant, since_ms=since_ms, count_max=count_max)

    async def active(self, subject: str, patient_id: str, now_ms: int) -> Sequence[Grant]:
        async with reachable():
            return await self._tables.active(subject, patient_id, now_ms)

    async def grant(self, grant_id: str) -> Grant | None:
        async with reachable():
            return await self._tables.grant(grant_id)

    async def grants(
        self, organization_ids: Sequence[str], *, unreviewed: bool, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Grant]:
        async with reachable():
            return await self._tables.grants(organization_ids, unreviewed=unreviewed, after=after, limit=limit)

    async def revoke(self, grant_id: str, by: str, now_ms: int) -> bool:
        async with reachable():
            return await self._tables.revoke(grant_id, by, now_ms)

    async def review(self, grant_id: str, by: str, note: str, now_ms: int) -> bool:
        async with reachable():
            return await self._tables.review(grant_id, by, note, now_ms)
