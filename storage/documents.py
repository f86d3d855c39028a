"""Lists of treatment documents from their index rows. They read your own writes: rows are written in the commit."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, or_, select, tuple_

from storage.db import Database
from storage.models import DocumentIndex
from storage.times import from_ms, to_ms


class DocumentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Documents of these organizations; "" for any patient, location or participant.

    `cosigner`: to be co-signed by them or by whoever comes first, and not signed by themselves.
    """

    organization_ids: tuple[str, ...] = ()
    patient_id: str = ""
    location_id: str = ""
    participant: str = ""
    cosigner: str = ""
    statuses: tuple[str, ...] = ()


class DocumentEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document as it is listed, without anything that was charted. Times in ms."""

    id: str
    version: int
    organization_id: str
    location_id: str
    patient_id: str
    template: str
    status: str
    author: str
    conflicts_count: int
    alerts_count: int
    created_at_ms: int
    updated_at_ms: int
    visit_id: str = ""
    signer: str = ""
    cosigner: str = ""


class DocumentTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_id(self, ids: Sequence[str]) -> dict[str, DocumentEntry]:
        """Those that exist."""
        async with self._database.session() as session:
            found = await session.scalars(select(DocumentIndex).where(DocumentIndex.id.in_(ids)))
            return {row.id: _record(row) for row in found}

    async def documents(self, wanted: DocumentFilter, after: tuple[int, str] | None, limit: int) -> list[DocumentEntry]:
        """Newest first; `after` is (created_at_ms, id) of the last one of the page before."""
        query = select(DocumentIndex).where(*_conditions(wanted))
        if after is not None:
            place = tuple_(DocumentIndex.created_at, DocumentIndex.id)
            query = query.where(place < tuple_(from_ms(after[0]), after[1]))
        query = query.order_by(DocumentIndex.created_at.desc(), DocumentIndex.id.desc()).limit(limit)
        async with self._database.session() as session:
            return [_record(row) for row in await session.scalars(query)]


def _conditions(wanted: DocumentFilter) -> list[ColumnElement[bool]]:
    table = DocumentIndex
    conditions: list[ColumnElement[bool]] = [table.organization_id.in_(wanted.organization_ids)]
    if wanted.patient_id:
        conditions.append(table.patient_id == wanted.patient_id)
    if wanted.location_id:
        conditions.append(table.location_id == wanted.location_id)
    if wanted.statuses:
        conditions.append(table.status.in_(wanted.statuses))
    if wanted.participant:
        conditions.append(table.participants.contains([wanted.participant]))
    if wanted.cosigner:
        conditions.append(or_(table.cosigner.is_(None), table.cosigner == wanted.cosigner))
        conditions.append(table.signer.is_distinct_from(wanted.cosigner))
    return conditions


def _record(row: Any) -> DocumentEntry:
    return DocumentEntry(
        id=row.id,
        version=row.version,
        organization_id=row.organization_id,
        location_id=row.location_id,
        patient_id=row.patient_id,
        template=row.template,
        status=row.status,
        author=row.author,
        conflicts_count=row.conflicts_count,
        alerts_count=row.alerts_count,
        created_at_ms=to_ms(row.created_at),
        updated_at_ms=to_ms(row.updated_at),
        visit_id=row.visit_id or "",
        signer=row.signer or "",
        cosigner=row.cosigner or "",
    )
