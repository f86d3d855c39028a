"""Emergency access in Postgres: grants, revocations, reviews. Every method is one transaction.

Why somebody asked, and what was found in the review, is sealed.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Select, func, select, text, tuple_, update

from storage.crypto import KeyRing
from storage.db import Database
from storage.models import EmergencyAccess
from storage.sealed_columns import column_place
from storage.times import from_ms, to_ms

TABLE = EmergencyAccess.__tablename__


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What `subject` may read, all documents of a patient at an organization, until when (ms), and what became of it.

    `revoked_at_ms`, `reviewed_at_ms`: 0 while it was not.
    """

    id: str
    subject: str
    organization_id: str
    patient_id: str
    document_id: str
    reason: str
    granted_at_ms: int
    expires_at_ms: int
    revoked_at_ms: int = 0
    revoked_by: str = ""
    reviewed_at_ms: int = 0
    reviewed_by: str = ""
    note: str = ""


class EmergencyAccessTables:
    """`services.access.emergency.EmergencyStore`."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def add(self, grant: Grant, *, since_ms: int, count_max: int) -> Grant | None:
        """Keep it, and return it; of two at once, the one that is there already. None, and nothing kept, when the
        person was given `count_max` since then."""
        values = {
            **{name: getattr(grant, name) for name in ("id", "subject", "organization_id", "patient_id")},
            "document_id": grant.document_id,
            "reason": self._seal(grant.reason, "reason", grant.id),
            "granted_at": from_ms(grant.granted_at_ms),
            "expires_at": from_ms(grant.expires_at_ms),
        }
        counted = select(func.count()).where(
            EmergencyAccess.subject == grant.subject, EmergencyAccess.granted_at > from_ms(since_ms)
        )
        async with self._database.session() as session:
            # One person's grants are one after the other.
            await session.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:subject, 0))"),
                {"subject": f"{TABLE}/{grant.subject}"},
            )
            there = (
                await session.scalars(
                    _active(grant.subject, grant.granted_at_ms).where(
                        EmergencyAccess.organization_id == grant.organization_id,
                        EmergencyAccess.patient_id == grant.patient_id,
                    )
                )
            ).first()
            if there is not None:
                return await self._grant(there)
            if (await session.scalar(counted) or 0) >= count_max:
                return None
            session.add(EmergencyAccess(**values))
        return grant

    async def active(self, subject: str, patient_id: str, now_ms: int) -> Sequence[Grant]:
        """What this person may read of this patient now, the newest first."""
        query = _active(subject, now_ms).where(EmergencyAccess.patient_id == patient_id)
        return await self._read(query)

    async def grant(self, grant_id: str) -> Grant | None:
        found = await self._read(select(EmergencyAccess).where(EmergencyAccess.id == grant_id))
        return found[0] if found else None

    async def grants(
        self, organization_ids: Sequence[str], *, unreviewed: bool, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Grant]:
        """Newest first; `after` is the moment (ms) and id of the last one seen."""
        query = select(EmergencyAccess).where(EmergencyAccess.organization_id.in_(organization_ids))
        if unreviewed:
            query = query.where(EmergencyAccess.reviewed_at.is_(None))
        if after is not None:
            place = tuple_(EmergencyAccess.granted_at, EmergencyAccess.id)
            query = query.where(place < tuple_(from_ms(after[0]), after[1]))
        newest = query.order_by(EmergencyAccess.granted_at.desc(), EmergencyAccess.id.desc())
        return await self._read(newest.limit(limit))

    async def revoke(self, grant_id: str, by: str, now_ms: int) -> bool:
        """False when it had ended before."""
        moment = from_ms(now_ms)
        statement = update(EmergencyAccess).where(
            EmergencyAccess.id == grant_id, EmergencyAccess.revoked_at.is_(None), EmergencyAccess.expires_at > moment
        )
        async with self._database.session() as session:
            done = await session.execute(
                statement.values(revoked_at=moment, revoked_by=by).returning(EmergencyAccess.id)
            )
            return done.first() is not None

    async def review(self, grant_id: str, by: str, note: str, now_ms: int) -> bool:
        """False when somebody did before."""
        statement = update(EmergencyAccess).where(EmergencyAccess.id == grant_id, EmergencyAccess.reviewed_at.is_(None))
        values = {
            "reviewed_at": from_ms(now_ms),
            "reviewed_by": by,
            "note": self._seal(note, "note", grant_id) if note else None,
        }
        async with self._database.session() as session:
            done = await session.execute(statement.values(values).returning(EmergencyAccess.id))
            return done.first() is not None

    async def _read(self, query: Select[EmergencyAccess]) -> Sequence[Grant]:
        async with self._database.session() as session:
            rows = (await session.scalars(query)).all()
        return [await self._grant(row) for row in rows]

    async def _grant(self, row: EmergencyAccess) -> Grant:
        return Grant(
            id=row.id,
            subject=row.subject,
            organization_id=row.organization_id,
            patient_id=row.patient_id,
            document_id=row.document_id,
            reason=await self._open(row.reason, "reason", row.id),
            granted_at_ms=to_ms(row.granted_at),
            expires_at_ms=to_ms(row.expires_at),
            revoked_at_ms=0 if row.revoked_at is None else to_ms(row.revoked_at),
            revoked_by=row.revoked_by,
            reviewed_at_ms=0 if row.reviewed_at is None else to_ms(row.reviewed_at),
            reviewed_by=row.reviewed_by,
            note="" if row.note is None else await self._open(row.note, "note", row.id),
        )

    def _seal(self, plain: str, column: str, grant_id: str) -> bytes:
        return self._keys.seal(plain.encode(), column_place(TABLE, column, grant_id))

    async def _open(self, sealed: bytes, column: str, grant_id: str) -> str:
        if self._keys.lacks(sealed):
            await self._keys.refresh()
        return self._keys.open(sealed, column_place(TABLE, column, grant_id)).decode()


def _active(subject: str, now_ms: int) -> Select[EmergencyAccess]:
    return (
        select(EmergencyAccess)
        .where(
            EmergencyAccess.subject == subject,
            EmergencyAccess.expires_at > from_ms(now_ms),
            EmergencyAccess.revoked_at.is_(None),
        )
        .order_by(EmergencyAccess.granted_at.desc())
    )
