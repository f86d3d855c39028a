"""Rooms by what happens in them: whose they are, and the one room that a visit may be in."""

from typing import Final

from sqlalchemy import func, select, update

from storage.db import Database
from storage.models import RoomIndex, VisitPlace

PENDING_SECONDS_MAX: Final = 60
"""A visit that somebody set out to bring to a room, and never said whether it got there, is looked for after this.

Much longer than any command may take.
"""

_RESERVE: Final = (
    "INSERT INTO visit_places AS place (organization_id, visit_id, room_id, settled, since) "
    "VALUES ($1, $2, $3, false, now()) ON CONFLICT (organization_id, visit_id) DO UPDATE "
    "SET settled = false, since = now() WHERE place.room_id = excluded.room_id RETURNING room_id"
)
"""A visit that is nowhere yet, or that was last in this very room: nobody else has to be asked."""
_SETTLE: Final = "UPDATE visit_places SET settled = true WHERE organization_id = $1 AND visit_id = $2 AND room_id = $3"


class RoomTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def held_by(self, subject: str, limit: int) -> list[str]:
        """Ids of the rooms whose claim `subject` holds, by id; read from the rooms' index rows."""
        query = select(RoomIndex.id).where(RoomIndex.claimed_by == subject).order_by(RoomIndex.id).limit(limit)
        async with self._database.session() as session:
            return list(await session.scalars(query))

    async def bring_visit(self, organization_id: str, visit_id: str, room_id: str) -> bool:
        """Reserve the visit's place for this room; False while it is in another, or on its way there.

        Follow it with `visit_settled` once it is known what became of it.
        """
        fresh = {"room_id": room_id, "settled": False, "since": func.now()}
        here = (VisitPlace.organization_id == organization_id, VisitPlace.visit_id == visit_id)
        waits = func.make_interval(0, 0, 0, 0, 0, 0, PENDING_SECONDS_MAX)
        query = select(VisitPlace.room_id, VisitPlace.settled | (VisitPlace.since < func.now() - waits))
        there = select(RoomIndex.id).where(RoomIndex.visit_id == visit_id)
        if await self._database.fetch(_RESERVE, organization_id, visit_id, room_id):
            return True
        async with self._database.session() as session:
            # Locked first, looked at after: what settled the place before is then seen by the next statement.
            other, known = (await session.execute(query.where(*here).with_for_update())).one()
            if other != room_id and (
                not known or (await session.execute(there.where(RoomIndex.id == other))).first() is not None
            ):
                return False
            await session.execute(update(VisitPlace).where(*here).values(fresh))
        return True

    async def visit_settled(self, organization_id: str, visit_id: str, room_id: str) -> None:
        """The room has answered: from now on its index row says whether the visit is there."""
        await self._database.fetch(_SETTLE, organization_id, visit_id, room_id)
