"""Lists of provider sessions from their index rows. They read your own writes."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, select, tuple_

from storage.db import Database
from storage.models import SessionIndex
from storage.times import from_ms, to_ms


class SessionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions of these organizations, at one location or of one person ("" for any).

    `quarantined`: only those that have commands in quarantine.
    """

    organization_ids: tuple[str, ...] = ()
    location_id: str = ""
    user_id: str = ""
    statuses: tuple[str, ...] = ()
    quarantined: bool = False


class ListedSession(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One session as it is listed; times in ms."""

    id: str
    version: int
    organization_id: str
    user_id: str
    device_id: str
    status: str
    access: str
    created_at_ms: int
    updated_at_ms: int
    location_id: str = ""
    room_id: str = ""
    patient_id: str = ""
    quarantined: int = 0


class SessionTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def sessions(self, wanted: SessionFilter, after: tuple[int, str] | None, limit: int) -> list[ListedSession]:
        """Newest first; `after` is (created_at_ms, id) of the last one of the page before."""
        query = select(SessionIndex).where(*_conditions(wanted))
        if after is not None:
            place = tuple_(SessionIndex.created_at, SessionIndex.id)
            query = query.where(place < tuple_(from_ms(after[0]), after[1]))
        query = query.order_by(SessionIndex.created_at.desc(), SessionIndex.id.desc()).limit(limit)
        async with self._database.session() as session:
            return [_record(row) for row in await session.scalars(query)]


def _conditions(wanted: SessionFilter) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.organization_ids:
        conditions.append(SessionIndex.organization_id.in_(wanted.organization_ids))
    if wanted.location_id:
        conditions.append(SessionIndex.location_id == wanted.location_id)
    if wanted.user_id:
        conditions.append(SessionIndex.user_id == wanted.user_id)
    if wanted.statuses:
        conditions.append(SessionIndex.status.in_(wanted.statuses))
    if wanted.quarantined:
        conditions.append(SessionIndex.quarantined > 0)
    return conditions


def _record(row: Any) -> ListedSession:
    return ListedSession(
        id=row.id,
        version=row.version,
        organization_id=row.organization_id,
        location_id=row.location_id or "",
        user_id=row.user_id,
        device_id=row.device_id,
        status=row.status,
        access=row.access,
        room_id=row.room_id or "",
        patient_id=row.patient_id or "",
        quarantined=row.quarantined,
        created_at_ms=to_ms(row.created_at),
        updated_at_ms=to_ms(row.updated_at),
    )
