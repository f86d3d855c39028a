"""Changing what is in the journal already: only to take out what was personal (rule P1).

Versions, positions and transaction ids stay, so neither fences nor the journal's tail notice.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, select, update

from storage.db import Database
from storage.models import JournalRow, SnapshotRow

PAGE_ROWS = 200


class Payload(msgspec.Struct, frozen=True):
    version: int
    payload: bytes


class JournalRewriting:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def payloads(self, kind: str, id: str, after: int) -> Sequence[Payload]:
        """The next rows of one entity."""
        query = (
            select(JournalRow.version, JournalRow.payload)
            .where(JournalRow.kind == kind, JournalRow.id == id, JournalRow.version > after)
            .order_by(JournalRow.version)
            .limit(PAGE_ROWS)
        )
        async with self._database.session() as session:
            return [Payload(version, payload) for version, payload in (await session.execute(query)).all()]

    async def replace(self, kind: str, id: str, was: Payload, fresh: bytes) -> bool:
        """False, and nothing happens, if somebody else (a rotation of keys) has changed it: it is to be read again."""
        statement = update(JournalRow).where(
            JournalRow.kind == kind,
            JournalRow.id == id,
            JournalRow.version == was.version,
            JournalRow.payload == was.payload,
        )
        async with self._database.session() as session:
            changed = await session.execute(statement.values(payload=fresh).returning(JournalRow.version))
            return changed.first() is not None

    async def drop_snapshot(self, kind: str, id: str) -> None:
        """It is a cache: the journal has it all."""
        async with self._database.session() as session:
            await session.execute(delete(SnapshotRow).where(SnapshotRow.kind == kind, SnapshotRow.id == id))
