"""The audit trail in Postgres (C8): rows are added in batches and read by position. Every method is one transaction."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import func, insert, select

from storage.db import Database
from storage.models import AuditEvent
from storage.times import from_ms, to_ms

_LOCK: Final = 0x6175646974  # "audit": one batch after the other, so that positions rise in the order of commits


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One event. "" where something does not apply; `position` is the table's to give."""

    at_ms: int
    actor: str
    action: str
    kind: str
    object_id: str
    organization_id: str = ""
    patient_id: str = ""
    outcome: str = ""
    reason: str = ""
    device: str = ""
    correlation: str = ""
    position: int = 0


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Events of these organizations; "" for any object, actor, patient. `after`, `before`: exclusive positions or 0."""

    organization_ids: tuple[str, ...]
    object_id: str = ""
    actor: str = ""
    patient_id: str = ""
    after: int = 0
    before: int = 0


class AuditTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, events: Sequence[AuditRecord]) -> None:
        """All of them or none."""
        async with self._database.session() as session:
            await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            await session.execute(insert(AuditEvent), [_values(event) for event in events])

    async def events(self, wanted: AuditFilter, limit: int) -> list[AuditRecord]:
        """Newest first."""
        query = select(AuditEvent).where(AuditEvent.organization_id.in_(wanted.organization_ids))
        for column, value in (
            (AuditEvent.object_id, wanted.object_id),
            (AuditEvent.actor, wanted.actor),
            (AuditEvent.patient_id, wanted.patient_id),
        ):
            if value:
                query = query.where(column == value)
        if wanted.after:
            query = query.where(AuditEvent.position > wanted.after)
        if wanted.before:
            query = query.where(AuditEvent.position < wanted.before)
        async with self._database.session() as session:
            found = await session.scalars(query.order_by(AuditEvent.position.desc()).limit(limit))
            return [_record(row) for row in found]


_PLAIN: Final = tuple(name for name in AuditRecord.__struct_fields__ if name not in {"at_ms", "position"})


def _values(event: AuditRecord) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _PLAIN} | {"at": from_ms(event.at_ms)}


def _record(row: AuditEvent) -> AuditRecord:
    plain = {name: getattr(row, name) for name in _PLAIN}
    return AuditRecord(**plain, at_ms=to_ms(row.at), position=row.position)
