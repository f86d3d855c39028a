"""What the clinic's use-cases keep in the tables of `storage`, in this floor's terms: see `services.stores`."""

from collections.abc import Sequence

import msgspec

from services.audit import Event, EventFilter
from services.stores import reachable
from storage.audit import AuditFilter, AuditRecord, AuditTables
from storage.db import Database


class AuditStore:
    """`services.audit.AuditStore`."""

    def __init__(self, database: Database) -> None:
        self._tables = AuditTables(database)

    async def add(self, events: Sequence[Event]) -> None:
        async with reachable():
            await self._tables.add([AuditRecord(**msgspec.structs.asdict(event)) for event in events])

    async def events(self, wanted: EventFilter, limit: int) -> Sequence[Event]:
        async with reachable():
            found = await self._tables.events(AuditFilter(**msgspec.structs.asdict(wanted)), limit)
        return [Event(**msgspec.structs.asdict(record)) for record in found]
