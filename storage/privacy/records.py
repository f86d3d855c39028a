"""Exports, erasures and legal holds in Postgres. Every method is one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from storage.crypto import KeyRing
from storage.db import Also, Database, nothing_else
from storage.models import Erasure, LegalHold, PersonalExport, RetentionMark, User
from storage.sealed_columns import column_place
from storage.times import from_ms, to_ms


class ExportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A finished export. `file_key` seals the file `<id>.zip.sealed`; `size_bytes` is that of the zip."""

    id: str
    user_id: str
    file_key: bytes
    size_bytes: int
    files: int
    created_at_ms: int
    expires_at_ms: int


class ErasureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome`: per noun `{"fate", "count", "ground"}`. `finished_at_ms` 0: something is still open."""

    user_id: str
    job_id: str
    asked_by: str
    outcome: dict[str, Any]
    started_at_ms: int
    finished_at_ms: int = 0


class HoldRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    user_id: str
    reason: str
    placed_by: str
    placed_at_ms: int


class PrivacyTables:
    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def person_exists(self, user_id: str) -> bool:
        async with self._database.session() as session:
            return bool(await session.scalar(select(exists().where(User.id == user_id))))

    # -- exports ----------------------------------------------------------------------------------

    async def put_export(self, export: ExportRecord) -> bool:
        """False, and nothing kept, when the person's erasure has begun: it may have passed by the exports already."""
        values = {
            "id": export.id,
            "user_id": export.user_id,
            "file_key": self._keys.seal(export.file_key, column_place("personal_exports", "file_key", export.id)),
            "size_bytes": export.size_bytes,
            "files": export.files,
            "created_at": from_ms(export.created_at_ms),
            "expires_at": from_ms(export.expires_at_ms),
        }
        statement = insert(PersonalExport).values(values)
        async with self._database.session() as session:
            if await session.scalar(select(exists().where(Erasure.user_id == export.user_id))):
                return False
            await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
        return True

    async def export(self, user_id: str, now_ms: int) -> ExportRecord | None:
        """The newest one that has not expired."""
        query = (
            select(PersonalExport)
            .where(PersonalExport.user_id == user_id, PersonalExport.expires_at > from_ms(now_ms))
            .order_by(PersonalExport.created_at.desc())
            .limit(1)
        )
        async with self._database.session() as session:
            row = (await session.scalars(query)).first()
        if row is None:
            return None
        if self._keys.lacks(row.file_key):
            await self._keys.refresh()
        return ExportRecord(
            id=row.id,
            user_id=row.user_id,
            file_key=self._keys.open(row.file_key, column_place("personal_exports", "file_key", row.id)),
            size_bytes=row.size_bytes,
            files=row.files,
            created_at_ms=to_ms(row.created_at),
            expires_at_ms=to_ms(row.expires_at),
        )

    async def downloaded(self, export_id: str, now_ms: int) -> None:
        statement = update(PersonalExport).where(PersonalExport.id == export_id)
        async with self._database.session() as session:
            await session.execute(statement.values(downloaded_at=from_ms(now_ms)))

    async def export_ids(self, user_id: str = "", expired_at_ms: int = 0) -> Sequence[str]:
        """Of one person, or of all that have expired by then."""
        query = select(PersonalExport.id).order_by(PersonalExport.id)
        query = query.where(
            PersonalExport.user_id == user_id if user_id else PersonalExport.expires_at <= from_ms(expired_at_ms)
        )
        async with self._database.session() as session:
            return list((await session.scalars(query)).all())

    async def remove_exports(self, ids: Sequence[str]) -> None:
        """Without its row, no file opens."""
        async with self._database.session() as session:
            await session.execute(delete(PersonalExport).where(PersonalExport.id.in_(ids)))

    # -- erasures ---------------------------------------------------------------------------------

    async def begin_erasure(self, record: ErasureRecord) -> ErasureRecord:
        """The erasure of this person: the one that was begun before, if there is one."""
        values = {
            "user_id": record.user_id,
            "job_id": record.job_id,
            "asked_by": record.asked_by,
            "started_at": from_ms(record.started_at_ms),
        }
        async with self._database.session() as session:
            await session.execute(insert(Erasure).values(values).on_conflict_do_nothing())
        found = await self.erasure(record.user_id)
        return record if found is None else found

    async def note_erased(self, user_id: str, noun: str, outcome: Mapping[str, Any]) -> None:
        """What became of one noun, beside what is noted already."""
        merged = Erasure.outcome.op("||")(func.jsonb_build_object(noun, text("CAST(:outcome AS jsonb)")))
        statement = update(Erasure).where(Erasure.user_id == user_id).values(outcome=merged)
        async with self._database.session() as session:
            await session.execute(statement, {"outcome": msgspec.json.encode(outcome).decode()})

    async def finish_erasure(self, user_id: str, now_ms: int) -> None:
        statement = update(Erasure).where(Erasure.user_id == user_id, Erasure.finished_at.is_(None))
        async with self._database.session() as session:
            await session.execute(statement.values(finished_at=from_ms(now_ms)))

    async def erasure(self, user_id: str) -> ErasureRecord | None:
        async with self._database.session() as session:
            row = await session.get(Erasure, user_id)
        if row is None:
            return None
        return ErasureRecord(
            user_id=row.user_id,
            job_id=row.job_id,
            asked_by=row.asked_by,
            outcome=row.outcome,
            started_at_ms=to_ms(row.started_at),
            finished_at_ms=0 if row.finished_at is None else to_ms(row.finished_at),
        )

    async def due_erasures(self, deleted_before_ms: int, limit: int) -> Sequence[str]:
        """People whose account was deleted before then, or whose erasure was begun without a grace, and who have not
        been erased whole; none who are held."""
        done = exists().where(Erasure.user_id == User.id, Erasure.finished_at.is_not(None))
        begun = exists().where(Erasure.user_id == User.id, Erasure.finished_at.is_(None))
        over = or_(User.deleted_at <= from_ms(deleted_before_ms), begun)
        held = exists().where(LegalHold.user_id == User.id, LegalHold.released_at.is_(None))
        query = (
            select(User.id)
            .where(User.status == "deleted", over, ~done, ~held)
            .order_by(User.deleted_at, User.id)
            .limit(limit)
        )
        async with self._database.session() as session:
            return list((await session.scalars(query)).all())

    # -- legal holds ------------------------------------------------------------------------------

    async def hold(self, record: HoldRecord, also: Also = nothing_else) -> bool:
        """False, and nothing is written, when the person is held already."""
        values = {
            "id": record.id,
            "user_id": record.user_id,
            "reason": record.reason,
            "placed_by": record.placed_by,
            "placed_at": from_ms(record.placed_at_ms),
        }
        statement = insert(LegalHold).values(values).on_conflict_do_nothing().returning(LegalHold.id)
        async with self._database.session() as session:
            held = (await session.execute(statement)).first() is not None
            if held:
                await also(session)
        return held

    async def release(self, user_id: str, now_ms: int, also: Also = nothing_else) -> bool:
        """False, and nothing is written, when the person was not held. Retention walks everything once more: it has
        passed them by."""
        held = update(LegalHold).where(LegalHold.user_id == user_id, LegalHold.released_at.is_(None))
        async with self._database.session() as session:
            changed = await session.execute(held.values(released_at=from_ms(now_ms)).returning(LegalHold.id))
            released = changed.first() is not None
            if released:
                await session.execute(delete(RetentionMark))
                await also(session)
        return released

    async def is_held(self, user_id: str) -> bool:
        query = select(exists().where(LegalHold.user_id == user_id, LegalHold.released_at.is_(None)))
        async with self._database.session() as session:
            return bool(await session.scalar(query))

    async def holds(self) -> Sequence[HoldRecord]:
        """Those in force, oldest first."""
        query = select(LegalHold).where(LegalHold.released_at.is_(None)).order_by(LegalHold.placed_at, LegalHold.id)
        async with self._database.session() as session:
            rows = (await session.scalars(query)).all()
        return [
            HoldRecord(
                id=row.id,
                user_id=row.user_id,
                reason=row.reason,
                placed_by=row.placed_by,
                placed_at_ms=to_ms(row.placed_at),
            )
            for row in rows
        ]
