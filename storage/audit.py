"""The audit trail in Postgres (C8): rows are added in batches and read by position. Every method is one transaction.

Batches are chained (`storage/audit_chain.py`) one after the other, by the lock on the row that says where the chain
ends; so positions rise in the order of commits.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import insert, select, update

from storage.audit_chain import TEXTS, Head, hash_after
from storage.db import Database
from storage.models import AuditEvent, AuditHead
from storage.times import from_ms, to_ms

log = structlog.get_logger()

HEAD_LOGGED_EVERY: Final = 1_000
"""Events from one head in the log to the next: logs that leave the machine witness the chain."""

_US_PER_MS: Final = 1_000


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
        """All of them or none, at the end of the chain."""
        async with self._database.session() as session:
            last = await session.execute(select(AuditHead.position, AuditHead.hash).with_for_update())
            before = Head(*last.one())
            rows, head = _chained(before, events)
            await session.execute(insert(AuditEvent), rows)
            await session.execute(update(AuditHead).values(position=head.position, hash=head.hash))
        if head.position // HEAD_LOGGED_EVERY > before.position // HEAD_LOGGED_EVERY:
            log.info("audit_head", position=head.position, hash=head.hash.hex())

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


def _chained(head: Head, events: Sequence[AuditRecord]) -> tuple[list[dict[str, Any]], Head]:
    """The rows of these events behind `head`, and the head after them."""
    rows: list[dict[str, Any]] = []
    for event in events:
        texts = {name: getattr(event, name) for name in TEXTS}
        position = head.position + 1
        head = Head(position, hash_after(head.hash, position, event.at_ms * _US_PER_MS, texts.values()))
        rows.append(texts | {"position": position, "at": from_ms(event.at_ms), "hash": head.hash})
    return rows, head


def _record(row: AuditEvent) -> AuditRecord:
    texts = {name: getattr(row, name) for name in TEXTS}
    return AuditRecord(**texts, at_ms=to_ms(row.at), position=row.position)
