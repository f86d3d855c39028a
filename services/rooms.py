"""Rooms: made and named here, lived in as entities.

The table's row is written first, then the entity is told. If that second step was lost, the next read or
update of the room makes up for it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.room_commands import Claim, Create, Describe, Release, SetStatus, TakeOver, Undo
from actors.room_history import HistoryEntry, history_entry
from actors.room_status import RoomStatus
from actors.runtime.entity import SYSTEM, Actor
from actors.runtime.wire import VIEW_JSON
from domain.errors import NotFound
from services.access.check import may, require
from services.access.policy import Permission
from services.entities import ROOM, Answered, Entities, Sender, send
from services.history import History
from services.locations import Location, Locations, LocationStore, Room, reused


class Rooms:
    def __init__(
        self,
        entities: Entities,
        store: LocationStore,
        locations: Locations,
        history: History,
    ) -> None:
        self._entities = entities
        self._store = store
        self._locations = locations
        self._history = history

    # -- as they are managed ----------------------------------------------------------------------

    async def list(self, actor: Actor, location_id: str, after_id: str, limit: int) -> Sequence[Room]:
        """The open ones of a location, by id."""
        await self._locations.get(actor, location_id)
        return await self._store.rooms(location_id, after_id, limit)

    async def described(self, actor: Actor, location_id: str, room_id: str) -> Room:
        await self._locations.get(actor, location_id)
        return await self._of_location(location_id, room_id)

    async def add(self, actor: Actor, room: Room, correlation: str = "") -> tuple[Room, bool]:
        """The room, and whether this very one was there before. For admins of the location's organization."""
        location = await self._locations.managed(actor, room.location_id)
        repeated = not await self._store.add_room(room)
        if repeated:
            known = await self._store.room(room.id)
            if known is None or msgspec.structs.replace(known, closed=False) != room:
                raise reused()
        await self._make(location, room, correlation)
        return room, repeated

    async def put(self, actor: Actor, room: Room, correlation: str = "") -> Room:
        """Another name or kind; the room stays in its location. For admins of the organization."""
        location = await self._locations.managed(actor, room.location_id)
        await self._of_location(room.location_id, room.id)
        await self._store.put_room(room)
        await self._make(location, room, correlation)
        describe = Describe(name=room.name, kind=room.kind)
        await self._entities.ask(ROOM, room.id, describe, actor=SYSTEM, correlation=correlation)
        return room

    async def held(self, actor: Actor, subject: str, limit: int) -> Sequence[str]:
        """Ids of the rooms that one holds the claim of oneself."""
        require(actor, Permission.ROOMS_HELD, person=subject)
        return await self._store.held_rooms(subject, limit)

    async def close(self, actor: Actor, location_id: str, room_id: str, correlation: str = "") -> None:
        """The end of an empty room: it leaves the board, its history stays. Again is a no-op.

        For admins of the organization. Raises `Conflict` with `invalid_transition` and `current` while it is in use.
        """
        location = await self._locations.managed(actor, location_id)
        room = await self._store.room(room_id)
        if room is None or room.location_id != location_id:
            raise _unknown()
        await self._make(location, room, correlation)
        command = SetStatus(to=RoomStatus.CLOSED.value)
        await self._entities.ask(ROOM, room_id, command, actor=SYSTEM, correlation=correlation)
        await self._store.close_room(room_id)

    # -- as they are lived in ---------------------------------------------------------------------

    async def get(self, actor: Actor, room_id: str, correlation: str = "") -> Answered:
        try:
            return await self._read(actor, room_id, correlation)
        except NotFound:
            if not await self._made_up(actor, room_id, correlation):
                raise
        return await self._read(actor, room_id, correlation)

    async def history(
        self, actor: Actor, room_id: str, before: int, limit: int, correlation: str = ""
    ) -> tuple[Sequence[HistoryEntry], int]:
        """What happened before version `before` (0: until now), newest first, of `limit` versions; and where it
        goes on, 0 at the beginning. For whoever sees the room."""
        newest = (await self.get(actor, room_id, correlation)).version
        upto = min(newest, before - 1) if before else newest
        after = max(0, upto - limit)
        rows = await self._history.of(ROOM, room_id, after=after, upto=upto)
        entries = [history_entry(event, row.meta) for row in reversed(rows) for event in reversed(row.events)]
        return entries, after + 1 if after else 0

    async def set_status(self, sender: Sender, room_id: str, command: SetStatus) -> Answered:
        return await self._ask(sender, room_id, command)

    async def undo(self, sender: Sender, room_id: str, version: int, token: int) -> Answered:
        return await self._ask(sender, room_id, Undo(version, token))

    async def claim(self, sender: Sender, room_id: str) -> Answered:
        return await self._ask(sender, room_id, Claim())

    async def release(self, sender: Sender, room_id: str, token: int) -> Answered:
        return await self._ask(sender, room_id, Release(token))

    async def take_over(self, sender: Sender, room_id: str, reason: str) -> Answered:
        return await self._ask(sender, room_id, TakeOver(reason))

    async def organization_of(self, room_id: str) -> str:
        """Whose room it is, whoever asks; "" of an unknown one."""
        room = await self._store.room(room_id)
        location = None if room is None else await self._store.location(room.location_id)
        return "" if location is None else location.organization_id

    async def _of_location(self, location_id: str, room_id: str) -> Room:
        room = await self._store.room(room_id)
        if room is None or room.closed or room.location_id != location_id:
            raise _unknown()
        return room

    async def _make(self, location: Location, room: Room, correlation: str) -> None:
        create = Create(
            organization_id=location.organization_id, location_id=location.id, name=room.name, kind=room.kind
        )
        await self._entities.ask(ROOM, room.id, create, actor=SYSTEM, correlation=correlation)

    async def _made_up(self, actor: Actor, room_id: str, correlation: str) -> bool:
        """Make the entity of a room that has only its row, if it is the actor's to see."""
        room = await self._store.room(room_id)
        location = None if room is None else await self._store.location(room.location_id)
        if room is None or location is None:
            return False
        if not may(actor, Permission.ROOM_SEE, organization_id=location.organization_id):
            return False
        await self._make(location, room, correlation)
        return True

    async def _read(self, actor: Actor, room_id: str, correlation: str) -> Answered:
        return await self._entities.read(ROOM, room_id, actor=actor, want=VIEW_JSON, correlation=correlation)

    async def _ask(self, sender: Sender, room_id: str, command: Any) -> Answered:
        return await send(self._entities, ROOM, room_id, sender, command)


def _unknown() -> NotFound:
    return NotFound("There is no such room.")
