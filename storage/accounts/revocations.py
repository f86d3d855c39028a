"""What has been taken back before it ran out, in Postgres: written in the transaction that takes it back."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Select, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db import Database
from storage.models import Login, RevocationRow
from storage.times import from_ms, to_ms

KEPT_MS: Final = 25 * 3_600_000
"""For so long a revocation is kept: longer than any access token of a login holds (a day, and its leeway)."""
_OVERLAP: Final = text("interval '60 seconds'")
"""A transaction commits later than the moment that is in its rows, by less than this."""


class Ending(StrEnum):
    ENDED = "ended"
    OUTDATED = "outdated"


class Revocation(msgspec.Struct, frozen=True, array_like=True):
    """Whatever the login, key or person `id` was issued up to `cutoff_ms` does not hold (`RevocationRow`)."""

    id: str
    kind: Ending
    cutoff_ms: int
    expires_ms: int

    @property
    def recorded_ms(self) -> int:
        return self.expires_ms - KEPT_MS


def for_ever(id_: str, now_ms: int) -> Revocation:
    """Of a login or a key: also what is being issued at this very moment."""
    return Revocation(id_, Ending.ENDED, now_ms + KEPT_MS, now_ms + KEPT_MS)


def up_to(id_: str, kind: Ending, now_ms: int) -> Revocation:
    return Revocation(id_, kind, now_ms, now_ms + KEPT_MS)


async def write_revocations(session: AsyncSession, revocations: Iterable[Revocation]) -> None:
    """In the transaction of `session`. One that is there already is only ever made to reach further."""
    rows = [
        {
            "id": each.id,
            "kind": each.kind.value,
            "cutoff": from_ms(each.cutoff_ms),
            "expires_at": from_ms(each.expires_ms),
        }
        for each in sorted(revocations, key=lambda one: (one.id, one.kind.value))  # in one order: no deadlocks
    ]
    if not rows:
        return
    statement = insert(RevocationRow).values(rows)
    new = statement.excluded
    changed = {
        "cutoff": func.greatest(RevocationRow.cutoff, new.cutoff),
        "expires_at": func.greatest(RevocationRow.expires_at, new.expires_at),
        "recorded_at": func.now(),
    }
    await session.execute(statement.on_conflict_do_update(index_elements=["id", "kind"], set_=changed))


async def end_logins(session: AsyncSession, user_id: str, login_id: str, reason: str, now_ms: int) -> int:
    """One login, or with "" all of this person's, and their access tokens; how many were still live."""
    live = update(Login).where(Login.user_id == user_id, Login.revoked_at.is_(None))
    if login_id:
        live = live.where(Login.id == login_id)
    ended = live.values(revoked_at=from_ms(now_ms), revoked_for=reason).returning(Login.id)
    ids = list(await session.scalars(ended.execution_options(synchronize_session=False)))
    await write_revocations(session, (for_ever(each, now_ms) for each in ids))
    return len(ids)


class RevocationTables:
    """`services.accounts.revocations.RevocationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, revocations: Sequence[Revocation]) -> None:
        async with self._database.session() as session:
            await write_revocations(session, revocations)

    async def end_person(self, user_id: str, reason: str, now_ms: int) -> int:
        async with self._database.session() as session:
            ended = await end_logins(session, user_id, "", reason, now_ms)
            await write_revocations(session, [up_to(user_id, Ending.ENDED, now_ms)])
        return ended

    async def recent(self) -> Sequence[Revocation]:
        query = select(RevocationRow).where(RevocationRow.recorded_at > func.now() - _OVERLAP)
        return await self._read(query.order_by(RevocationRow.recorded_at))

    async def all(self, now_ms: int, limit: int) -> Sequence[Revocation]:
        query = select(RevocationRow).where(RevocationRow.expires_at > from_ms(now_ms))
        return await self._read(query.order_by(RevocationRow.recorded_at.desc()).limit(limit))

    async def prune(self, now_ms: int) -> None:
        async with self._database.session() as session:
            await session.execute(delete(RevocationRow).where(RevocationRow.expires_at <= from_ms(now_ms)))

    async def _read(self, query: Select[Any]) -> Sequence[Revocation]:
        async with self._database.session() as session:
            rows = (await session.scalars(query)).all()
        return [Revocation(row.id, Ending(row.kind), to_ms(row.cutoff), to_ms(row.expires_at)) for row in rows]
