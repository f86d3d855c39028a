"""The audit trail in Postgres (C8): rows are added in batches and read by position. Every method is one transaction.

Batches are chained (`storage/audit_chain.py`) one after the other, by the lock on the row that says where the chain
ends; so positions rise in the order of commits.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.audit_chain import TEXTS, Head, More, hash_after
from storage.crypto import KeyRing, SealError
from storage.db import Also, Database
from storage.models import AuditEvent, AuditHead
from storage.sealed_columns import column_place
from storage.times import from_ms, to_ms

log = structlog.get_logger()

HEAD_LOGGED_EVERY: Final = 1_000
"""Events from one head in the log to the next: logs that leave the machine witness the chain."""

_US_PER_MS: Final = 1_000
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[dict[str, Any], dict[str, Any]]).decode


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who (`actor`, a subject) did what (`action`) to which object of which patient.

    `outcome` is "" when it was allowed, else the code of the refusal. `organization_id`: whose trail this is in.
    `purpose` is one of `services.audit.PURPOSES` ("" in events of before there were any); `grant_id` the emergency
    access that it was done under. `before`, `after`: sensitive fields that were changed, addresses masked; kept
    sealed. `position` is the table's to give.
    """

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
    purpose: str = ""
    grant_id: str = ""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """ "" for any object, actor or patient. `after` and `before` are exclusive positions, 0 for none."""

    organization_ids: tuple[str, ...] = ()
    object_id: str = ""
    actor: str = ""
    patient_id: str = ""
    after: int = 0
    before: int = 0


class AuditTables:
    def __init__(self, database: Database, keys: KeyRing | None = None) -> None:
        """`keys` seal what was changed. Without any, no event may say so, and none that is read does."""
        self._database = database
        self._keys = keys

    async def add(self, events: Sequence[Event]) -> None:
        """All of them or none, at the end of the chain. Raises `ValueError` for changes that nothing can seal."""
        async with self._database.session() as session:
            before, head = await _append(session, events, self._keys)
        if head.position // HEAD_LOGGED_EVERY > before.position // HEAD_LOGGED_EVERY:
            log.info("audit_head", position=head.position, hash=head.hash.hex())

    async def events(self, wanted: EventFilter, limit: int) -> list[Event]:
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
            found = (await session.scalars(query.order_by(AuditEvent.position.desc()).limit(limit))).all()
        if self._keys is not None and any(row.changes and self._keys.lacks(row.changes) for row in found):
            await self._keys.refresh()
        return [_record(row, self._keys) for row in found]


def along(events: Sequence[Event], keys: KeyRing | None = None) -> Also:
    """Events written within the transaction of what they are about: with it, or neither. Raises like `add`."""

    async def also(session: AsyncSession) -> None:
        await _append(session, events, keys)

    return also


async def _append(session: AsyncSession, events: Sequence[Event], keys: KeyRing | None) -> tuple[Head, Head]:
    """Where the chain ended before, and where it ends now."""
    last = await session.execute(select(AuditHead.position, AuditHead.hash).with_for_update())
    before = Head(*last.one())
    rows, head = _chained(before, events, keys)
    await session.execute(insert(AuditEvent), rows)
    await session.execute(update(AuditHead).values(position=head.position, hash=head.hash))
    return before, head


def _chained(head: Head, events: Sequence[Event], keys: KeyRing | None) -> tuple[list[dict[str, Any]], Head]:
    """The rows of these events behind `head`, and the head after them."""
    rows: list[dict[str, Any]] = []
    for event in events:
        texts = {name: getattr(event, name) for name in TEXTS}
        position = head.position + 1
        more = More(event.purpose, event.grant_id, _sealed(event, position, keys))
        head = Head(position, hash_after(head.hash, position, event.at_ms * _US_PER_MS, texts.values(), more))
        place = {"position": position, "at": from_ms(event.at_ms), "hash": head.hash}
        rows.append(texts | more._asdict() | place)
    return rows, head


def _sealed(event: Event, position: int, keys: KeyRing | None) -> bytes:
    if not event.before and not event.after:
        return b""
    if keys is None:
        raise ValueError("what was changed cannot be written without keys")
    return keys.seal(_pack((event.before, event.after)), _place(position))


def _record(row: AuditEvent, keys: KeyRing | None) -> Event:
    texts = {name: getattr(row, name) for name in TEXTS}
    before, after = ({}, {}) if keys is None or not row.changes else _opened(row, keys)
    return Event(
        **texts,
        at_ms=to_ms(row.at),
        position=row.position,
        purpose=row.purpose,
        grant_id=row.grant_id,
        before=before,
        after=after,
    )


def _opened(row: AuditEvent, keys: KeyRing) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event is shown also if this does not open: that the chain is broken there is for the verification to say."""
    try:
        before, after = _unpack(keys.open(row.changes, _place(row.position)))
    except SealError as error:
        log.warning("audit_changes_unreadable", position=row.position, error=str(error))
        return {}, {}
    return before, after


def _place(position: int) -> bytes:
    return column_place("audit_events", "changes", str(position))
