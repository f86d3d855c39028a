"""Where each reaction stands in the journal, what waits for another attempt, and what was given up.

Every method is one transaction. Raises `Unavailable` when the database is away.
"""

from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Row as ResultRow
from sqlalchemy import and_, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import new_id
from storage.db import Database
from storage.journal.interface import Cursor, JournalKey
from storage.models import DeadLetter, ReactionCursor, ReactionRetry
from storage.times import from_ms, to_ms

_ERROR_CHARACTERS_MAX = 2_000


class RetryRecord(msgspec.Struct, frozen=True):
    """A journal row that waits for another attempt of a reaction."""

    kind: str
    id: str
    version: int
    attempts: int


class DeadLetterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A journal row that a reaction gave up on. Ids rise with time."""

    id: str
    reaction: str
    kind: str
    entity_id: str
    version: int
    attempts: int
    error: str
    failed_at_ms: int


class ReactionTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, reaction: str, holder: str, lease_s: float) -> bool:
        """Whether `holder` may run the reaction for the next `lease_s` seconds; renew well before they end.

        One holder at a time by the database's clock. One that overstays repeats work, and handlers allow that.
        """
        until = func.now() + timedelta(seconds=lease_s)
        statement = (
            insert(ReactionCursor)
            .values(name=reaction, holder=holder, held_until=until)
            .on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": holder, "held_until": until},
                where=or_(
                    ReactionCursor.holder.is_(None),
                    ReactionCursor.holder == holder,
                    ReactionCursor.held_until < func.now(),
                ),
            )
            .returning(ReactionCursor.name)
        )
        async with self._database.session() as session:
            return (await session.execute(statement)).first() is not None

    async def release(self, reaction: str, holder: str) -> None:
        mine = and_(ReactionCursor.name == reaction, ReactionCursor.holder == holder)
        async with self._database.session() as session:
            await session.execute(update(ReactionCursor).where(mine).values(holder=None, held_until=None))

    async def cursor(self, reaction: str) -> Cursor:
        """How far the reaction has come; the beginning for a new one."""
        columns = (ReactionCursor.xid, ReactionCursor.position)
        async with self._database.session() as session:
            found = (await session.execute(select(*columns).where(ReactionCursor.name == reaction))).first()
        return Cursor(found[0], found[1]) if found else Cursor()

    async def advance(self, reaction: str, cursor: Cursor) -> None:
        """Store how far the reaction has come; never backwards."""
        given = {"xid": cursor.xid, "position": cursor.position}
        place = tuple_(ReactionCursor.xid, ReactionCursor.position)
        statement = (
            insert(ReactionCursor)
            .values(name=reaction, **given)
            .on_conflict_do_update(
                index_elements=["name"], set_=given, where=place < tuple_(cursor.xid, cursor.position)
            )
        )
        async with self._database.session() as session:
            await session.execute(statement)

    async def blocked(self, reaction: str) -> set[tuple[str, str]]:
        """(kind, id) of entities of which something is set aside."""
        columns = (ReactionRetry.kind, ReactionRetry.entity_id)
        query = select(*columns).where(ReactionRetry.reaction == reaction).distinct()
        async with self._database.session() as session:
            return {(kind, entity_id) for kind, entity_id in (await session.execute(query)).all()}

    async def set_aside(self, reaction: str, row: JournalKey, attempts: int, due_ms: int, error: str) -> None:
        """Insert, or update one that is set aside already; fewer attempts than it has change nothing."""
        given: dict[str, Any] = {
            "attempts": attempts,
            "due_at": from_ms(due_ms),
            "error": error[:_ERROR_CHARACTERS_MAX],
        }
        statement = (
            insert(ReactionRetry)
            .values(reaction=reaction, kind=row.kind, entity_id=row.id, version=row.version, **given)
            .on_conflict_do_update(
                index_elements=["reaction", "kind", "entity_id", "version"],
                set_=given,
                where=ReactionRetry.attempts <= attempts,
            )
        )
        async with self._database.session() as session:
            await session.execute(statement)

    async def due(self, reaction: str, now_ms: int, limit: int) -> list[RetryRecord]:
        """Of each entity the earliest version that is set aside, if it is due; by due time."""
        entity = (ReactionRetry.kind, ReactionRetry.entity_id)
        first = (
            select(ReactionRetry)
            .where(ReactionRetry.reaction == reaction)
            .ext(distinct_on(*entity))
            .order_by(*entity, ReactionRetry.version)
            .subquery()
        )
        columns = (first.c.kind, first.c.entity_id, first.c.version, first.c.attempts)
        query = select(*columns).where(first.c.due_at <= from_ms(now_ms)).order_by(first.c.due_at).limit(limit)
        async with self._database.session() as session:
            return [RetryRecord(*row) for row in (await session.execute(query)).all()]

    async def done(self, reaction: str, kind: str, id: str, version: int) -> None:
        async with self._database.session() as session:
            await _forget(session, reaction, kind, id, version)

    async def park(self, reaction: str, row: JournalKey, attempts: int, error: str) -> None:
        """Move to the dead letters."""
        given: dict[str, Any] = {"attempts": attempts, "error": error[:_ERROR_CHARACTERS_MAX]}
        statement = (
            insert(DeadLetter)
            .values(id=new_id(), reaction=reaction, kind=row.kind, entity_id=row.id, version=row.version, **given)
            .on_conflict_do_update(
                index_elements=["reaction", "kind", "entity_id", "version"],
                set_={**given, "failed_at": func.now()},
            )
        )
        async with self._database.session() as session:
            await session.execute(statement)
            await _forget(session, reaction, row.kind, row.id, row.version)

    async def list(self, after_id: str, limit: int) -> list[DeadLetterRecord]:
        """Dead letters, oldest first, after `after_id` ("" from the beginning)."""
        query = select(DeadLetter).where(DeadLetter.id > after_id).order_by(DeadLetter.id).limit(limit)
        async with self._database.session() as session:
            return [_letter(row) for row in await session.scalars(query)]

    async def get(self, letter_id: str) -> DeadLetterRecord | None:
        async with self._database.session() as session:
            row = await session.get(DeadLetter, letter_id)
        return None if row is None else _letter(row)

    async def count(self) -> int:
        """How many dead letters there are (a metric)."""
        async with self._database.session() as session:
            return await session.scalar(select(func.count()).select_from(DeadLetter)) or 0

    async def retry(self, letter_id: str) -> bool:
        """Have it tried again now, with its attempts counted anew. False: no such letter."""
        statement = delete(DeadLetter).where(DeadLetter.id == letter_id).returning(DeadLetter)
        async with self._database.session() as session:
            letter = await session.scalar(statement)
            if letter is None:
                return False
            await session.execute(
                insert(ReactionRetry)
                .values(
                    reaction=letter.reaction,
                    kind=letter.kind,
                    entity_id=letter.entity_id,
                    version=letter.version,
                    attempts=0,
                    due_at=func.now(),
                    error=letter.error,
                )
                .on_conflict_do_nothing()
            )
        return True


async def _forget(session: AsyncSession, reaction: str, kind: str, id: str, version: int) -> None:
    key = tuple_(ReactionRetry.reaction, ReactionRetry.kind, ReactionRetry.entity_id, ReactionRetry.version)
    await session.execute(delete(ReactionRetry).where(key == tuple_(reaction, kind, id, version)))


def _letter(row: DeadLetter | ResultRow[Any]) -> DeadLetterRecord:
    return DeadLetterRecord(
        id=row.id,
        reaction=row.reaction,
        kind=row.kind,
        entity_id=row.entity_id,
        version=row.version,
        attempts=row.attempts,
        error=row.error,
        failed_at_ms=to_ms(row.failed_at),
    )
